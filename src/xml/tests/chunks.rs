//! However a stream is cut into pieces, it is read the same.

use proptest::prelude::*;

use super::{HEADER, read};

/// Pieces of XML, good and bad, that are strung together.
fn token() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "<message to='a@b' from='x' type=\"chat\">",
        "</message>",
        "<body>",
        "</body>",
        "<presence/>",
        "<iq id='&#49;'/>",
        "<x xmlns='urn:x'>",
        "</x>",
        "<p:y xmlns:p='urn:&lt;' p:a='1'>",
        "</p:y>",
        "<stream:z>",
        "</stream:z>",
        "&amp;",
        "&#x1F600;",
        "&quot;",
        "<![CDATA[",
        "]]>",
        "]]&gt;",
        "]",
        ">",
        "text",
        "ünïcödé 漢字 😀",
        " ",
        "\r\n",
        "\t",
        "<a b='c' ",
        "b='c'",
        "xml:lang='de'",
        "/>",
        "<",
        "<!--",
        "<?",
        "&nope;",
        "</stream:stream>",
        "'",
        "\"",
        "=",
        "\u{1}",
        "\u{fffe}",
    ]);
    prop_oneof![8 => fixed.prop_map(str::to_owned), 1 => "\\PC{0,8}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_cut_gives_the_same(
        tokens in prop::collection::vec(token(), 0..30),
        noise in prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut input = [HEADER.as_bytes(), tokens.concat().as_bytes()].concat();
        if let Some((index, byte)) = noise {
            let at = index.index(input.len());
            input[at] = byte;
        }
        let whole = read([&input[..]]);
        prop_assert_eq!(&read(input.chunks(1)), &whole);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&input[from..cut]);
            from = cut;
        }
        pieces.push(&input[from..]);
        prop_assert_eq!(&read(pieces), &whole);
    }
}

#[test]
fn a_stanza_that_arrives_byte_by_byte_is_looked_at_once() {
    // Were it scanned anew with every byte, this would take hours.
    let body = "x".repeat(super::LIMITS.stanza_bytes - 100);
    let input = format!("{HEADER}<message to='a@b'><body>{body}</body></message>");
    assert_eq!(read(input.as_bytes().chunks(1)).len(), 2);
}

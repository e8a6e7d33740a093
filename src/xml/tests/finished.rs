//! What is done to the bytes of finished elements is what would be done to their trees.

use proptest::prelude::*;

use super::super::{
    Content, Element, Scratch, append_child, attribute, has_child, namespaces, write_with_default, write_without,
};

/// A stanza, well-formed or not.
fn stanza() -> impl Strategy<Value = String> {
    let open = prop::sample::select(vec![
        "<m>",
        "<m >",
        "<m a='1' b=\"2\">",
        "<m\n a = '>/>' b='&#39;' xmlns:q='urn:q'>",
        "<m xmlns='jabber:client' c=' xmlns='>",
        "<c:m xmlns:c='jabber:client'>",
        "<c:m xmlns:c='jabber:client' xmlns='urn:x' a=''>",
    ]);
    let token = prop::sample::select(vec![
        "<a/>",
        "<b a='1'/>",
        "<b a='&lt;a/&gt;'>",
        "<b a='/>'>",
        "<b b='>'/>",
        "<b xmlns='urn:x' a=\"it's /> \">",
        "<p:b xmlns:p='urn:p' b='2' p:a='3'>",
        "<p:a xmlns:p='urn:p'/>",
        "</b>",
        "</b\t>",
        "</p:b>",
        "<![CDATA[</b><a/>]]>",
        "<![CDATA[]]>",
        "text",
        "a > b",
        "&amp;",
        "漢",
    ]);
    let close = prop::sample::select(vec!["</m>", "</m >", "</c:m>", "</c:m\n>"]);
    let content = prop::collection::vec(token, 0..8).prop_map(|tokens| tokens.concat());
    prop_oneof![
        9 => (open.clone(), content, close).prop_map(|(open, content, close)| [open, &content, close].concat()),
        1 => open.prop_map(|open| open.replacen('>', "/>", open.matches('>').count()).replace("'/>", "'>")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn bytes_and_trees_say_the_same(stanza in stanza()) {
        let mut scratch = Scratch::default();
        let Some(frame) = scratch.finished(stanza.as_bytes(), Content::Client) else { return Ok(()) };
        let tree = frame.to_element().unwrap();
        for name in ["a", "b", "c", "d"] {
            let found = attribute(stanza.as_bytes(), name).map(|value| value.decoded().into_owned());
            prop_assert_eq!(found.as_deref(), tree.attribute(name), "{}", &stanza);
            let has = tree.children().any(|child| child.name == name);
            prop_assert_eq!(has_child(stanza.as_bytes(), name), has, "{}", &stanza);
        }
        for (child, element) in frame.children().zip(tree.children()) {
            prop_assert_eq!(&stanza.as_bytes()[child.place()], child.bytes());
            for name in ["a", "b"] {
                let found = child.attribute(name).map(|value| value.decoded().into_owned());
                prop_assert_eq!(found.as_deref(), element.attribute(name), "{}", &stanza);
                let has = element.children().any(|child| child.name == name);
                prop_assert_eq!(child.has_child(name), has, "{}", &stanza);
            }
        }

        let mut out = stanza.clone().into_bytes();
        append_child(&mut out, 0, |out| out.extend_from_slice(b"<new xmlns='urn:new'/>"));
        let expected = tree.clone().with_child(Element::new("new", "urn:new"));
        prop_assert_eq!(Element::parse(&out), Ok(expected), "{}", &stanza);

        let mut out = b"<w xmlns='urn:w'>".to_vec();
        write_with_default(&mut out, stanza.as_bytes(), namespaces::CLIENT);
        out.extend_from_slice(b"</w>");
        let wrapped = Element::parse(&out).unwrap();
        prop_assert!(wrapped.children().eq([&tree]), "{}", &stanza);

        let mut out = Vec::new();
        let unwanted = tree.children().filter(|child| child.name == "b").count();
        prop_assert_eq!(write_without(&mut out, &frame, |child| child.name() == "b"), unwanted);
        let without = Element::parse(&out).unwrap();
        let kept = tree.children().filter(|child| child.name != "b");
        prop_assert!(without.children().eq(kept) && without.text() == tree.text(), "{}", &stanza);
    }

    #[test]
    fn no_bytes_panic(bytes in "[<>/a:'\"=! \\[\\]&C]{0,24}|<a[<>/a:'\"=! ]{0,8}") {
        let bytes = bytes.as_bytes();
        attribute(bytes, "a");
        has_child(bytes, "a");
        write_with_default(&mut Vec::new(), bytes, "urn:a");
        for start in [0, bytes.len(), bytes.len() + 9] {
            let mut out = bytes.to_vec();
            append_child(&mut out, start, |out| out.push(b'a'));
        }
        Scratch::default().finished(bytes, Content::Client);
    }
}

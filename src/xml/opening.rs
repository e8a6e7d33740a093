//! Looking into the start tag of a stanza that was read before, without reading the rest of it again.

use super::limits::{Bounds, DEPTH_MAX};
use super::reference;
use super::scanner::{Scanned, Until, scan};
use super::work::Work;

/// The values of these attributes of a stanza, in their order. For stanzas that the server has written itself, with all
/// their prefixes declared in them; nothing is found in anything else.
pub fn attributes<const N: usize>(stanza: &[u8], names: [&str; N]) -> [Option<String>; N] {
    let any = u32::MAX;
    let bounds = Bounds { stanza_bytes: any, depth: DEPTH_MAX as u32, attributes: any, children: any };
    let mut work = Work::default();
    work.begin();
    if !matches!(scan(&mut work, stanza, &bounds, None, Until::StartTag), Ok(Scanned::Complete)) {
        return names.map(|_| None);
    }
    names.map(|name| {
        let found = work.attributes.iter().find(|attribute| attribute.name.span.of(stanza) == name.as_bytes())?;
        let raw = std::str::from_utf8(found.value.of(stanza)).ok()?;
        Some(reference::decode_value(raw).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::attributes;

    #[test]
    fn only_the_start_tag_is_looked_at() {
        let found = attributes(b"<iq id='a&amp;b' to=\"c@d\" ><broken", ["to", "id", "from"]);
        assert_eq!(found, [Some("c@d".into()), Some("a&b".into()), None]);
        assert_eq!(attributes(b"<iq id='1'/>", ["id"]), [Some("1".into())]);
        assert_eq!(attributes(b"<iq id='1'", ["id"]), [None]);
    }
}

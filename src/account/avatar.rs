//! Avatars in two places, kept alike (XEP-0398): in the nodes of XEP-0084, where modern clients put them, and in the
//! vCard of XEP-0054, where rooms and older clients look; and the hash of it in presence (XEP-0153).
//!
//! Pure conversions. Which of the two has changed, and whether the access model of the node lets everybody have what a
//! vCard shows to everybody (XEP-0398 §8), the caller knows.

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};
use rondel_storage::pubsub::AccessModel;
use sha1::{Digest, Sha1};

use crate::xml::{Element, append_child, escape, namespaces as ns};

/// An image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Avatar {
    /// The SHA-1 hash of the image. In [`digits`] it is the id of both items, and what presence announces.
    pub sha1: [u8; 20],
    /// The media type.
    pub media_type: String,
    /// The image.
    pub image: Vec<u8>,
}

/// What a metadata item says of the image in the data node (XEP-0084 §4.2.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Info {
    /// The id of the data item.
    pub id: String,
    /// The media type.
    pub media_type: String,
}

/// Why there is no avatar to be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AvatarError {
    /// What should be Base64 is not.
    #[error("the image is not in Base64")]
    NotBase64,
    /// The image is larger than the limit.
    #[error("the image is too large")]
    TooLarge,
    /// The hash of the image is not its id.
    #[error("the image is not the one that it is said to be")]
    OtherImage,
}

/// Padding may be left out: some clients do.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes Base64 in which white space is ignored (XEP-0153 §4.6), up to `bytes_max` bytes.
fn decode(text: &str, bytes_max: usize) -> Result<Vec<u8>, AvatarError> {
    let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    // Three bytes for four characters, of which the last one or two may be padding.
    if text.len() / 4 > bytes_max / 3 + 1 {
        return Err(AvatarError::TooLarge);
    }
    let image = LENIENT.decode(text).map_err(|_| AvatarError::NotBase64)?;
    if image.len() > bytes_max { Err(AvatarError::TooLarge) } else { Ok(image) }
}

/// A hash in lower-case hexadecimal digits (XEP-0153 §3.1).
pub fn digits(sha1: &[u8; 20]) -> String {
    sha1.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The media type that an image's first bytes tell; XEP-0153 §5 believes them rather than what is said.
fn sniffed(image: &[u8]) -> Option<&'static str> {
    let starts: [(&[u8], &str); 4] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
    ];
    let found = starts.iter().find(|(start, _)| image.starts_with(start)).map(|(_, kind)| *kind);
    found.or_else(|| (image.starts_with(b"RIFF") && image.get(8..12) == Some(b"WEBP")).then_some("image/webp"))
}

impl Avatar {
    fn new(image: Vec<u8>, said: Option<String>) -> Avatar {
        let said = said.filter(|said| !said.is_empty());
        let media_type = sniffed(&image).map(str::to_owned).or(said).unwrap_or_else(|| "image/png".to_owned());
        Avatar { sha1: Sha1::digest(&image).into(), media_type, image }
    }

    /// Reads the image of a data item, `<data/>`, of which a metadata item says `info` (XEP-0398 §3.1).
    pub fn of_item(data: &Element, info: &Info, bytes_max: usize) -> Result<Avatar, AvatarError> {
        let avatar = Avatar::new(decode(&data.text(), bytes_max)?, Some(info.media_type.clone()));
        if avatar.id().eq_ignore_ascii_case(&info.id) { Ok(avatar) } else { Err(AvatarError::OtherImage) }
    }

    /// Reads the photo of a vCard; `None` if there is none, or only an address of one.
    pub fn of_vcard(vcard: &Element, bytes_max: usize) -> Result<Option<Avatar>, AvatarError> {
        let Some(photo) = vcard.child("PHOTO", ns::VCARD) else { return Ok(None) };
        let image = decode(&photo.child("BINVAL", ns::VCARD).map_or(String::new(), Element::text), bytes_max)?;
        if image.is_empty() {
            return Ok(None);
        }
        let said = photo.child("TYPE", ns::VCARD).map(|kind| kind.text().trim().to_owned());
        Ok(Some(Avatar::new(image, said)))
    }

    /// The id of its items.
    pub fn id(&self) -> String {
        digits(&self.sha1)
    }

    /// The payload of the data item.
    pub fn data(&self) -> Element {
        Element::new("data", ns::AVATAR_DATA).with_text(&STANDARD.encode(&self.image))
    }

    /// The payload of the metadata item.
    pub fn metadata(&self) -> Element {
        let info = Element::new("info", ns::AVATAR_METADATA)
            .with_attribute("bytes", &self.image.len().to_string())
            .with_attribute("id", &self.id())
            .with_attribute("type", &self.media_type);
        Element::new("metadata", ns::AVATAR_METADATA).with_child(info)
    }

    /// The photo of a vCard.
    pub fn photo(&self) -> Element {
        let field = |name, text: &str| Element::new(name, ns::VCARD).with_text(text);
        Element::new("PHOTO", ns::VCARD)
            .with_child(field("TYPE", &self.media_type))
            .with_child(field("BINVAL", &STANDARD.encode(&self.image)))
    }
}

/// What a metadata item says of the image in the data node. `None` if it names none: the avatar is disabled
/// (XEP-0084 §3.5), or only to be had elsewhere.
pub fn info(metadata: &Element) -> Option<Info> {
    let infos = || metadata.children().filter(|child| child.name == "info" && child.attribute("url").is_none());
    // The data node holds images of one type, and it should be this one.
    let png = infos().find(|info| info.attribute("type") == Some("image/png"));
    let info = png.or_else(|| infos().next())?;
    let media_type = info.attribute("type").unwrap_or("image/png").to_owned();
    Some(Info { id: info.attribute("id")?.to_owned(), media_type })
}

/// A vCard with this photo, or none, instead of its own. All else stays.
pub fn vcard_with(vcard: Option<Element>, avatar: Option<&Avatar>) -> Element {
    let vcard = vcard.unwrap_or_else(|| Element::new("vCard", ns::VCARD)).without_children("PHOTO", ns::VCARD);
    match avatar {
        Some(avatar) => vcard.with_child(avatar.photo()),
        None => vcard,
    }
}

/// What becomes of the photo in a vCard when metadata are published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Copied {
    /// It stays as it is.
    Nothing,
    /// It goes: no avatar is shown any more, or one that is only to be had elsewhere.
    Removed,
    /// It is this one.
    Photo(Avatar),
}

/// Decides that (XEP-0398 §3.1): by the metadata that were published, by whom the data node is open for (`None` if
/// there is no such node), and the data item that the metadata name, if there is one. Everybody sees vCards, so only
/// what everybody may see is copied (§8).
pub fn copied(metadata: &Element, access: Option<AccessModel>, data: Option<&Element>, bytes_max: usize) -> Copied {
    if access != Some(AccessModel::Open) {
        return Copied::Nothing;
    }
    let Some(info) = info(metadata) else { return Copied::Removed };
    let avatar = data.map(|data| Avatar::of_item(data, &info, bytes_max));
    avatar.and_then(Result::ok).map_or(Copied::Nothing, Copied::Photo)
}

/// What is to be done with an available presence of somebody whose avatar is known (XEP-0398 §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Announcement {
    /// Nothing: the client says that it shows none, or announces the right one.
    Keep,
    /// [`announce`] the hash.
    Add,
    /// [`announce_instead`] of what the client has announced.
    Replace,
}

/// Decides that, by the presence's child `<x/>` in the namespace `vcard-temp:x:update`.
pub fn announcement(update: Option<&Element>, id: &str) -> Announcement {
    let Some(update) = update else { return Announcement::Add };
    match update.child("photo", ns::VCARD_UPDATE).map(|photo| photo.text().trim().to_owned()) {
        Some(announced) if announced.is_empty() || announced.eq_ignore_ascii_case(id) => Announcement::Keep,
        // Also where there is no photo: the client is not ready to announce one, and need not be.
        _ => Announcement::Replace,
    }
}

/// Adds the hash to a presence as it was serialised.
pub fn announce(presence: &mut Vec<u8>, id: &str) {
    append_child(presence, 0, |out| {
        out.extend_from_slice(b"<x xmlns='vcard-temp:x:update'><photo>");
        escape::text(out, id);
        out.extend_from_slice(b"</photo></x>");
    });
}

/// The presence with this hash instead of what it announces.
pub fn announce_instead(presence: Element, id: &str) -> Element {
    let photo = Element::new("photo", ns::VCARD_UPDATE);
    let photo = if id.is_empty() { photo } else { photo.with_text(id) };
    let update = Element::new("x", ns::VCARD_UPDATE).with_child(photo);
    presence.without_children("x", ns::VCARD_UPDATE).with_child(update)
}

/// The presence that a resource has now, after the avatar has changed from one hash to another; `None` if it stays.
/// It says of an avatar that is gone that there is none, if it has announced that one.
pub fn announce_change(presence: &[u8], from: Option<&str>, to: Option<&str>) -> Option<Vec<u8>> {
    let presence = Element::parse(presence).ok()?;
    let update = presence.child("x", ns::VCARD_UPDATE);
    let has_announced = |id: &str| {
        let photo = update.and_then(|update| update.child("photo", ns::VCARD_UPDATE));
        photo.is_some_and(|photo| photo.text().trim().eq_ignore_ascii_case(id))
    };
    let id = match (from, to) {
        (_, Some(to)) if announcement(update, to) != Announcement::Keep => to,
        (Some(from), None) if has_announced(from) => "",
        _ => return None,
    };
    let mut out = Vec::new();
    announce_instead(presence, id).write_to(&mut out, ns::CLIENT);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Element {
        Element::parse(text.as_bytes()).unwrap()
    }

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nimage";
    /// `printf '\x89PNG\r\n\x1a\nimage' | sha1sum`
    const PNG_ID: &str = "ba54878ae391caff29b79a8dc3d95a2fc4bc2247";
    const LIMIT: usize = 1000;

    fn avatar() -> Avatar {
        Avatar::new(PNG.to_vec(), None)
    }

    #[test]
    fn the_hash_is_that_of_the_image() {
        // RFC 3174 §7.3.
        assert_eq!(Avatar::new(b"abc".to_vec(), None).id(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(avatar().id(), PNG_ID);
    }

    #[test]
    fn what_is_published_comes_back_from_the_vcard() {
        let avatar = avatar();
        let info = info(&avatar.metadata()).unwrap();
        assert_eq!(Avatar::of_item(&avatar.data(), &info, LIMIT), Ok(avatar.clone()));
        let vcard = parse("<vCard xmlns='vcard-temp'><FN>Juliet</FN><PHOTO><EXTVAL>x</EXTVAL></PHOTO></vCard>");
        assert_eq!(Avatar::of_vcard(&vcard, LIMIT), Ok(None));
        let vcard = vcard_with(Some(vcard), Some(&avatar));
        assert_eq!(vcard.children().filter(|child| child.name == "PHOTO").count(), 1);
        assert_eq!(vcard.child("FN", ns::VCARD).unwrap().text(), "Juliet");
        assert_eq!(Avatar::of_vcard(&vcard, LIMIT), Ok(Some(avatar.clone())));
        assert_eq!(Avatar::of_vcard(&vcard_with(Some(vcard), None), LIMIT), Ok(None));
        assert_eq!(vcard_with(None, Some(&avatar)).child("PHOTO", ns::VCARD), Some(&avatar.photo()));
    }

    #[test]
    fn metadata_as_in_xep_0084() {
        let metadata =
            |content: &str| info(&parse(&format!("<metadata xmlns='urn:xmpp:avatar:metadata'>{content}</metadata>")));
        let one = |id: &str, kind: &str, more: &str| format!("<info bytes='1' id='{id}' type='{kind}' {more}/>");
        let expected = |id: &str, kind: &str| Some(Info { id: id.to_owned(), media_type: kind.to_owned() });
        assert_eq!(metadata(""), None);
        assert_eq!(metadata("<pointer/>"), None);
        assert_eq!(metadata(&one("a", "image/gif", "url='http://avatars.example.org/happy.gif'")), None);
        assert_eq!(metadata(&one("a", "image/jpeg", "")), expected("a", "image/jpeg"));
        let several = [
            one("e", "image/png", "url='http://avatars.example.org/happy.png'"),
            one("b", "image/gif", ""),
            one("c", "image/png", "height='64' width='64'"),
        ];
        assert_eq!(metadata(&several.concat()), expected("c", "image/png"));
    }

    #[test]
    fn images_that_are_none() {
        let data = |text: &str| parse(&format!("<data xmlns='urn:xmpp:avatar:data'>{text}</data>"));
        let info = |id: &str| Info { id: id.to_owned(), media_type: "image/png".to_owned() };
        let encoded = STANDARD.encode(PNG);
        let (first, rest) = encoded.split_at(5);
        // Line breaks, no padding, capital digits.
        let broken = data(&format!("\n  {first}\r\n\t{}\n", rest.trim_end_matches('=')));
        let id = avatar().id();
        assert_eq!(Avatar::of_item(&broken, &info(&id.to_uppercase()), LIMIT), Ok(avatar()));
        assert_eq!(Avatar::of_item(&broken, &info("0".repeat(40).as_str()), LIMIT), Err(AvatarError::OtherImage));
        assert_eq!(Avatar::of_item(&data("it's none"), &info(&id), LIMIT), Err(AvatarError::NotBase64));
        assert_eq!(Avatar::of_item(&broken, &info(&id), PNG.len() - 1), Err(AvatarError::TooLarge));
        assert_eq!(Avatar::of_item(&data(&"A".repeat(400)), &info(&id), 10), Err(AvatarError::TooLarge));
        assert_eq!(Avatar::of_item(&broken, &info(&id), PNG.len()), Ok(avatar()));
    }

    #[test]
    fn the_type_is_what_the_image_is() {
        let of = |image: &[u8], said: &str| Avatar::new(image.to_vec(), Some(said.to_owned())).media_type;
        assert_eq!(of(PNG, "image/jpeg"), "image/png");
        assert_eq!(of(b"\xff\xd8\xff\xe0", ""), "image/jpeg");
        assert_eq!(of(b"GIF89a", "image/png"), "image/gif");
        assert_eq!(of(b"RIFF\0\0\0\0WEBPVP8 ", "image/png"), "image/webp");
        assert_eq!(of(b"<svg/>", "image/svg+xml"), "image/svg+xml");
        assert_eq!(of(b"?", ""), "image/png");
    }

    #[test]
    fn the_table_of_xep_0398_section_4() {
        use Announcement::{Add, Keep, Replace};
        let x = |content: &str| parse(&format!("<x xmlns='vcard-temp:x:update'>{content}</x>"));
        let rows = [
            (None, Add),
            (Some(x("")), Replace),
            (Some(x("<photo/>")), Keep),
            (Some(x("<photo>\n</photo>")), Keep),
            (Some(x("<photo>01B8</photo>")), Keep),
            (Some(x("<photo>ffff</photo>")), Replace),
        ];
        for (update, expected) in rows {
            assert_eq!(announcement(update.as_ref(), "01b8"), expected, "{update:?}");
        }
    }

    #[test]
    fn what_everybody_may_see_is_copied() {
        let (avatar, open) = (avatar(), Some(AccessModel::Open));
        let (metadata, data) = (avatar.metadata(), avatar.data());
        assert_eq!(copied(&metadata, open, Some(&data), LIMIT), Copied::Photo(avatar.clone()));
        for access in [None, Some(AccessModel::Presence), Some(AccessModel::Whitelist)] {
            assert_eq!(copied(&metadata, access, Some(&data), LIMIT), Copied::Nothing);
        }
        let none = parse("<metadata xmlns='urn:xmpp:avatar:metadata'/>");
        assert_eq!(copied(&none, open, None, LIMIT), Copied::Removed);
        assert_eq!(copied(&none, Some(AccessModel::Presence), None, LIMIT), Copied::Nothing);
        // The image has not been published, or is another one.
        assert_eq!(copied(&metadata, open, None, LIMIT), Copied::Nothing);
        let other = Avatar::new(b"other".to_vec(), None);
        assert_eq!(copied(&metadata, open, Some(&other.data()), LIMIT), Copied::Nothing);
    }

    #[test]
    fn presence_follows_the_avatar() {
        let x = |photo: &str| format!("<presence from='a@b/c'><x xmlns='vcard-temp:x:update'>{photo}</x></presence>");
        let plain = "<presence from='a@b/c'/>".to_owned();
        let (old, new) = (x("<photo>01</photo>"), x("<photo>02</photo>"));
        let rows = [
            (&plain, None, Some("02"), Some(&new)),
            (&old, Some("01"), Some("02"), Some(&new)),
            (&new, Some("01"), Some("02"), None),
            (&x("<photo/>"), None, Some("02"), None),
            (&old, Some("01"), None, Some(&x("<photo/>"))),
            (&plain, Some("01"), None, None),
            (&new, Some("01"), None, None),
        ];
        for (presence, from, to, expected) in rows {
            let changed = announce_change(presence.as_bytes(), from, to).map(|bytes| String::from_utf8(bytes).unwrap());
            let parsed = |text: &str| Element::parse(text.as_bytes()).unwrap();
            let expected = expected.map(|text| parsed(text));
            assert_eq!(changed.map(|text| parsed(&text)), expected, "{presence} {from:?} {to:?}");
        }
    }

    #[test]
    fn the_hash_is_added_to_any_presence() {
        let x = "<x xmlns='vcard-temp:x:update'><photo>01b8</photo></x>";
        let rows = [
            ("<presence/>", format!("<presence>{x}</presence>")),
            ("<presence from='a@b/c' />", format!("<presence from='a@b/c' >{x}</presence>")),
            ("<presence\nid='/>'></presence>", format!("<presence\nid='/>'>{x}</presence>")),
            ("<presence><show>away</show></presence >", format!("<presence><show>away</show>{x}</presence>")),
            ("<p:presence xmlns:p='jabber:client'/>", format!("<p:presence xmlns:p='jabber:client'>{x}</p:presence>")),
        ];
        for (before, after) in rows {
            let mut presence = before.as_bytes().to_vec();
            announce(&mut presence, "01b8");
            assert_eq!(String::from_utf8(presence).unwrap(), after);
        }
        let presence = parse("<presence><x xmlns='vcard-temp:x:update'/><show>away</show></presence>");
        let after = parse(&format!("<presence><show>away</show>{x}</presence>"));
        assert_eq!(announce_instead(presence, "01b8"), after);
    }
}

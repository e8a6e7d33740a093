//! vCards (XEP-0054), and the hash of the photo in them (XEP-0153).
//!
//! A request to read needs what [`get`] says and is answered by [`answer`], whoever asks: everybody may see every card.
//! A change is made by [`set`].

use rondel_storage::{Outcome, Owner, ReadRequest, WriteRequest, vcards};

use super::avatar::Avatar;
use super::delivery::IqType;
use super::unreadable;
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// Advertised by a server whose accounts have cards, and by the accounts (XEP-0054 §4).
pub const FEATURES: &[&str] = &[NAMESPACE];

const NAMESPACE: &str = "vcard-temp";

/// What bounds a card.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VcardLimits {
    /// Bytes of the whole card, its photo included.
    pub bytes_max: usize,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// To see the card. Read [`get`], then [`answer`].
    Get,
    /// To replace one's own card. Write [`Request::Set`]'s value with [`set`].
    Set(NewCard),
}

/// A card that shall be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCard {
    card: Option<vcards::Card>,
    photo: Option<vcards::Photo>,
}

impl Request {
    /// Reads the payload of an IQ, `<vCard/>`, to an account; `is_own` if the sender asks its own.
    pub fn parse(kind: IqType, card: &Element, is_own: bool, limits: &VcardLimits) -> Result<Request, Refusal> {
        match (kind, is_own) {
            (IqType::Get, _) => Ok(Request::Get),
            (IqType::Set, true) => NewCard::read(card, limits).map(Request::Set),
            // Not `<forbidden/>`, which is proposed (§3.2): it would tell that there is such an account (§3.3).
            (IqType::Set, false) => Err(Refusal::service_unavailable()),
            (IqType::Result | IqType::Error, _) => Err(Refusal::bad_request()),
        }
    }
}

impl NewCard {
    /// The card that this element makes.
    pub fn read(card: &Element, limits: &VcardLimits) -> Result<NewCard, Refusal> {
        // A card with nothing in it is none.
        if card.children().next().is_none() {
            return Ok(NewCard { card: None, photo: None });
        }
        let mut xml = Vec::new();
        card.write_to(&mut xml, ns::CLIENT);
        if xml.len() > limits.bytes_max {
            return Err(Refusal::policy_violation().with_text("the vCard is too large"));
        }
        Ok(NewCard { card: Some(vcards::Card { xml }), photo: photo(card) })
    }

    /// The photo in it. `None` if it has none, or one that cannot be read.
    pub fn photo(&self) -> Option<vcards::Photo> {
        self.photo
    }
}

/// What has to be read to show the card of an account, be there one of that name or not.
pub fn get(owner: &Owner) -> ReadRequest {
    vcards::get(owner)
}

/// What has to be written to replace a card. The request is answered with an empty result once it is on disk.
pub fn set(owner: &Owner, card: &NewCard) -> WriteRequest {
    vcards::set(owner, card.card.as_ref(), card.photo)
}

/// The payload of the answer, which stands as it is in a client's stream.
///
/// Somebody else's card that does not exist is answered like one of an account that does not exist (§3.3): the outcome
/// is the same for both.
pub fn answer(owner: &Owner, is_own: bool, outcome: Outcome) -> Result<Vec<u8>, Refusal> {
    match vcards::decode(owner, outcome).map_err(unreadable)? {
        Some(card) => Ok(card.xml),
        None if is_own => Err(Refusal::item_not_found()),
        None => Err(Refusal::service_unavailable()),
    }
}

/// What is known of the photo in a card.
fn photo(card: &Element) -> Option<vcards::Photo> {
    // The card has a limit, and nothing else in it is larger.
    let avatar = Avatar::of_vcard(card, usize::MAX).ok()??;
    Some(vcards::Photo { sha1: avatar.sha1 })
}

#[cfg(test)]
mod tests {
    use super::super::avatar::digits;
    use super::*;
    use rondel_storage::{Family, Operation};

    const LIMITS: VcardLimits = VcardLimits { bytes_max: 400 };

    fn owner() -> Owner {
        Owner::parse("stpeter@jabber.org").unwrap()
    }

    fn parse(kind: IqType, xml: &str, is_own: bool) -> Result<Request, Refusal> {
        Request::parse(kind, &Element::parse(xml.as_bytes()).unwrap(), is_own, &LIMITS)
    }

    fn new_card(xml: &str) -> NewCard {
        match parse(IqType::Set, xml, true) {
            Ok(Request::Set(card)) => card,
            other => panic!("{other:?}"),
        }
    }

    /// What would be kept under `card` and `photo`.
    fn kept(card: &NewCard) -> [Option<Vec<u8>>; 2] {
        let write = set(&owner(), card);
        let values = write.operations().iter().map(|operation| match operation {
            Operation::Put(Family::Vcards, _, value) => Some(value.clone()),
            Operation::Delete(Family::Vcards, _) => None,
            other => panic!("{other:?}"),
        });
        values.collect::<Vec<_>>().try_into().unwrap()
    }

    #[test]
    fn a_card_is_kept_and_shown() {
        // Examples 1, 2 and 5, in part.
        let xml = "<vCard xmlns='vcard-temp'><FN>Peter Saint-Andre</FN><N><FAMILY>Saint-Andre</FAMILY>\
                   <GIVEN>Peter</GIVEN><MIDDLE/></N><EMAIL><INTERNET/><PREF/>\
                   <USERID>stpeter@jabber.org</USERID></EMAIL></vCard>";
        let [card, photo] = kept(&new_card(xml));
        assert_eq!(photo, None);
        assert_eq!(parse(IqType::Get, "<vCard xmlns='vcard-temp'/>", true), Ok(Request::Get));
        for is_own in [true, false] {
            let shown = answer(&owner(), is_own, Outcome::Value(card.clone())).unwrap();
            assert_eq!(String::from_utf8(shown).unwrap(), xml);
        }
    }

    #[test]
    fn what_is_not_there_is_told_apart_by_who_asks() {
        // Examples 3 and 10.
        assert_eq!(answer(&owner(), true, Outcome::Value(None)), Err(Refusal::item_not_found()));
        assert_eq!(answer(&owner(), false, Outcome::Value(None)), Err(Refusal::service_unavailable()));
        assert_eq!(answer(&owner(), false, Outcome::Written).unwrap_err().condition, "internal-server-error");
    }

    #[test]
    fn nobody_changes_the_card_of_another() {
        // Otherwise than in example 7.
        let refusal = parse(IqType::Set, "<vCard xmlns='vcard-temp'><FN>Jeremie</FN></vCard>", false).unwrap_err();
        assert_eq!((refusal.kind, refusal.condition), ("cancel", "service-unavailable"));
    }

    #[test]
    fn a_card_is_removed_by_an_empty_one() {
        assert_eq!(kept(&new_card("<vCard xmlns='vcard-temp'/>")), [None, None]);
    }

    #[test]
    fn a_card_has_a_limit() {
        let name = |length: usize| format!("<vCard xmlns='vcard-temp'><FN>{}</FN></vCard>", "x".repeat(length));
        let frame = name(0).len();
        assert!(parse(IqType::Set, &name(400 - frame), true).is_ok());
        let refusal = parse(IqType::Set, &name(401 - frame), true).unwrap_err();
        assert_eq!(refusal.condition, "policy-violation");
    }

    #[test]
    fn a_photo_has_a_hash() {
        let hash = |photo: &str| {
            let card = new_card(&format!("<vCard xmlns='vcard-temp'><FN/><PHOTO>{photo}</PHOTO></vCard>"));
            card.photo().map(|photo| digits(&photo.sha1))
        };
        // SHA-1 of "abc" (RFC 3174 §7.3), whatever the white space.
        let abc = Some("a9993e364706816aba3e25717850c26c9cd0d89d".to_owned());
        assert_eq!(hash("<TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL>"), abc);
        assert_eq!(hash("<BINVAL>\n  YW\n  Jj\n</BINVAL>"), abc);
        assert_eq!(hash("<BINVAL>YWI</BINVAL>"), hash("<BINVAL>YWI=</BINVAL>"));
        for none in ["", "<BINVAL/>", "<BINVAL>  </BINVAL>", "<BINVAL>Base64-encoded-avatar-file-here!</BINVAL>"] {
            assert_eq!(hash(none), None, "{none}");
        }
        let card = new_card("<vCard xmlns='vcard-temp'><PHOTO><BINVAL>YWJj</BINVAL></PHOTO></vCard>");
        let [_, photo] = kept(&card);
        let photo = vcards::decode_photo(&owner(), Outcome::Value(photo)).unwrap();
        assert_eq!(photo.map(|photo| digits(&photo.sha1)), abc);
    }
}

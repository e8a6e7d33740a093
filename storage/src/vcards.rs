//! vCards (XEP-0054), and the hashes of the photos in them (XEP-0153).
//!
//! Keys: `owner 0x00 card` for [`Card`], `owner 0x00 photo` for [`Photo`], which is there if the card has a photo: the
//! hash is asked for far more often than the card, which is a thousand times as large.

use crate::codec::{LoadError, Versioned};
use crate::reply::Outcome;
use crate::{Family, Owner, ReadRequest, WriteRequest};
use serde::{Deserialize, Serialize};

const FAMILY: Family = Family::Vcards;
const CARD: &[u8] = b"card";
const PHOTO: &[u8] = b"photo";

/// A vCard.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Card {
    /// The element, as it stands in a client's stream.
    pub xml: Vec<u8>,
}

/// What is known of the photo in a vCard.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Photo {
    /// SHA-1 of the image.
    pub sha1: [u8; 20],
}

impl Versioned for Card {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "vcards";
}

impl Versioned for Photo {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "vcards";
}

/// Reads a card; see [`decode`].
pub fn get(owner: &Owner) -> ReadRequest {
    ReadRequest::Get(FAMILY, FAMILY.key(owner, CARD))
}

/// The card in the outcome of [`get`], or `None` if there is none.
pub fn decode(owner: &Owner, outcome: Outcome) -> Result<Option<Card>, LoadError> {
    value(owner, CARD, outcome)
}

/// Reads the hash of a card's photo; see [`decode_photo`].
pub fn get_photo(owner: &Owner) -> ReadRequest {
    ReadRequest::Get(FAMILY, FAMILY.key(owner, PHOTO))
}

/// The hash in the outcome of [`get_photo`], or `None` if there is no photo.
pub fn decode_photo(owner: &Owner, outcome: Outcome) -> Result<Option<Photo>, LoadError> {
    value(owner, PHOTO, outcome)
}

/// Replaces a card and the hash of its photo; `None` removes.
pub fn set(owner: &Owner, card: Option<&Card>, photo: Option<Photo>) -> WriteRequest {
    let request = put(WriteRequest::new(owner.clone()), CARD, card.map(Versioned::encode));
    put(request, PHOTO, photo.map(|photo| photo.encode()))
}

fn put(request: WriteRequest, rest: &[u8], value: Option<Vec<u8>>) -> WriteRequest {
    match value {
        Some(value) => request.put(FAMILY, rest, value),
        None => request.delete(FAMILY, rest),
    }
}

fn value<T: Versioned>(owner: &Owner, rest: &[u8], outcome: Outcome) -> Result<Option<T>, LoadError> {
    match outcome {
        Outcome::Value(value) => Ok(value.map(|value| T::decode(&FAMILY.key(owner, rest), &value)).transpose()?),
        other => Err(LoadError::unexpected(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Store};
    use proptest::prelude::*;

    #[test]
    fn a_card_is_kept_with_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(dir.path())).unwrap();
        let owner = Owner::parse("juliet@example.org").unwrap();
        let kept = || {
            let card = decode(&owner, store.read_blocking(&get(&owner))).unwrap();
            (card, decode_photo(&owner, store.read_blocking(&get_photo(&owner))).unwrap())
        };
        let card = Card { xml: b"<vCard xmlns='vcard-temp'/>".to_vec() };
        let photo = Photo { sha1: [7; 20] };
        assert_eq!(kept(), (None, None));
        for (card, photo) in [(Some(card.clone()), Some(photo)), (Some(card), None), (None, None)] {
            assert_eq!(store.write_blocking(set(&owner, card.as_ref(), photo)), Outcome::Written);
            assert_eq!(kept(), (card, photo));
        }
        assert!(decode(&owner, Outcome::Written).is_err());
    }

    #[test]
    fn the_encodings_of_version_1_stay() {
        assert_eq!(Card { xml: b"<a/>".to_vec() }.encode(), b"\x01\x04<a/>");
        assert_eq!(Photo { sha1: [9; 20] }.encode(), [&[1][..], &[9; 20]].concat());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(value: Vec<u8>) {
            let owner = Owner::parse("juliet@example.org").unwrap();
            decode(&owner, Outcome::Value(Some(value.clone()))).ok();
            decode_photo(&owner, Outcome::Value(Some(value))).ok();
        }
    }
}

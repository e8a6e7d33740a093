//! The ids of archived messages as clients see them.
//!
//! Within, an id is the microsecond in which a message was archived. XEP-0313 §3 wants ids that nobody can foresee. So
//! what is written is the number after a permutation that depends on a secret, in eleven characters.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip::SipHasher24;
use std::hash::Hasher;

/// Characters of an id.
pub const ID_CHARACTERS: usize = 11;

/// Rounds of the permutation: four make one that cannot be told from a random one, even by who may invert it.
const ROUNDS: u8 = 4;

/// Writes and reads ids. The secret has to be kept for as long as the archives: with another one, no client finds the
/// place where it stopped reading.
#[derive(Clone, Copy)]
pub struct ArchiveIds {
    secret: [u8; 16],
}

/// An id as it is written: letters, digits, `-` and `_`, none of which has to be escaped.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct IdText([u8; ID_CHARACTERS]);

impl ArchiveIds {
    /// With this secret.
    pub fn new(secret: [u8; 16]) -> ArchiveIds {
        ArchiveIds { secret }
    }

    /// An id as clients see it.
    pub fn text(&self, id: u64) -> IdText {
        let mut text = [0; ID_CHARACTERS];
        // Eight bytes make eleven characters.
        let written = URL_SAFE_NO_PAD.encode_slice(self.permuted(id).to_be_bytes(), &mut text);
        debug_assert_eq!(written, Ok(ID_CHARACTERS));
        IdText(text)
    }

    /// The id in what a client has sent. `None` for what is no id: there is no such message.
    pub fn parse(&self, text: &str) -> Option<u64> {
        let mut bytes = [0; 9];
        if text.len() != ID_CHARACTERS || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(8) {
            return None;
        }
        bytes.first_chunk().map(|bytes| self.restored(u64::from_be_bytes(*bytes)))
    }

    fn permuted(&self, id: u64) -> u64 {
        let (mut left, mut right) = halves(id);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.mixed(round, right));
        }
        joined(left, right)
    }

    fn restored(&self, id: u64) -> u64 {
        let (mut left, mut right) = halves(id);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.mixed(round, left), left);
        }
        joined(left, right)
    }

    fn mixed(&self, round: u8, half: u32) -> u32 {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write(&[round]);
        hasher.write(&half.to_be_bytes());
        hasher.finish() as u32
    }
}

impl IdText {
    /// The text.
    pub fn as_str(&self) -> &str {
        // Base64 is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for IdText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

fn halves(id: u64) -> (u32, u32) {
    ((id >> 32) as u32, id as u32)
}

fn joined(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDS: ArchiveIds = ArchiveIds { secret: *b"0123456789abcdef" };

    /// Stored by clients: neither the permutation nor the alphabet may ever change.
    #[test]
    fn the_text_of_an_id_stays() {
        assert_eq!(IDS.text(0).as_str(), "SND2N9ouoPI");
        assert_eq!(IDS.text(1_752_000_000_000_000).as_str(), "l2Cf7Kkc0jk");
        assert_eq!(IDS.text(1_752_000_000_000_001).as_str(), "cBoUGMa7-5o");
        assert_ne!(ArchiveIds::new([0; 16]).text(0), IDS.text(0));
    }

    #[test]
    fn what_is_no_id() {
        let text = IDS.text(7);
        for wrong in ["", "28482-98726-73623", &text.as_str()[1..], &format!("{text:?}="), "ééééé1", "..........."]
        {
            assert_eq!(IDS.parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn ids_come_back(id: u64, secret: [u8; 16]) {
            let ids = ArchiveIds::new(secret);
            prop_assert_eq!(ids.parse(ids.text(id).as_str()), Some(id));
        }

        #[test]
        fn an_id_has_one_text(text in "[A-Za-z0-9_-]{11}") {
            if let Some(id) = IDS.parse(&text) {
                let written = IDS.text(id);
                prop_assert_eq!(written.as_str(), text);
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            IDS.parse(&text);
        }
    }
}

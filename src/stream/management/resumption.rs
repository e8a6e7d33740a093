//! The name by which a client claims its session on another connection (XEP-0198 §5, *SM-ID*).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::random;

/// Random bytes of a name: 144 bits, which nobody guesses, and which base64 writes without a rest.
const BYTES: usize = 18;

/// Characters of a name.
const CHARACTERS: usize = BYTES / 3 * 4;

/// The name of a session that can be resumed: random, so that it says nothing of its session, and never given again.
///
/// It needs to lead nowhere. Whoever resumes has logged in before and is at home where its account is; there the name
/// is compared with those of the account's own sessions. Nothing of another account can be claimed with it.
#[derive(Clone)]
pub struct ResumptionId([u8; BYTES]);

impl ResumptionId {
    /// A new name.
    pub fn new() -> ResumptionId {
        ResumptionId(random::bytes())
    }

    /// The name as it is written in `<enabled/>` and `<resumed/>`; nothing in it needs escaping.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Whether a client has said this name. How long the answer takes does not tell how much of it was right.
    pub fn is(&self, previd: &str) -> bool {
        let mut text = [0; CHARACTERS];
        let length = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).unwrap_or_default();
        length == CHARACTERS && text.ct_eq(previd.as_bytes()).into()
    }
}

impl Default for ResumptionId {
    fn default() -> ResumptionId {
        ResumptionId::new()
    }
}

/// A secret is not printed.
impl fmt::Debug for ResumptionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ResumptionId(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_name_is_the_name() {
        let id = ResumptionId::new();
        let text = id.to_text();
        assert_eq!(text.len(), CHARACTERS);
        assert!(id.is(&text) && id.clone().is(&text));
        for other in ["", &text[1..], &format!("{text}="), &format!("{text}\0"), " "] {
            assert!(!id.is(other), "{other}");
        }
        for place in 0..CHARACTERS {
            let mut other = text.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            assert!(!id.is(std::str::from_utf8(&other).unwrap()));
        }
        assert!(!ResumptionId::new().is(&text));
        assert!(!format!("{id:?}").contains(&text));
    }
}

//! Invitations: their tokens, and the addresses that people are given (XEP-0401, XEP-0445, XEP-0379).

use rondel_storage::invites::Invite;

use crate::jid::Jid;
use crate::random;

/// Characters of a token, so many bits that nobody guesses one: 24 of 62 are 142.
const TOKEN_CHARS: usize = 24;

/// What a token is made of: nothing that an address would have to escape (XEP-0401 §3.4).
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// What accounts may invite others to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum UserInvites {
    /// To nothing.
    #[default]
    Nothing,
    /// To become contacts.
    Contacts,
    /// To make an account, and become contacts.
    Accounts,
}

/// What invitations are like that accounts make.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InviteRules {
    /// What accounts may invite others to.
    pub users: UserInvites,
    /// Invitations of one account that may be open at once.
    pub open_max: usize,
    /// For how long they hold, in seconds.
    pub lifetime_s: u64,
}

/// A new token.
pub fn token() -> String {
    let mut token = String::with_capacity(TOKEN_CHARS);
    while token.len() < TOKEN_CHARS {
        // 248 is the largest multiple of 62 in a byte: every character is as likely as any other.
        let usable = random::bytes::<64>().into_iter().filter(|byte| *byte < 248);
        token.extend(usable.take(TOKEN_CHARS - token.len()).map(|byte| char::from(ALPHABET[usize::from(byte) % 62])));
    }
    token
}

/// Whether something may be a token: what is not need not be looked for.
pub fn is_token(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// What whoever is invited to a domain opens.
pub fn invite_uri(domain: &str, invite: &Invite, token: &str) -> String {
    let (inviter, username) = (invite.inviter.as_deref(), invite.username.as_deref());
    // With a name that is fixed, the account is to be made first.
    match inviter.and_then(|inviter| Jid::parse(inviter).ok()).filter(|_| invite.befriends && username.is_none()) {
        Some(inviter) => roster_uri(&inviter, token, invite.registers),
        None => register_uri(domain, username, token),
    }
}

/// What whoever is invited opens to make an account on a domain (XEP-0445 §3), under a name if that is fixed.
fn register_uri(domain: &str, username: Option<&str>, token: &str) -> String {
    let path = username.map_or_else(|| domain.to_owned(), |username| format!("{username}@{domain}"));
    format!("xmpp:{}?register;preauth={token}", escaped(&path))
}

/// What whoever is invited opens to become somebody's contact (XEP-0379 §3.2), and with `registers` to make an account
/// first if there is none (XEP-0401 §3.2).
fn roster_uri(inviter: &Jid<'_>, token: &str, registers: bool) -> String {
    let more = if registers { ";ibr=y" } else { "" };
    format!("xmpp:{}?roster;preauth={token}{more}", escaped(inviter.bare()))
}

/// A JID as the path of a URI (RFC 5122 §2.2): what is no letter of a URI is written as its bytes.
fn escaped(jid: &str) -> String {
    let mut escaped = String::with_capacity(jid.len());
    for byte in jid.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            true => escaped.push(char::from(byte)),
            false => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_different_and_have_every_letter() {
        let tokens: Vec<String> = (0..200).map(|_| token()).collect();
        let distinct: std::collections::HashSet<_> = tokens.iter().collect();
        assert_eq!(distinct.len(), tokens.len());
        assert!(tokens.iter().all(|token| token.len() == TOKEN_CHARS && is_token(token)));
        let letters: std::collections::HashSet<char> = tokens.iter().flat_map(|token| token.chars()).collect();
        assert_eq!(letters.len(), ALPHABET.len());
        for wrong in ["", "a b", "a'", &"x".repeat(129)] {
            assert!(!is_token(wrong), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_those_of_the_specifications() {
        assert_eq!(register_uri("x.org", None, "T"), "xmpp:x.org?register;preauth=T");
        assert_eq!(register_uri("x.org", Some("juliet"), "T"), "xmpp:juliet@x.org?register;preauth=T");
        let juliet = Jid::parse("jülia#1@x.org").unwrap();
        assert_eq!(roster_uri(&juliet, "T", true), "xmpp:j%C3%BClia%231@x.org?roster;preauth=T;ibr=y");
        assert_eq!(roster_uri(&juliet, "T", false), "xmpp:j%C3%BClia%231@x.org?roster;preauth=T");
    }
}

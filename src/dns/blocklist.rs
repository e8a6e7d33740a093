//! Block lists of addresses in the domain name system (RFC 5782).

use std::net::{IpAddr, Ipv4Addr};

/// What a list says of an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listing {
    /// It is on it.
    Yes,
    /// It is not.
    No,
    /// The list does not answer, or not as one does.
    Unknown,
}

/// The name under which an address is looked for in a list (RFC 5782 §2.1, §2.4). Ends with a dot.
pub fn question(address: IpAddr, zone: &str) -> String {
    let reversed: Vec<String> = match address.to_canonical() {
        IpAddr::V4(address) => address.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
            nibbles.rev().map(|nibble| format!("{nibble:x}")).collect()
        }
    };
    format!("{}.{}.", reversed.join("."), zone.trim_end_matches('.'))
}

/// What addresses in an answer say. Those of lists lie in 127.0.0.0/8 (RFC 5782 §2.1): whatever else comes is from
/// somebody who answers instead of the list. 127.255.255.0/24 says that the question is refused.
pub fn listing(answers: impl Iterator<Item = Ipv4Addr>) -> Listing {
    answers.fold(Listing::No, |listing, answer| match answer.octets() {
        [127, 255, 255, _] | [127, 0, 0, 1] if listing == Listing::No => Listing::Unknown,
        [127, 255, 255, _] | [127, 0, 0, 1] => listing,
        [127, ..] => Listing::Yes,
        _ if listing == Listing::No => Listing::Unknown,
        _ => listing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_rfc_5782() {
        assert_eq!(question("192.0.2.99".parse().unwrap(), "bad.example.com"), "99.2.0.192.bad.example.com.");
        assert_eq!(question("::ffff:192.0.2.99".parse().unwrap(), "x."), "99.2.0.192.x.");
        let name = question("2001:db8:1:2:3:4:567:89ab".parse().unwrap(), "ugly.example.com");
        assert_eq!(name, "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com.");
    }

    #[test]
    fn only_answers_of_a_list_count() {
        let listing = |answers: &[&str]| listing(answers.iter().map(|answer| answer.parse().unwrap()));
        assert_eq!(listing(&[]), Listing::No);
        assert_eq!(listing(&["127.0.0.2"]), Listing::Yes);
        assert_eq!(listing(&["127.0.0.11", "127.0.0.1"]), Listing::Yes);
        assert_eq!(listing(&["127.0.0.1"]), Listing::Unknown);
        assert_eq!(listing(&["127.255.255.254"]), Listing::Unknown, "the list refuses to answer");
        assert_eq!(listing(&["192.0.2.1"]), Listing::Unknown, "somebody rewrites answers");
    }
}

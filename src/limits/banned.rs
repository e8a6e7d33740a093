//! Addresses that are not let in, as shards look at them: for each one that connects, in a time that depends on how
//! many lengths of prefixes there are, not on how many bans.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::registration::Network;

/// Networks that are banned, each until some time.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Banned {
    /// Until when, in seconds since 1970.
    until_s: HashMap<Network, u64>,
    /// The lengths of the prefixes that there are, for each family of addresses.
    lengths: [Vec<u8>; 2],
}

impl Banned {
    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.until_s.is_empty()
    }

    /// Whether an address is banned at this time, in seconds since 1970.
    pub fn has(&self, address: IpAddr, now_s: u64) -> bool {
        self.ends(address).any(|until_s| now_s < until_s)
    }

    /// Until when an address is banned, if it is at this time, in seconds since 1970; `None` within: for good.
    pub fn until(&self, address: IpAddr, now_s: u64) -> Option<Option<u64>> {
        let until_s = self.ends(address).filter(|until_s| now_s < *until_s).max()?;
        Some((until_s != u64::MAX).then_some(until_s))
    }

    /// When the bans end that an address is in.
    fn ends(&self, address: IpAddr) -> impl Iterator<Item = u64> {
        let address = address.to_canonical();
        let networks = self.lengths[usize::from(address.is_ipv6())].iter();
        let networks = networks.filter_map(move |length| Network::around(address, *length));
        networks.filter_map(|network| self.until_s.get(&network)).copied()
    }
}

impl FromIterator<(Network, u64)> for Banned {
    fn from_iter<I: IntoIterator<Item = (Network, u64)>>(bans: I) -> Banned {
        let mut banned = Banned::default();
        for (network, until_s) in bans {
            let lengths = &mut banned.lengths[usize::from(network.is_ipv6())];
            if !lengths.contains(&network.length()) {
                lengths.push(network.length());
            }
            banned.until_s.insert(network, until_s);
        }
        banned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn banned(bans: &[(&str, u64)]) -> Banned {
        bans.iter().map(|(network, until_s)| (network.parse().unwrap(), *until_s)).collect()
    }

    #[test]
    fn a_ban_ends_and_another_one_around_it_stays() {
        let banned = banned(&[("192.0.2.0/24", 10), ("192.0.0.0/16", 20), ("2001:db8::/32", u64::MAX)]);
        let has = |address: &str, now_s| banned.has(address.parse().unwrap(), now_s);
        assert!(has("192.0.2.1", 9) && has("192.0.2.1", 10) && !has("192.0.2.1", 20));
        assert!(has("::ffff:192.0.2.1", 9), "an address of IPv4 in one of IPv6");
        assert!(has("2001:db8:ffff::1", 1 << 40) && !has("2001:db9::", 0) && !has("198.51.100.1", 0));
        assert!(Banned::default().is_empty() && !banned.is_empty());
        let until = |address: &str, now_s| banned.until(address.parse().unwrap(), now_s);
        assert_eq!((until("192.0.2.1", 9), until("192.0.2.1", 20)), (Some(Some(20)), None));
        assert_eq!(until("2001:db8::1", 9), Some(None));
    }

    proptest! {
        #[test]
        fn finding_is_the_same_as_looking_at_each(all: Vec<(u32, u8)>, asked: u32) {
            let all: Vec<Network> = all
                .into_iter()
                .filter_map(|(address, length)| Network::around(IpAddr::from(address.to_be_bytes()), length % 33))
                .collect();
            let banned: Banned = all.iter().map(|network| (*network, 1)).collect();
            let address = IpAddr::from(asked.to_be_bytes());
            prop_assert_eq!(banned.has(address, 0), all.iter().any(|network| network.contains(address)));
        }
    }
}

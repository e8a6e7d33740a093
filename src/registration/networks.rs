//! Lists of addresses and networks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// An address or a network in CIDR notation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Network(IpNet);

/// What is neither an address nor a network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{0}\" is neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32")]
pub struct ParseNetworkError(String);

impl Network {
    /// That of so long a prefix in which an address is; `None` if there is no such length.
    pub fn around(address: IpAddr, length: u8) -> Option<Network> {
        IpNet::new(address, length).ok().map(|network| Network(network.trunc()))
    }

    /// Whether it is one of IPv6.
    pub fn is_ipv6(&self) -> bool {
        matches!(self.0, IpNet::V6(_))
    }

    /// The bits of its prefix.
    pub fn length(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether an address is in it. One of IPv4 that is written as one of IPv6 is taken for what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Network, ParseNetworkError> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(|network| Network(network.trunc())).map_err(|_| ParseNetworkError(text.to_owned()))
    }
}

/// A set of networks; finding an address takes a few comparisons however many there are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Networks {
    // Disjoint, in the order of their first addresses.
    sorted: Vec<IpNet>,
}

impl Networks {
    /// Whether an address is in one of them. One of IPv4 that is written as one of IPv6 is taken for what it is.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let behind = self.sorted.partition_point(|network| network.network() <= address);
        behind.checked_sub(1).and_then(|at| self.sorted.get(at)).is_some_and(|network| network.contains(&address))
    }

    /// Reads a list: one entry a line; `#` begins a comment. An error says in which line (from 1) it is.
    pub fn parse(text: &str) -> Result<Networks, (usize, ParseNetworkError)> {
        let entries = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let entries = (1..).zip(entries).filter(|(_, entry)| !entry.is_empty());
        entries.map(|(line, entry)| entry.parse::<Network>().map_err(|error| (line, error))).collect()
    }

    /// Those of both.
    pub fn join(self, other: Networks) -> Networks {
        self.sorted.into_iter().chain(other.sorted).map(Network).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Networks {
        let networks: Vec<IpNet> = networks.into_iter().map(|Network(network)| network).collect();
        let mut sorted = IpNet::aggregate(&networks);
        sorted.sort_unstable_by_key(|network| network.network());
        Networks { sorted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_have_comments_and_say_where_they_are_wrong() {
        let list = "# ours\n192.0.2.0/24\n\n2001:db8::/32 # and that\n198.51.100.7\n";
        let networks = Networks::parse(list).unwrap();
        let contain = |address: &str| networks.contain(address.parse().unwrap());
        assert!(contain("192.0.2.255") && contain("2001:db8:ffff::1") && contain("198.51.100.7"));
        assert!(contain("::ffff:192.0.2.1"), "an address of IPv4 in one of IPv6");
        assert!(!contain("192.0.3.0") && !contain("2001:db9::") && !contain("198.51.100.8"));
        let (line, error) = Networks::parse("192.0.2.1\n192.0.2.0/33").unwrap_err();
        assert_eq!(line, 2);
        assert!(error.to_string().starts_with("\"192.0.2.0/33\" is neither"), "{error}");
    }

    proptest! {
        #[test]
        fn finding_is_the_same_as_looking_at_each(all: Vec<(u32, u8)>, asked: u32) {
            let all: Vec<IpNet> = all
                .into_iter()
                .map(|(address, length)| IpNet::new(IpAddr::from(address.to_be_bytes()), length % 33).unwrap().trunc())
                .collect();
            let address = IpAddr::from(asked.to_be_bytes());
            let networks: Networks = all.iter().map(|network| Network(*network)).collect();
            prop_assert_eq!(networks.contain(address), all.iter().any(|network| network.contains(&address)));
        }
    }
}

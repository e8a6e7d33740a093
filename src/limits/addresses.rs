//! Limits per client address: connections at once, new connections, failed logins. An IPv6 client is its /64, because
//! whoever has one address there has all of them.

use std::net::{IpAddr, Ipv6Addr};

use hashbrown::HashMap;
use rondel_shards::{Rate, TokenBucket};

/// The limits, as one shard applies them.
#[derive(Clone, Copy, Debug)]
pub struct AddressLimits {
    /// Connections at once.
    pub connections_max: u32,
    /// New connections.
    pub connections: Rate,
    /// Failed logins.
    pub failures: Rate,
    /// Failed logins of one connection.
    pub tries: f64,
    /// Connections at once where they have come to after login: all of an address's may have the same home.
    pub arrivals_max: u32,
}

impl AddressLimits {
    /// The share of one shard of limits that hold for the whole server. Never less than one of each, and never fewer
    /// failures at once than one connection may have tries, all of which one shard sees.
    pub fn divided_by(self, shards: usize) -> AddressLimits {
        let divide = |rate: Rate| Rate {
            per_second: rate.per_second / shards as f64,
            burst: (rate.burst / shards as f64).max(1.0),
        };
        AddressLimits {
            connections_max: self.connections_max.div_ceil(shards as u32).max(1),
            connections: divide(self.connections),
            failures: Rate {
                burst: divide(self.failures).burst.max(self.tries.min(self.failures.burst)),
                ..divide(self.failures)
            },
            ..self
        }
    }
}

/// Why an address may not connect or log in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Too many connections at once.
    #[error("too many connections of one address (--max-connections-per-address)")]
    TooManyConnections,
    /// Too many new ones in a short time.
    #[error("too many new connections of one address (--connection-rate)")]
    TooFast,
    /// Too many failed logins.
    #[error("too many failed logins of one address (--login-rate)")]
    TooManyFailures,
}

/// The addresses that a shard has to remember.
pub struct Addresses {
    limits: AddressLimits,
    known: HashMap<IpAddr, Known>,
    /// Size of the table at which what has recovered is forgotten next.
    sweep_at: usize,
}

#[derive(Clone, Copy)]
struct Known {
    connections: u32,
    arrivals: TokenBucket,
    failures: TokenBucket,
}

const SWEEP_AT: usize = 1024;

impl Addresses {
    /// Nobody is known yet.
    pub fn new(limits: AddressLimits) -> Addresses {
        Addresses { limits, known: HashMap::new(), sweep_at: SWEEP_AT }
    }

    /// A connection arrives. On success [`Addresses::disconnected`] has to follow.
    pub fn connected(&mut self, address: IpAddr, now_ms: u64) -> Result<(), Refusal> {
        self.sweep(now_ms);
        let limits = self.limits;
        let known = self.entry(address, now_ms);
        if known.connections >= limits.connections_max {
            return Err(Refusal::TooManyConnections);
        }
        known.arrivals.take(limits.connections, 1.0, now_ms).map_err(|_| Refusal::TooFast)?;
        known.connections += 1;
        Ok(())
    }

    /// A connection has ended, or moved to another shard.
    pub fn disconnected(&mut self, address: IpAddr) {
        if let Some(known) = self.known.get_mut(&prefix(address)) {
            known.connections = known.connections.saturating_sub(1);
        }
    }

    /// A connection has moved here from another shard. [`Addresses::disconnected`] has to follow in any case.
    pub fn moved_in(&mut self, address: IpAddr, now_ms: u64) -> Result<(), Refusal> {
        let most = self.limits.arrivals_max;
        let known = self.entry(address, now_ms);
        known.connections += 1;
        if known.connections > most { Err(Refusal::TooManyConnections) } else { Ok(()) }
    }

    /// Whether the address may try to log in.
    pub fn may_log_in(&mut self, address: IpAddr, now_ms: u64) -> Result<(), Refusal> {
        let limits = self.limits;
        let Some(known) = self.known.get_mut(&prefix(address)) else { return Ok(()) };
        if known.failures.available(limits.failures, now_ms) < 1.0 {
            return Err(Refusal::TooManyFailures);
        }
        Ok(())
    }

    /// A login has failed.
    pub fn login_failed(&mut self, address: IpAddr, now_ms: u64) {
        let limits = self.limits;
        // Tries that were under way at the same time were let in together; those beyond the burst are owed.
        self.entry(address, now_ms).failures.charge(limits.failures, 1.0, now_ms);
    }

    /// What an address has used, if anything is known of it: its connections, and the new ones and failed logins that
    /// it may still have at once.
    pub fn used(&mut self, address: IpAddr, now_ms: u64) -> Option<(u32, f64, f64)> {
        let limits = self.limits;
        let known = self.known.get_mut(&prefix(address))?;
        let arrivals = known.arrivals.available(limits.connections, now_ms);
        Some((known.connections, arrivals, known.failures.available(limits.failures, now_ms)))
    }

    fn entry(&mut self, address: IpAddr, now_ms: u64) -> &mut Known {
        let limits = self.limits;
        self.known.entry(prefix(address)).or_insert_with(|| Known {
            connections: 0,
            arrivals: TokenBucket::full(limits.connections, now_ms),
            failures: TokenBucket::full(limits.failures, now_ms),
        })
    }

    /// Forgets, when the table has doubled, whoever has nothing open and nothing to recover from.
    fn sweep(&mut self, now_ms: u64) {
        if self.known.len() < self.sweep_at {
            return;
        }
        let limits = self.limits;
        self.known.retain(|_, known| {
            known.connections > 0
                || !known.arrivals.is_full(limits.connections, now_ms)
                || !known.failures.is_full(limits.failures, now_ms)
        });
        self.sweep_at = (self.known.len() * 2).max(SWEEP_AT);
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 /64.
pub fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> AddressLimits {
        let rate = Rate { per_second: 1.0, burst: 4.0 };
        AddressLimits { connections_max: 3, connections: rate, failures: rate, tries: 3.0, arrivals_max: 3 }
    }

    #[test]
    fn an_ipv6_client_is_its_network_and_a_mapped_one_its_ipv4_address() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(prefix(address("2001:db8::1:2:3:4")), address("2001:db8::"));
        assert_eq!(prefix(address("::ffff:192.0.2.7")), address("192.0.2.7"));
    }

    #[test]
    fn connections_are_counted_and_paced() {
        let mut addresses = Addresses::new(limits());
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..3 {
            assert_eq!(addresses.connected(client, 0), Ok(()));
        }
        assert_eq!(addresses.connected(client, 0), Err(Refusal::TooManyConnections));
        addresses.disconnected(client);
        assert_eq!(addresses.connected(client, 0), Ok(()));
        addresses.disconnected(client);
        assert_eq!(addresses.connected(client, 0), Err(Refusal::TooFast));
        assert_eq!(addresses.connected(client, 1000), Ok(()));
        assert_eq!(addresses.connected("192.0.2.2".parse().unwrap(), 0), Ok(()));
    }

    #[test]
    fn failed_logins_close_the_door_for_a_while() {
        let mut addresses = Addresses::new(limits());
        let client: IpAddr = "2001:db8::1".parse().unwrap();
        for _ in 0..4 {
            assert_eq!(addresses.may_log_in(client, 0), Ok(()));
            addresses.login_failed(client, 0);
        }
        assert_eq!(addresses.may_log_in("2001:db8::2".parse().unwrap(), 0), Err(Refusal::TooManyFailures));
        assert_eq!(addresses.may_log_in(client, 1000), Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_is_forgotten_again() {
        let mut addresses = Addresses::new(limits());
        for client in 0..100_000u32 {
            let address = IpAddr::from(client.to_be_bytes());
            addresses.connected(address, u64::from(client) * 10).unwrap();
            addresses.disconnected(address);
        }
        assert!(addresses.known.len() < 3000, "{}", addresses.known.len());
    }

    #[test]
    fn a_share_is_never_nothing() {
        let share = limits().divided_by(16);
        assert_eq!((share.connections_max, share.connections.burst), (1, 1.0));
        assert_eq!(share.failures.burst, 3.0, "a person may mistype on one connection");
    }

    #[test]
    fn tries_at_the_same_time_are_owed() {
        let mut addresses = Addresses::new(limits());
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        (0..10).for_each(|_| addresses.login_failed(client, 0));
        assert_eq!(addresses.may_log_in(client, 6_000), Err(Refusal::TooManyFailures));
        assert_eq!(addresses.may_log_in(client, 7_000), Ok(()));
    }
}

//! How often accounts are made: from one address, and altogether. What is exact here is exact for the server: all
//! requests to register pass one throttle, and what counts for a day is read from the log of registrations at the
//! start.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};

use hashbrown::HashMap;

use crate::stream::Refusal;

/// For how long an account counts against the address from which it was made.
pub const DAY_US: u64 = 86_400 * 1_000_000;

/// Tries of one address that may fail within the interval without its having to wait for the next: people mistype, and
/// find that a name is taken.
const CORRECTIONS_MAX: u8 = 5;

/// How many bits of an address say whose it is: all addresses that have them in common count as one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Prefixes {
    /// Of IPv4, at most 32.
    pub v4_bits: u8,
    /// Of IPv6, at most 128.
    pub v6_bits: u8,
}

impl Prefixes {
    /// The first address of those that an address is counted with.
    pub fn first_of(&self, address: IpAddr) -> IpAddr {
        let keep = |bits: u8, width: u32| width.saturating_sub(u32::from(bits));
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(keep(self.v4_bits, 32)).unwrap_or(0);
                IpAddr::from((u32::from(address) & mask).to_be_bytes())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(keep(self.v6_bits, 128)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
            }
        }
    }
}

/// What bounds registrations in time. A bound of zero does not hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ThrottleLimits {
    /// Which addresses count as one.
    pub prefixes: Prefixes,
    /// From one try of an address to its next, in microseconds. Few that fail are not counted.
    pub interval_us: u64,
    /// Accounts of one address within a day.
    pub per_day: usize,
    /// From one try to the next of the whole server, on average, in microseconds.
    pub server_interval_us: u64,
    /// Tries of the whole server at once, after some time without any.
    pub server_burst: u64,
    /// Addresses that are remembered. When there are more, nobody registers for a while.
    pub addresses_max: usize,
}

/// Why an account is not to be had just now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ThrottleFault {
    /// The address has tried just before.
    TooSoon,
    /// The address has had its accounts for a day.
    TooMany,
    /// Too many register, or try to, on the whole server.
    Busy,
}

impl From<ThrottleFault> for Refusal {
    fn from(fault: ThrottleFault) -> Refusal {
        Refusal::new("wait", "policy-violation").with_text(match fault {
            ThrottleFault::TooSoon | ThrottleFault::TooMany => "Too many registrations from this address.",
            ThrottleFault::Busy => "Too many registrations just now.",
        })
    }
}

/// What is known of an address.
#[derive(Debug, Default)]
struct Known {
    /// When its last try was let pass that counts, in microseconds since 1970; zero: never.
    tried_us: u64,
    /// How many do not count since when.
    corrections: u8,
    /// See `corrections`.
    corrected_us: u64,
    /// When its accounts of the last day were made.
    made_us: VecDeque<u64>,
    /// Tries that were let pass and have not come to an end.
    open: usize,
}

impl Known {
    fn forget_old(&mut self, now_us: u64) {
        while self.made_us.front().is_some_and(|at_us| at_us.saturating_add(DAY_US) <= now_us) {
            self.made_us.pop_front();
        }
    }

    fn is_of_use(&mut self, limits: &ThrottleLimits, now_us: u64) -> bool {
        self.forget_old(now_us);
        let last_us = self.tried_us.max(self.corrected_us);
        self.open > 0 || !self.made_us.is_empty() || now_us.saturating_sub(last_us) < limits.interval_us
    }
}

/// Lets tries to register pass or not.
#[derive(Debug)]
pub struct Throttle {
    limits: ThrottleLimits,
    known: HashMap<IpAddr, Known>,
    /// When the bucket of the whole server will be full again, in microseconds since 1970.
    full_us: u64,
}

impl Throttle {
    /// One that knows of nobody.
    pub fn new(limits: ThrottleLimits) -> Throttle {
        Throttle { limits, known: HashMap::new(), full_us: 0 }
    }

    /// Other limits from now on; what is known stays, unless other addresses count as one.
    pub fn set_limits(&mut self, limits: ThrottleLimits) {
        if limits.prefixes != self.limits.prefixes {
            let known = std::mem::take(&mut self.known);
            for (address, old) in known {
                let new = self.known.entry(limits.prefixes.first_of(address)).or_default();
                new.tried_us = new.tried_us.max(old.tried_us);
                new.made_us.extend(old.made_us);
                new.made_us.make_contiguous().sort_unstable();
                new.open += old.open;
            }
        }
        self.limits = limits;
    }

    /// Notes an account that was made at this time, as the log has it.
    pub fn remember(&mut self, address: IpAddr, at_us: u64) {
        let known = self.known.entry(self.limits.prefixes.first_of(address)).or_default();
        known.tried_us = known.tried_us.max(at_us);
        let behind = known.made_us.partition_point(|made_us| *made_us <= at_us);
        known.made_us.insert(behind, at_us);
    }

    /// Whether somebody may try to register now. Who may is to be followed by [`Throttle::ended`].
    pub fn may_try(&mut self, address: IpAddr, now_us: u64) -> Result<(), ThrottleFault> {
        let (limits, address) = (self.limits, self.limits.prefixes.first_of(address));
        if let Some(known) = self.known.get_mut(&address) {
            known.forget_old(now_us);
            if limits.interval_us > 0 && now_us.saturating_sub(known.tried_us) < limits.interval_us {
                return Err(ThrottleFault::TooSoon);
            }
            if limits.per_day > 0 && known.made_us.len() + known.open >= limits.per_day {
                return Err(ThrottleFault::TooMany);
            }
        } else if self.known.len() >= limits.addresses_max {
            self.known.retain(|_, known| known.is_of_use(&limits, now_us));
            if self.known.len() >= limits.addresses_max {
                return Err(ThrottleFault::Busy);
            }
        }
        if limits.server_interval_us > 0 {
            let full_us = self.full_us.max(now_us) + limits.server_interval_us;
            if full_us - now_us > limits.server_burst.max(1).saturating_mul(limits.server_interval_us) {
                return Err(ThrottleFault::Busy);
            }
            self.full_us = full_us;
        }
        let known = self.known.entry(address).or_default();
        if now_us.saturating_sub(known.corrected_us) >= limits.interval_us {
            (known.corrections, known.corrected_us) = (0, now_us);
        }
        known.tried_us = now_us;
        known.open += 1;
        Ok(())
    }

    /// A try has come to its end: an account was made at this time, or none.
    pub fn ended(&mut self, address: IpAddr, made_us: Option<u64>) {
        let first = self.limits.prefixes.first_of(address);
        if let Some(known) = self.known.get_mut(&first) {
            known.open = known.open.saturating_sub(1);
            // With another one under way, or made since, it is not this try that is waited for.
            if made_us.is_none() && known.open == 0 && known.corrections < CORRECTIONS_MAX {
                known.corrections += 1;
                known.tried_us = 0;
            }
        }
        if let Some(made_us) = made_us {
            self.remember(address, made_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000;
    const LIMITS: ThrottleLimits = ThrottleLimits {
        prefixes: Prefixes { v4_bits: 32, v6_bits: 64 },
        interval_us: 600 * SECOND,
        per_day: 3,
        server_interval_us: 0,
        server_burst: 0,
        addresses_max: 1000,
    };

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// Tries, and makes an account if it may.
    fn register(throttle: &mut Throttle, address: IpAddr, now_us: u64) -> Result<(), ThrottleFault> {
        throttle.may_try(address, now_us).map(|()| throttle.ended(address, Some(now_us)))
    }

    #[test]
    fn an_address_waits_and_has_so_many_a_day() {
        let mut throttle = Throttle::new(LIMITS);
        let at = |minutes: u64| (1 << 50) | (minutes * 60 * SECOND);
        assert_eq!(register(&mut throttle, address(1), at(0)), Ok(()));
        assert_eq!(register(&mut throttle, address(1), at(9)), Err(ThrottleFault::TooSoon));
        assert_eq!(register(&mut throttle, address(2), at(9)), Ok(()));
        assert_eq!(register(&mut throttle, address(1), at(10)), Ok(()));
        assert_eq!(register(&mut throttle, address(1), at(20)), Ok(()));
        assert_eq!(register(&mut throttle, address(1), at(30)), Err(ThrottleFault::TooMany));
        assert_eq!(register(&mut throttle, address(1), at(24 * 60)), Ok(()));
    }

    #[test]
    fn who_mistypes_need_not_wait_a_few_times() {
        let mut throttle = Throttle::new(LIMITS);
        let now_us = 1 << 50;
        for _ in 0..CORRECTIONS_MAX {
            assert_eq!(throttle.may_try(address(1), now_us), Ok(()));
            assert_eq!(throttle.may_try(address(1), now_us), Err(ThrottleFault::TooSoon), "while it is under way");
            throttle.ended(address(1), None);
        }
        assert_eq!(throttle.may_try(address(1), now_us), Ok(()));
        throttle.ended(address(1), None);
        assert_eq!(throttle.may_try(address(1), now_us + 599 * SECOND), Err(ThrottleFault::TooSoon));
        assert_eq!(throttle.may_try(address(1), now_us + 600 * SECOND), Ok(()));
        throttle.ended(address(1), None);
        assert_eq!(register(&mut throttle, address(1), now_us + 601 * SECOND), Ok(()));
        assert_eq!(throttle.may_try(address(1), now_us + 602 * SECOND), Err(ThrottleFault::TooSoon));
    }

    #[test]
    fn what_is_under_way_counts_until_it_has_failed() {
        let limits = ThrottleLimits { interval_us: 0, per_day: 1, ..LIMITS };
        let mut throttle = Throttle::new(limits);
        assert_eq!(throttle.may_try(address(1), SECOND), Ok(()));
        assert_eq!(throttle.may_try(address(1), SECOND), Err(ThrottleFault::TooMany));
        throttle.ended(address(1), None);
        assert_eq!(register(&mut throttle, address(1), SECOND), Ok(()));
        assert_eq!(throttle.may_try(address(1), SECOND), Err(ThrottleFault::TooMany));
    }

    #[test]
    fn what_the_log_has_counts_as_if_it_had_been_seen() {
        let mut throttle = Throttle::new(LIMITS);
        [900, 700, 500].into_iter().for_each(|at| throttle.remember(address(1), at * SECOND));
        assert_eq!(throttle.may_try(address(1), 1000 * SECOND), Err(ThrottleFault::TooSoon));
        assert_eq!(throttle.may_try(address(1), 1500 * SECOND), Err(ThrottleFault::TooMany));
        assert_eq!(throttle.may_try(address(1), DAY_US + 500 * SECOND), Ok(()));
    }

    #[test]
    fn addresses_of_one_prefix_are_one() {
        let mut throttle = Throttle::new(LIMITS);
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(register(&mut throttle, parse("2001:db8:0:1::1"), SECOND), Ok(()));
        assert_eq!(register(&mut throttle, parse("2001:db8:0:1:ffff::2"), SECOND), Err(ThrottleFault::TooSoon));
        assert_eq!(register(&mut throttle, parse("2001:db8:0:2::1"), SECOND), Ok(()));
        assert_eq!(register(&mut throttle, parse("::ffff:192.0.2.1"), SECOND), Ok(()));
        assert_eq!(register(&mut throttle, address(1), SECOND), Err(ThrottleFault::TooSoon));
        throttle.set_limits(ThrottleLimits { prefixes: Prefixes { v4_bits: 24, v6_bits: 48 }, ..LIMITS });
        assert_eq!(register(&mut throttle, address(77), SECOND), Err(ThrottleFault::TooSoon));
        assert_eq!(register(&mut throttle, parse("2001:db8:0:ffff::"), SECOND), Err(ThrottleFault::TooSoon));
        let all = Prefixes { v4_bits: 0, v6_bits: 0 };
        assert_eq!([all.first_of(address(1)), all.first_of(parse("::1"))], [parse("0.0.0.0"), parse("::")]);
    }

    #[test]
    fn the_whole_server_has_a_bucket_and_a_table_with_an_end() {
        let limits = ThrottleLimits { server_interval_us: 10 * SECOND, server_burst: 2, addresses_max: 3, ..LIMITS };
        let mut throttle = Throttle::new(limits);
        let now = 1 << 50;
        assert_eq!(
            [1, 2, 3].map(|last| throttle.may_try(address(last), now)),
            [Ok(()), Ok(()), Err(ThrottleFault::Busy)]
        );
        assert_eq!(throttle.may_try(address(3), now + 10 * SECOND), Ok(()));
        assert_eq!(throttle.may_try(address(4), now + 60 * SECOND), Err(ThrottleFault::Busy), "the table is full");
        (1..4).for_each(|last| throttle.ended(address(last), None));
        assert_eq!(throttle.may_try(address(4), now + 700 * SECOND), Ok(()));
    }

    proptest! {
        #[test]
        fn no_day_has_more_than_it_may_and_no_two_are_closer(
            steps in prop::collection::vec((0u8..3, 0..DAY_US / 4, any::<bool>()), 1..60),
        ) {
            let mut throttle = Throttle::new(LIMITS);
            let (mut now_us, mut made) = (1 << 50, Vec::new());
            for (last, later_us, succeeds) in steps {
                now_us += later_us;
                if throttle.may_try(address(last), now_us).is_ok() {
                    throttle.ended(address(last), succeeds.then_some(now_us));
                    if succeeds {
                        made.push((last, now_us));
                    }
                }
            }
            for (last, at_us) in &made {
                let same: Vec<u64> = made.iter().filter(|(other, _)| other == last).map(|(_, at)| *at).collect();
                let within = same.iter().filter(|other| (**other..**other + DAY_US).contains(at_us)).count();
                prop_assert!(within <= LIMITS.per_day, "{}", within);
                prop_assert!(same.windows(2).all(|pair| pair[1] - pair[0] >= LIMITS.interval_us));
            }
        }
    }
}

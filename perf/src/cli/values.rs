//! The values of flags. An error says what would be right.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use super::flags::Sources;

/// More addresses than anybody needs.
const ADDRESSES_MAX: u32 = 4096;

/// `host:port`.
pub fn server(text: &str) -> Result<SocketAddr, String> {
    let addresses =
        text.to_socket_addrs().map_err(|_| "right would be host:port of a host that is known".to_owned())?;
    // A name with both kinds of address, such as localhost, as a rule listens on the older one.
    let addresses: Vec<_> = addresses.collect();
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| "the host has no address".to_owned())
}

/// Seconds, or a number with `ms`, `s` or `m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        _ => return Err("right would be a number with ms, s or m".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "right would be a number with ms, s or m".to_owned())?;
    Duration::try_from_secs_f64(number * seconds)
        .ok()
        .filter(|duration| *duration <= Duration::from_secs(86_400))
        .ok_or_else(|| "right would be between 0 and a day".to_owned())
}

/// `first-last`, or one address.
pub fn addresses(text: &str) -> Result<Sources, String> {
    let right = || "right would be an address, or FIRST-LAST".to_owned();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let parse = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| right());
    match (parse(first)?, parse(last)?) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let (first, last) = (u32::from(first), u32::from(last));
            if last < first || last - first >= ADDRESSES_MAX {
                return Err(format!("the first must not be above the last, nor be more than {ADDRESSES_MAX} below"));
            }
            Ok(Sources((first..=last).map(|address| IpAddr::V4(address.into())).collect()))
        }
        (first, last) if first == last => Ok(Sources(vec![first])),
        _ => Err("ranges are of IPv4 addresses".to_owned()),
    }
}

/// Bytes of a message.
pub fn size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| (100..=1 << 20).contains(size));
    size.ok_or_else(|| "right would be from 100 to 1048576 bytes".to_owned())
}

/// Threads.
pub fn threads(text: &str) -> Result<usize, String> {
    let threads = text.parse().ok().filter(|threads| (1..=256).contains(threads));
    threads.ok_or_else(|| "right would be from 1 to 256".to_owned())
}

/// An even number, not zero.
pub fn even(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number: &u64| (2..=10_000_000).contains(number) && number.is_multiple_of(2));
    number.ok_or_else(|| "right would be an even number of 2 or more".to_owned())
}

/// A number of which zero means something.
pub fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "right would be 0 or more".to_owned())
}

/// A number of which zero means nothing.
pub fn positive(text: &str) -> Result<f64, String> {
    not_negative(text).ok().filter(|number| *number > 0.0).ok_or_else(|| "right would be more than 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "1h", "-1s", "1e300", "nan"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranges_of_addresses() {
        assert_eq!(addresses("127.0.0.2-127.0.0.9").unwrap().0.len(), 8);
        assert_eq!(addresses("::1").unwrap().0.len(), 1);
        for wrong in ["", "127.0.0.1-", "127.0.0.9-127.0.0.2", "0.0.0.0-255.255.255.255", "::1-::2"] {
            assert!(addresses(wrong).is_err(), "{wrong}");
        }
    }
}

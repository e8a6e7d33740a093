//! Typed values of flags: sizes, durations, rates, addresses. A wrong one is told what would be right.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::datetime;

/// How often something may happen: so many per unit of time, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Gained per second.
    pub per_second: f64,
    /// At once, after a pause.
    pub burst: f64,
}

impl From<Rate> for rondel_shards::Rate {
    fn from(rate: Rate) -> Self {
        rondel_shards::Rate { per_second: rate.per_second, burst: rate.burst }
    }
}

/// Units of size, longest first where one is the end of another.
const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Units of time in milliseconds, longest first where one is the end of another.
const TIMES: [(&str, f64); 6] =
    [("us", 0.001), ("ms", 1.0), ("s", 1e3), ("m", 60e3), ("h", 3_600e3), ("d", 24.0 * 3_600e3)];

/// A size in bytes between two bounds: `262144`, `256KiB`, `10kB`.
pub fn size(min: u64, max: u64) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let right = || format!("a size from {} to {}, such as {}", write_size(min), write_size(max), write_size(min));
        let bytes = read_size(text).ok_or_else(right)?;
        if !(min..=max).contains(&bytes) {
            return Err(right());
        }
        usize::try_from(bytes).map_err(|_| right())
    }
}

/// A size between two bounds, or 0 for no limit.
pub fn size_or_none(min: u64, max: u64) -> impl Fn(&str) -> Result<usize, String> + Clone {
    let size = size(min, max);
    move |text| if text == "0" { Ok(0) } else { size(text).map_err(|right| format!("0, or {right}")) }
}

fn read_size(text: &str) -> Option<u64> {
    let unit = SIZES.iter().find_map(|(unit, factor)| Some((strip_suffix(text, unit)?, factor)));
    let (number, factor) = unit.unwrap_or((text, &1));
    digits(number)?.checked_mul(*factor)
}

/// A size as it may be read again.
pub fn write_size(bytes: u64) -> String {
    let fitting = SIZES.iter().filter(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    match fitting.max_by_key(|(_, factor)| *factor) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// A duration between two bounds: `30s`, `5m`, `250ms`; `0` needs no unit.
pub fn duration(min: Duration, max: Duration) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| {
        let duration = read_duration(text).filter(|duration| (min..=max).contains(duration));
        duration.ok_or_else(|| {
            format!("a duration from {} to {}, such as {}", write_duration(min), write_duration(max), example(min, max))
        })
    }
}

fn example(min: Duration, max: Duration) -> String {
    let usual = [Duration::from_secs(30), Duration::from_micros(50)];
    write_duration(usual.into_iter().find(|usual| (min..=max).contains(usual)).unwrap_or(max))
}

fn read_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (number, factor) = TIMES.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    let micros = digits(number)? as f64 * factor * 1e3;
    (micros < 1e17).then(|| Duration::from_micros(micros.round() as u64))
}

/// A moment in the past, in microseconds since 1970: `2026-11-26T18:00:00Z`, a day (its beginning, UTC), or how long
/// ago.
pub fn moment(text: &str) -> Result<u64, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    read_moment(text, now)
        .ok_or_else(|| "a moment (2026-11-26T18:00:00Z), a day (2026-11-26), or how long ago (2h)".into())
}

fn read_moment(text: &str, now: Duration) -> Option<u64> {
    if let Some(ago) = read_duration(text) {
        return Some(now.saturating_sub(ago).as_micros() as u64);
    }
    let moment = datetime::parse(text).or_else(|| datetime::parse(&format!("{text}T00:00:00Z")))?;
    u64::try_from(moment.us).ok()
}

/// A duration as it may be read again.
pub fn write_duration(duration: Duration) -> String {
    if duration.is_zero() {
        return "0".into();
    }
    let micros = duration.as_micros();
    let (unit, factor) = TIMES
        .iter()
        .rev()
        .map(|(unit, factor)| (unit, (factor * 1e3) as u128))
        .find(|(_, factor)| micros.is_multiple_of(*factor))
        .unwrap_or((&"us", 1));
    format!("{}{unit}", micros / factor)
}

/// A rate: `10/s`, `60/min:100`, `1000/h`. What follows the colon may happen at once; without it, what is gained in one
/// unit of time.
pub fn rate(text: &str) -> Result<Rate, String> {
    read_rate(text).ok_or_else(|| {
        "a rate: how many per s, min, h or d, and after a colon how many at once, such as 10/min:20".into()
    })
}

fn read_rate(text: &str) -> Option<Rate> {
    let (rate, burst) = text.split_once(':').map_or((text, None), |(rate, burst)| (rate, Some(burst)));
    let (count, unit) = rate.split_once('/')?;
    let seconds = match unit {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let count = digits(count)? as f64;
    let burst = burst.map_or(Some(count), |burst| Some(digits(burst)? as f64))?;
    (count > 0.0 && burst >= 1.0).then_some(Rate { per_second: count / seconds, burst })
}

/// Bytes in a second, and for how many seconds at once: `3kb/s:2s`, `512b/s`. The units are powers of a thousand; two
/// seconds' worth at once where it does not say.
pub fn byte_rate(text: &str) -> Result<rondel_shards::Rate, String> {
    read_byte_rate(text).ok_or_else(|| {
        "bytes in a second (b, kb, mb, gb), and after a colon for how long at once, such as 3kb/s:2s".into()
    })
}

fn read_byte_rate(text: &str) -> Option<rondel_shards::Rate> {
    const UNITS: [(&str, f64); 4] = [("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("b", 1.0)];
    let (rate, burst) = text.split_once(':').map_or((text, None), |(rate, burst)| (rate, Some(burst)));
    let number = strip_suffix(rate, "/s")?;
    let (number, factor) = UNITS.iter().find_map(|(unit, factor)| Some((strip_suffix(number, unit)?, factor)))?;
    let per_second = digits(number)? as f64 * factor;
    let burst = burst.map_or(Some(Duration::from_secs(2)), read_duration)?.as_secs_f64();
    let is_right = (100.0..=1e12).contains(&per_second) && (0.1..=3_600.0).contains(&burst);
    is_right.then_some(rondel_shards::Rate { per_second, burst: per_second * burst })
}

/// An address to listen on: `[::]:5222`, `192.0.2.1:5222`.
pub fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("an address with a port: [{address}]:5222"),
        Ok(IpAddr::V4(address)) => format!("an address with a port: {address}:5222"),
        Err(_) => "an IP address with a port, such as 192.0.2.1:5222 or [::]:5222".into(),
    })
}

/// A host with a port: `xmpp.example.org:5222`, `[2001:db8::1]:5222`.
pub fn host_and_port(text: &str) -> Result<String, String> {
    let right = "a host with a port, such as xmpp2.example.org:5222 or [2001:db8::1]:5222";
    let (host, port) = text.rsplit_once(':').ok_or(right)?;
    port.parse::<u16>().ok().filter(|port| *port > 0).ok_or(right)?;
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().map(|_| text.to_owned()).map_err(|_| right.into()),
        None => super::names::domain(host).map(|host| format!("{host}:{port}")).map_err(|_| right.into()),
    }
}

/// A path that is not empty.
pub fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("a path".into()) } else { Ok(PathBuf::from(text)) }
}

/// A whole number between two bounds.
pub fn number(min: u64, max: u64) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let number = digits(text).filter(|number| (min..=max).contains(number));
        number.map(|number| number as usize).ok_or_else(|| format!("a whole number from {min} to {max}"))
    }
}

/// `on` or `off`.
pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off".into()),
    }
}

/// Digits and nothing else: no sign, no blank.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn strip_suffix<'t>(text: &'t str, suffix: &str) -> Option<&'t str> {
    let at = text.len().checked_sub(suffix.len())?;
    let (head, tail) = text.split_at_checked(at)?;
    tail.eq_ignore_ascii_case(suffix).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        let size = size(1_000, 1 << 30);
        assert_eq!(size("262144"), Ok(262_144));
        assert_eq!(size("256KiB"), Ok(262_144));
        assert_eq!(size("10kb"), Ok(10_000));
        assert_eq!(size("1gib"), Ok(1 << 30));
        for wrong in ["", "KiB", "-1KiB", "1.5MiB", "10 KiB", "10q", "999", "2GiB", "99999999999999999999GiB", "1é"] {
            assert_eq!(size(wrong), Err("a size from 1kB to 1GiB, such as 1kB".into()), "{wrong}");
        }
        let size = size_or_none(1_000, 1 << 30);
        assert_eq!((size("0"), size("1kB")), (Ok(0), Ok(1_000)));
        assert_eq!(size("0kB"), Err("0, or a size from 1kB to 1GiB, such as 1kB".into()));
    }

    #[test]
    fn durations() {
        let any = duration(Duration::ZERO, Duration::from_secs(86_400));
        assert_eq!(any("0"), Ok(Duration::ZERO));
        assert_eq!(any("50us"), Ok(Duration::from_micros(50)));
        assert_eq!(any("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(any("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(any("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(any("1d"), Ok(Duration::from_secs(86_400)));
        for wrong in ["", "30", "s", "1.5s", "-1s", "2d", "1 s", "18446744073709551615d"] {
            assert_eq!(any(wrong), Err("a duration from 0 to 1d, such as 30s".into()), "{wrong}");
        }
        let spin = duration(Duration::ZERO, Duration::from_millis(1));
        assert_eq!(spin("2ms"), Err("a duration from 0 to 1ms, such as 50us".into()));
    }

    #[test]
    fn moments() {
        let now = Duration::from_secs(1_700_000_000);
        assert_eq!(read_moment("1h", now), Some(1_699_996_400_000_000));
        assert_eq!(read_moment("0", now), Some(1_700_000_000_000_000));
        assert_eq!(read_moment("2023-11-14", now), Some(1_699_920_000_000_000));
        assert_eq!(read_moment("2023-11-14T23:13:20+01:00", now), Some(1_700_000_000_000_000));
        for wrong in ["", "yesterday", "2023-11-31", "1900-01-01", "12:00"] {
            assert_eq!(read_moment(wrong, now), None, "{wrong}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!(rate("10/s"), Ok(Rate { per_second: 10.0, burst: 10.0 }));
        assert_eq!(rate("60/min:100"), Ok(Rate { per_second: 1.0, burst: 100.0 }));
        assert_eq!(rate("36/h:1"), Ok(Rate { per_second: 0.01, burst: 1.0 }));
        for wrong in ["", "10", "10/", "/s", "10/week", "0/s", "10/s:", "10/s:0", "-1/s", "1/s:2:3"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_of_bytes() {
        let rate = |text: &str| byte_rate(text).ok().map(|rate| (rate.per_second, rate.burst));
        assert_eq!(rate("3kb/s:2s"), Some((3_000.0, 6_000.0)));
        assert_eq!(rate("500B/s"), Some((500.0, 1_000.0)));
        assert_eq!(rate("2MB/s:500ms"), Some((2e6, 1e6)));
        for wrong in
            ["", "3kb", "3/s", "kb/s", "3kib/s", "3 kb/s", "3.5kb/s", "3kb/s:", "3kb/s:2", "0kb/s", "3kb/s:50ms"]
        {
            assert_eq!(rate(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn addresses() {
        assert!(socket_address("[::]:5222").is_ok() && socket_address("192.0.2.1:5222").is_ok());
        assert_eq!(socket_address("::1"), Err("an address with a port: [::1]:5222".into()));
        assert_eq!(socket_address("127.0.0.1"), Err("an address with a port: 127.0.0.1:5222".into()));
        assert!(socket_address("localhost:5222").unwrap_err().contains("IP address"));
        assert_eq!(host_and_port("XMPP.example.org:5222"), Ok("xmpp.example.org:5222".into()));
        assert_eq!(host_and_port("[2001:db8::1]:5222"), Ok("[2001:db8::1]:5222".into()));
        for wrong in ["", "example.org", "example.org:", "example.org:0", "example.org:99999", ":5222", "[::1:5222"] {
            assert!(host_and_port(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(bytes in 1u64..1 << 50, micros in 0u64..1 << 50) {
            prop_assert_eq!(read_size(&write_size(bytes)), Some(bytes));
            let duration = Duration::from_micros(micros);
            prop_assert_eq!(read_duration(&write_duration(duration)), Some(duration));
        }

        #[test]
        fn nothing_panics(text in ".*") {
            let _ = (size(0, u64::MAX)(&text), rate(&text), socket_address(&text), host_and_port(&text));
            let _ = duration(Duration::ZERO, Duration::MAX)(&text);
        }
    }
}

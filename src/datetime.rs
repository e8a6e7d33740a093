//! Moments as XMPP writes them: the DateTime profile of XEP-0082.

/// A moment as it was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment {
    /// Microseconds since 1970, rounded down; negative before.
    pub us: i64,
    /// Whether nothing was rounded.
    pub is_exact: bool,
}

/// Reads `CCYY-MM-DDThh:mm:ss[.sss]TZD` (XEP-0082 §3.2), `TZD` being `Z` or `(+|-)hh:mm`.
pub fn parse(text: &str) -> Option<Moment> {
    let (date, rest) = text.split_once('T')?;
    let date = date.as_bytes();
    if date.len() != 10 || date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let year = number(&date[..4], 0, 9999)?;
    let month = number(&date[5..7], 1, 12)?;
    let day = number(&date[8..], 1, days_of_month(year, month))?;
    let rest = rest.as_bytes();
    let (clock, rest) = rest.split_at_checked(8)?;
    if clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let seconds = number(&clock[..2], 0, 23)? * 3600 + number(&clock[3..5], 0, 59)? * 60 + number(&clock[6..], 0, 59)?;
    let (us, is_exact, zone) = match rest.strip_prefix(b".") {
        Some(rest) => fraction(rest)?,
        None => (0, true, rest),
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + seconds - offset_s(zone)?;
    Some(Moment { us: seconds * 1_000_000 + us, is_exact })
}

/// A moment, given in microseconds since 1970, in UTC; without a fraction if there is none.
pub fn utc_us(us: u64) -> String {
    let text = utc_s(us / 1_000_000);
    match us % 1_000_000 {
        0 => text,
        fraction => format!("{}.{fraction:06}Z", text.trim_end_matches('Z')),
    }
}

/// A moment, given in seconds since 1970, in UTC.
pub fn utc_s(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    // Days since 0000-03-01, in eras of 400 years, so that the leap day is the last of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A number of digits only, within bounds.
fn number(digits: &[u8], min: i64, max: i64) -> Option<i64> {
    let mut value = 0;
    for digit in digits {
        value = value * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    (min..=max).contains(&value).then_some(value)
}

/// Microseconds, whether that is all of it, and what follows the digits.
fn fraction(text: &[u8]) -> Option<(i64, bool, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    let (kept, cut) = digits.split_at(digits.len().min(6));
    let us = number(kept, 0, 999_999)? * 10_i64.pow(6 - kept.len() as u32);
    (!kept.is_empty()).then_some((us, cut.iter().all(|&digit| digit == b'0'), rest))
}

fn offset_s(zone: &[u8]) -> Option<i64> {
    let (sign, clock) = match zone {
        b"Z" => return Some(0),
        [b'+', clock @ ..] => (1, clock),
        [b'-', clock @ ..] => (-1, clock),
        _ => return None,
    };
    if clock.len() != 5 || clock[2] != b':' {
        return None;
    }
    // XML Schema allows fourteen hours.
    let minutes = number(&clock[..2], 0, 14)? * 60 + number(&clock[3..], 0, 59)?;
    (minutes <= 14 * 60).then_some(sign * minutes * 60)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The inverse of what [`utc_s`] does.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(utc_s(seconds), text);
            assert_eq!(parse(text).unwrap().us, seconds as i64 * 1_000_000);
        }
        for (us, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1, "1970-01-01T00:00:00.000001Z"),
            (1_500_000, "1970-01-01T00:00:01.500000Z"),
            (2_000_000, "1970-01-01T00:00:02Z"),
            (951_782_400_120_030, "2000-02-29T00:00:00.120030Z"),
        ] {
            assert_eq!(utc_us(us), text);
        }
    }

    /// The examples of XEP-0082 §3.2, which are one moment.
    #[test]
    fn the_first_human_steps_on_the_moon() {
        let utc = parse("1969-07-21T02:56:15Z").unwrap();
        assert_eq!(utc, Moment { us: -14_159_025_000_000, is_exact: true });
        assert_eq!(parse("1969-07-20T21:56:15-05:00"), Some(utc));
        assert_eq!(parse("1969-07-21T09:56:15+07:00"), Some(utc));
    }

    #[test]
    fn fractions_have_any_number_of_digits() {
        for (text, us, is_exact) in [
            ("1970-01-01T00:00:00.5Z", 500_000, true),
            ("1970-01-01T00:00:00.000001Z", 1, true),
            ("1970-01-01T00:00:00.0000010000Z", 1, true),
            ("1970-01-01T00:00:00.0000019Z", 1, false),
            ("1969-12-31T23:59:59.9999999+00:00", -1, false),
        ] {
            assert_eq!(parse(text), Some(Moment { us, is_exact }), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment() {
        for text in [
            "",
            "1969-07-21",
            "1969-07-21T02:56:15",
            "1969-07-21T02:56:15z",
            "1969-07-21 02:56:15Z",
            "1969-07-21T02:56Z",
            "1969-07-21T02:56:15.Z",
            "1969-07-21T02:56:15+0500",
            "1969-07-21T02:56:15+14:01",
            "1969-07-21T02:56:15+é:0",
            "1969-07-21T24:00:00Z",
            "1969-07-21T02:60:15Z",
            "1969-07-21T02:56:60Z",
            "1969-13-21T02:56:15Z",
            "1969-00-21T02:56:15Z",
            "1969-07-00T02:56:15Z",
            "1969-02-29T02:56:15Z",
            "1900-02-29T02:56:15Z",
            "2000-02-30T02:56:15Z",
            "12000-02-03T02:56:15Z",
            "-200-02-03T02:56:15Z",
            "2000-02-+3T02:56:15Z",
            "20000203T02:56:15",
            "2000-02-03T02:56:15ZZ",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(us in 0..253_402_300_800_000_000u64) {
            prop_assert_eq!(parse(&utc_us(us)), Some(Moment { us: us as i64, is_exact: true }));
        }

        #[test]
        fn no_text_panics(text: String) {
            parse(&text);
            parse(&format!("2000-02-03T{text}"));
            parse(&format!("2000-02-03T02:56:15{text}"));
        }
    }
}

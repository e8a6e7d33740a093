//! Days of the week and times of the day (`DAY`, `TIME`), as the server's own clock on the wall shows them.

/// A moment as a clock on the wall shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WallClock {
    /// The day of the week: 0 is Sunday.
    pub weekday: u8,
    /// Minutes since midnight.
    pub minute: u16,
}

impl WallClock {
    /// What it shows now.
    pub fn now() -> WallClock {
        let now = jiff::ZonedDateTime::now();
        let weekday = now.weekday().to_sunday_zero_offset();
        WallClock { weekday: weekday as u8, minute: now.hour() as u16 * 60 + now.minute() as u16 }
    }
}

/// Days of the week, a bit for each: the lowest is Sunday's.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Days(u8);

impl Days {
    /// Reads days and ranges of days, parted by commas. `None` for anything else.
    pub fn parse(text: &str) -> Option<Days> {
        let mut days = 0;
        for item in text.split(',') {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last) = (weekday(first)?, weekday(last)?);
            let count = (last + 7 - first) % 7;
            (0..=count).for_each(|more| days |= 1 << ((first + more) % 7));
        }
        Some(Days(days))
    }

    /// Whether a day is one of them.
    pub fn has(self, clock: WallClock) -> bool {
        self.0 >> clock.weekday & 1 == 1
    }
}

/// The number of a day by its first three letters.
fn weekday(name: &str) -> Option<u8> {
    const NAMES: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let name = name.trim().to_ascii_lowercase();
    let short = name.get(..3)?;
    let found = NAMES.iter().position(|full| full.starts_with(short))?;
    name.bytes().all(|byte| byte.is_ascii_alphabetic()).then_some(found as u8)
}

/// Times of the day.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Times(Box<[(u16, u16)]>);

impl Times {
    /// Reads ranges (`14:00-15:30`, `9am-5:30pm`), parted by commas. `None` for anything else.
    pub fn parse(text: &str) -> Option<Times> {
        let range = |item: &str| {
            let (start, end) = item.split_once('-')?;
            Some((time(start)?, time(end)?))
        };
        text.split(',').map(range).collect::<Option<_>>().map(Times)
    }

    /// Whether a moment is in one of them.
    pub fn has(&self, clock: WallClock) -> bool {
        let minute = clock.minute;
        // A range over midnight is one whose hours say so.
        self.0.iter().any(|&(start, end)| match start / 60 > end / 60 {
            true => minute >= start || minute < end,
            false => minute >= start && minute < end,
        })
    }
}

/// Minutes since midnight.
fn time(text: &str) -> Option<u16> {
    let text = text.trim().to_ascii_lowercase();
    let (digits, half) = match (text.strip_suffix("am"), text.strip_suffix("pm")) {
        (Some(digits), _) => (digits.trim_end(), Some(0)),
        (_, Some(digits)) => (digits.trim_end(), Some(12)),
        _ => (&*text, None),
    };
    let number = |text: &str| -> Option<u16> {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    let (hour, minute) = match digits.split_once(':') {
        Some((hour, minute)) => (number(hour)?, number(minute).filter(|minute| *minute < 60)?),
        None => (half.and_then(|_| number(digits))?, 0),
    };
    let hour = match half {
        Some(half) => (1..=12).contains(&hour).then_some(hour % 12 + half)?,
        None => hour,
    };
    let minutes = hour * 60 + minute;
    (minutes <= 24 * 60).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_lists_and_ranges() {
        let has = |days: &str, weekday| Days::parse(days).unwrap().has(WallClock { weekday, minute: 0 });
        assert_eq!(
            (0..7).map(|day| has("Sat-Mon", day)).collect::<Vec<_>>(),
            [true, true, false, false, false, false, true]
        );
        assert!(has("tues, FRIDAY", 2) && has("tues, FRIDAY", 5) && !has("tues, FRIDAY", 3));
        assert!(has("mon-mon", 1) && !has("mon-mon", 2));
        for wrong in ["1", "", "mo", "Mon-", "Mon;Tue", "xyz", "mon1"] {
            assert_eq!(Days::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_ranges() {
        let has = |times: &str, hour: u16, minute: u16| {
            Times::parse(times).unwrap().has(WallClock { weekday: 0, minute: hour * 60 + minute })
        };
        assert!(has("10pm-6am", 23, 0) && !has("10pm-6am", 6, 0) && has("10pm-6am", 5, 59));
        assert!(has("9:30-9:45", 9, 30) && !has("9:30-9:45", 9, 45));
        assert!(has("9am-5:30pm", 17, 29) && !has("9am-5:30pm", 17, 30));
        assert!(has("12am-1am", 0, 30) && has("12pm-1pm", 12, 30) && has("10pm-12am", 23, 59));
        assert!(has("8:00-9:00, 14:00-24:00", 23, 59) && !has("9:45-9:30", 9, 50));
        for wrong in
            ["9-17", "9am-5pm, Sunday", "", "9am", "25:00-26:00", "13pm-2pm", "0am-1am", "9:60-10:00", "9:+1-10:00"]
        {
            assert_eq!(Times::parse(wrong), None, "{wrong}");
        }
    }
}

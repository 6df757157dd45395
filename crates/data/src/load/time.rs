//! Moments as exports write them: civil dates, seconds since 1970, ISO 8601.
//!
//! A crate for calendars would bring time zones along; what is needed here is the Gregorian calendar and one format.

use std::fmt;

use crate::calendar::{date, days};

/// A moment between the years 1 and 9999, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time {
    /// Milliseconds since 1970, by the clock that `clock` says.
    pub(super) milliseconds: i64,
    pub(super) clock: Clock,
}

/// Whose clock shows a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Clock {
    /// The clock on somebody's wall, in a zone that nobody wrote down.
    Wall,
    Utc,
}

const DAY: i64 = 86_400_000;

impl Time {
    /// Milliseconds since 1970 in UTC.
    pub(super) fn unix_milliseconds(milliseconds: i64) -> Option<Self> {
        let first = days(1, 1, 1) * DAY;
        let last = days(10_000, 1, 1) * DAY;
        (first..last).contains(&milliseconds).then_some(Self {
            milliseconds,
            clock: Clock::Utc,
        })
    }

    /// A date and the time of a day, if there are such.
    pub(super) fn civil(date: [u32; 3], [hour, minute, second]: [u32; 3]) -> Option<Self> {
        let [year, month, day] = date;
        // A leap second is shown as the last second before it by most clocks; 60 is taken as it is.
        let good = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=month_length(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        good.then(|| Self {
            milliseconds: days(i64::from(year), month, day) * DAY + seconds * 1000,
            clock: Clock::Wall,
        })
    }

    /// Reads `2024-01-02T10:11:12`, with a space for the `T`, fractions of seconds, and `Z` or an offset.
    pub(super) fn iso(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| digits(text.get(from..to)?);
        let mark = |at: usize, allowed: &[u8]| {
            text.as_bytes()
                .get(at)
                .filter(|byte| allowed.contains(byte))
        };
        mark(4, b"-")
            .and(mark(7, b"-"))
            .and(mark(10, b"T "))
            .and(mark(13, b":"))
            .and(mark(16, b":"))?;
        let date = [number(0, 4)?, number(5, 7)?, number(8, 10)?];
        let mut time = Self::civil(date, [number(11, 13)?, number(14, 16)?, number(17, 19)?])?;
        let mut rest = text.get(19..)?;
        if let Some(fraction) = rest.strip_prefix('.') {
            let end = fraction
                .find(|character: char| !character.is_ascii_digit())
                .unwrap_or(fraction.len());
            let shown = format!("{:0<3}", &fraction[..end.min(3)]);
            time.milliseconds += i64::from(digits(&shown)?);
            rest = &fraction[end..];
        }
        let rest = rest.trim().trim_end_matches("UTC").trim_end();
        let utc = |time: Self, minutes: i64| {
            Self::unix_milliseconds(time.milliseconds - minutes * 60_000)
        };
        match rest {
            "" if text.trim_end().ends_with("UTC") => utc(time, 0),
            "" => Some(time),
            "Z" => utc(time, 0),
            offset => {
                let sign = match offset.as_bytes()[0] {
                    b'+' => 1,
                    b'-' => -1,
                    _ => return None,
                };
                let offset = offset[1..].replace(':', "");
                let (hours, minutes) = (digits(offset.get(..2)?)?, digits(offset.get(2..)?)?);
                if hours >= 24 || minutes >= 60 {
                    return None;
                }
                utc(time, sign * i64::from(hours * 60 + minutes))
            }
        }
    }
}

impl fmt::Display for Time {
    /// `2024-01-02T10:11:12`, with a `Z` if it is in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.milliseconds.div_euclid(DAY));
        let seconds = self.milliseconds.rem_euclid(DAY) / 1000;
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        f.write_str(if self.clock == Clock::Utc { "Z" } else { "" })
    }
}

/// The number that digits alone make.
fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn month_length(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let cases = [
            ("2024-01-02T10:11:12", Some("2024-01-02T10:11:12")),
            ("2024-02-29 23:59:59", Some("2024-02-29T23:59:59")),
            ("2024-01-02T10:11:12.34567Z", Some("2024-01-02T10:11:12Z")),
            ("2024-01-02T00:11:12+02:00", Some("2024-01-01T22:11:12Z")),
            ("2024-12-31T23:30:00-0130", Some("2025-01-01T01:00:00Z")),
            ("2018-04-02 09:15:00 UTC", Some("2018-04-02T09:15:00Z")),
            ("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z")),
            ("9999-12-31T23:59:59Z", Some("9999-12-31T23:59:59Z")),
            ("0001-01-01T00:00:00+14:00", None),
            ("2024-01-02T00:00:00+24:00", None),
            ("2024-01-02T00:00:00+00:60", None),
            // What does not fit into the numbers that minutes are counted in.
            ("2024-01-02T00:00:00+994294967295", None),
            ("2023-02-29T00:00:00", None),
            ("2024-13-01T00:00:00", None),
            ("2024-01-01T99:99:99", None),
            ("2024-01-01", None),
            ("-024-01-01T00:00:00", None),
            ("２024-01-01T00:00:00", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let shown = Time::iso(text).map(|time| time.to_string());
            assert_eq!(shown.as_deref(), expected, "{text}");
        }
        assert_eq!(Time::unix_milliseconds(i64::MAX), None);
        assert_eq!(Time::unix_milliseconds(i64::MIN), None);
    }

    proptest! {
        #[test]
        fn a_shown_time_is_read_back(seconds in -62_135_596_800_i64..253_402_300_800) {
            let time = Time::unix_milliseconds(seconds * 1000).unwrap();
            prop_assert_eq!(Time::iso(&time.to_string()), Some(time));
        }

        #[test]
        fn any_text_is_a_time_or_none(text in "\\PC{0,30}") {
            let _ = Time::iso(&text);
        }
    }
}

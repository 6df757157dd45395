//! The clock of templates that print a date.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::calendar::{self, MONTHS};

/// Where a template's `strftime_now` takes the time from.
///
/// A template that prints the date makes the same record different from day to day. [`Clock::fixed`] keeps rows, and
/// so whole runs, reproducible.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Default for Clock {
    /// The system's clock, in UTC.
    fn default() -> Self {
        Self::new(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            Moment::from_unix(now.map_or(0, |since| since.as_secs() as i64))
        })
    }
}

impl Clock {
    /// A clock of one's own.
    pub fn new(now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that stands still.
    pub fn fixed(moment: Moment) -> Self {
        Self::new(move || moment)
    }

    /// The time it shows.
    pub fn now(&self) -> Moment {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}

/// A date and a time of day in the Gregorian calendar, without a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// The year.
    pub year: i64,
    /// The month, 1 to 12.
    pub month: u32,
    /// The day of the month, from 1.
    pub day: u32,
    /// The hour, 0 to 23.
    pub hour: u32,
    /// The minute.
    pub minute: u32,
    /// The second.
    pub second: u32,
}

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

impl Moment {
    /// The moment this many seconds after 1970-01-01 00:00:00 UTC.
    pub fn from_unix(seconds: i64) -> Self {
        let (days, rest) = (
            seconds.div_euclid(86_400),
            seconds.rem_euclid(86_400) as u32,
        );
        let (year, month, day) = calendar::date(days);
        Self {
            year,
            month,
            day,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// Days since 1970-01-01.
    fn days(self) -> i64 {
        calendar::days(self.year, self.month, self.day)
    }

    /// The moment in the pattern language of C's `strftime`, in English.
    ///
    /// # Errors
    ///
    /// The directive that is not known, or that needs a time zone.
    pub fn format(self, pattern: &str) -> Result<String, String> {
        let mut text = String::with_capacity(pattern.len() + 8);
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                text.push(character);
                continue;
            }
            let mut directive = characters.next();
            // The GNU flag for "no padding".
            let bare = directive == Some('-');
            if bare {
                directive = characters.next();
            }
            let Some(directive) = directive else {
                return Err("%".to_owned());
            };
            let part = self
                .part(directive)
                .ok_or_else(|| format!("%{directive}"))?;
            let shown = match part {
                Part::Number(number, _) | Part::Spaced(number) if bare => number.to_string(),
                Part::Number(number, width) => format!("{number:0width$}"),
                Part::Spaced(number) => format!("{number:2}"),
                Part::Text(part) => part,
            };
            text.push_str(&shown);
        }
        Ok(text)
    }

    fn part(self, directive: char) -> Option<Part> {
        let weekday = (self.days() + 4).rem_euclid(7);
        let first = Self {
            month: 1,
            day: 1,
            ..self
        };
        let day_of_year = self.days() - first.days();
        let twelve = i64::from((self.hour + 11) % 12 + 1);
        let whole = |pattern| Some(Part::Text(self.format(pattern).ok()?));
        let name = |names: &[&str], index: usize, length: usize| {
            let name = names.get(index)?;
            Some(Part::Text(name[..name.len().min(length)].to_owned()))
        };
        let number = |value: i64, width: usize| Some(Part::Number(value, width));
        match directive {
            'Y' => number(self.year, 1),
            'y' => number(self.year.rem_euclid(100), 2),
            'C' => number(self.year.div_euclid(100), 2),
            'm' => number(self.month.into(), 2),
            'd' => number(self.day.into(), 2),
            'e' => Some(Part::Spaced(self.day.into())),
            'H' => number(self.hour.into(), 2),
            'I' => number(twelve, 2),
            'k' => Some(Part::Spaced(self.hour.into())),
            'l' => Some(Part::Spaced(twelve)),
            'M' => number(self.minute.into(), 2),
            'S' => number(self.second.into(), 2),
            'f' => number(0, 6),
            'j' => number(day_of_year + 1, 3),
            'w' => number(weekday, 1),
            'u' => number((weekday + 6) % 7 + 1, 1),
            'U' => number((day_of_year + 7 - weekday) / 7, 2),
            'W' => number((day_of_year + 7 - (weekday + 6) % 7) / 7, 2),
            'B' => name(&MONTHS, (self.month as usize).wrapping_sub(1), usize::MAX),
            'b' | 'h' => name(&MONTHS, (self.month as usize).wrapping_sub(1), 3),
            'A' => name(&WEEKDAYS, weekday as usize, usize::MAX),
            'a' => name(&WEEKDAYS, weekday as usize, 3),
            'p' => Some(Part::Text(
                if self.hour < 12 { "AM" } else { "PM" }.to_owned(),
            )),
            'F' => whole("%Y-%m-%d"),
            'T' | 'X' => whole("%H:%M:%S"),
            'R' => whole("%H:%M"),
            'D' | 'x' => whole("%m/%d/%y"),
            'r' => whole("%I:%M:%S %p"),
            'c' => whole("%a %b %e %H:%M:%S %Y"),
            'n' => Some(Part::Text("\n".to_owned())),
            't' => Some(Part::Text("\t".to_owned())),
            '%' => Some(Part::Text("%".to_owned())),
            // A time without a zone prints none.
            'z' | 'Z' => Some(Part::Text(String::new())),
            _ => None,
        }
    }
}

enum Part {
    Number(i64, usize),
    Spaced(i64),
    Text(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(
                Moment::from_unix(seconds)
                    .format("%Y-%m-%d %H:%M:%S")
                    .unwrap(),
                expected
            );
        }
        for days in (-800_000..800_000).step_by(997) {
            assert_eq!(Moment::from_unix(days * 86_400).days(), days);
        }
    }

    #[test]
    fn patterns_print_as_in_c() {
        // Checked against Python's datetime(2024, 7, 4, 15, 6, 9).strftime.
        let moment = Moment {
            year: 2024,
            month: 7,
            day: 4,
            hour: 15,
            minute: 6,
            second: 9,
        };
        for (pattern, expected) in [
            ("%d %b %Y", "04 Jul 2024"),
            ("%A, %B %-d, %Y", "Thursday, July 4, 2024"),
            ("%a %e %I:%M %p", "Thu  4 03:06 PM"),
            ("%j %U %W %u %w", "186 26 27 4 4"),
            ("%c|%x|%X", "Thu Jul  4 15:06:09 2024|07/04/24|15:06:09"),
            ("100%%", "100%"),
        ] {
            assert_eq!(moment.format(pattern).unwrap(), expected);
        }
        assert_eq!(moment.format("%Q"), Err("%Q".to_owned()));
        assert_eq!(moment.format("%"), Err("%".to_owned()));
    }
}

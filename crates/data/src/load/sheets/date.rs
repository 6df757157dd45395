//! Dates of spreadsheets: days since an epoch, told from other numbers by their format alone.

use crate::calendar;

/// What a number's format makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Number,
    Date,
    Time,
    DateTime,
    Duration,
}

impl Format {
    /// A format that has a number and no text. ECMA-376, part 1, 18.8.30, and the ones of East Asian editions.
    pub(super) fn built_in(id: usize) -> Self {
        match id {
            14..=17 | 27..=31 | 34..=36 | 50..=58 => Self::Date,
            18..=21 | 32 | 33 | 45 | 47 => Self::Time,
            22 => Self::DateTime,
            46 => Self::Duration,
            _ => Self::Number,
        }
    }

    /// A format by its text, such as `yyyy\-mm\-dd;@`. Text in quotes, escaped characters, colours and locales in
    /// brackets say nothing; `m` is a month beside days and years, and minutes beside hours and seconds.
    pub(super) fn of(code: &str) -> Self {
        let (mut date, mut time, mut month) = (false, false, false);
        let mut characters = code.chars();
        while let Some(character) = characters.next() {
            match character.to_ascii_lowercase() {
                // Only the format of positive numbers counts.
                ';' => break,
                '"' => {
                    characters.by_ref().find(|next| *next == '"');
                }
                '\\' | '_' | '*' => {
                    characters.next();
                }
                '[' => {
                    let inside: String = characters
                        .by_ref()
                        .take_while(|next| *next != ']')
                        .collect();
                    let inside = inside.to_ascii_lowercase();
                    if !inside.is_empty()
                        && ["h", "m", "s"]
                            .iter()
                            .any(|unit| inside.trim_matches(|c| unit.contains(c)).is_empty())
                    {
                        return Self::Duration;
                    }
                }
                'g' if code[..].to_ascii_lowercase().starts_with("general") => return Self::Number,
                'y' | 'd' => date = true,
                'h' | 's' => time = true,
                'm' => month = true,
                '0' | '#' | '?' if !(date || time || month) => return Self::Number,
                _ => {}
            }
        }
        match (date || (month && !time), time) {
            (true, true) => Self::DateTime,
            (true, false) => Self::Date,
            (false, true) => Self::Time,
            (false, false) => Self::Number,
        }
    }

    /// A number of days as text after ISO 8601; `None` if it is a number like others, or no date of the years 1900 to
    /// 9999.
    ///
    /// `since_1904` says that day 0 is the first of 1904. Otherwise day 1 is the first of 1900, and a day 60 that never
    /// was is counted.
    pub(super) fn show(self, days: f64, since_1904: bool) -> Option<String> {
        const LAST: f64 = 2_958_466.0;
        let milliseconds = (days * 86_400_000.0).round();
        match self {
            Self::Number => return None,
            Self::Duration => return duration(milliseconds),
            _ if !(0.0..LAST).contains(&days) => return None,
            _ => {}
        }
        let milliseconds = milliseconds as u64;
        let (day, rest) = (
            (milliseconds / 86_400_000) as i64,
            milliseconds % 86_400_000,
        );
        let clock = clock(rest);
        if self == Self::Time && day == 0 {
            return Some(clock);
        }
        // Days from the first of 1970.
        let (year, month, day) = calendar::date(match (since_1904, day) {
            (true, _) => day - 24_107,
            (false, 0..60) => day - 25_568,
            (false, _) => day - 25_569,
        });
        let date = format!("{year:04}-{month:02}-{day:02}");
        Some(match self {
            Self::Date if rest == 0 => date,
            _ => format!("{date}T{clock}"),
        })
    }
}

fn clock(milliseconds: u64) -> String {
    let (seconds, fraction) = (milliseconds / 1000, milliseconds % 1000);
    let clock = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    if fraction == 0 {
        clock
    } else {
        format!("{clock}.{fraction:03}")
    }
}

fn duration(milliseconds: f64) -> Option<String> {
    if milliseconds.is_nan() || milliseconds.abs() >= 1e15 {
        return None;
    }
    let sign = if milliseconds < 0.0 { "-" } else { "" };
    let milliseconds = milliseconds.abs() as u64;
    let (seconds, fraction) = (milliseconds / 1000, milliseconds % 1000);
    let mut text = format!(
        "{sign}PT{}H{}M{}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    if fraction > 0 {
        text.push('.');
        text.push_str(&format!("{fraction:03}")[..]);
    }
    text.push('S');
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn a_format_tells_dates_from_numbers() {
        let cases = [
            ("General", Format::Number),
            ("0.00", Format::Number),
            ("#,##0 \"days\"", Format::Number),
            ("0.00E+00", Format::Number),
            ("@", Format::Number),
            ("[Red]0", Format::Number),
            ("yyyy\\-mm\\-dd;@", Format::Date),
            ("[$-407]d. mmmm yyyy", Format::Date),
            ("mmm", Format::Date),
            ("h:mm AM/PM", Format::Time),
            ("mm:ss", Format::Time),
            ("yyyy-mm-dd hh:mm:ss", Format::DateTime),
            ("[h]:mm:ss", Format::Duration),
            ("[mm]:ss", Format::Duration),
        ];
        for (code, expected) in cases {
            assert_eq!(Format::of(code), expected, "{code}");
        }
    }

    #[test]
    fn days_are_shown_as_dates() {
        let cases = [
            (Format::Date, 1.0, false, "1900-01-01"),
            (Format::Date, 59.0, false, "1900-02-28"),
            (Format::Date, 61.0, false, "1900-03-01"),
            (Format::Date, 45_413.0, false, "2024-05-01"),
            (Format::Date, 0.0, true, "1904-01-01"),
            (Format::Date, 43_951.0, true, "2024-05-01"),
            (Format::Date, 45_413.5, false, "2024-05-01T12:00:00"),
            (Format::DateTime, 45_413.0, false, "2024-05-01T00:00:00"),
            (
                Format::DateTime,
                45_350.999_999_999,
                false,
                "2024-02-29T00:00:00",
            ),
            (Format::Time, 0.573_021, false, "13:45:09.014"),
            (Format::Time, 1.5, false, "1900-01-01T12:00:00"),
            (Format::Duration, 1.260_416_666_666, false, "PT30H15M0S"),
            (Format::Duration, -0.5, false, "-PT12H0M0S"),
            (Format::Date, 2_958_465.0, false, "9999-12-31"),
        ];
        for (format, days, since_1904, expected) in cases {
            assert_eq!(
                format.show(days, since_1904).as_deref(),
                Some(expected),
                "{days}"
            );
        }
        for days in [-1.0, 2_958_466.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Format::Date.show(days, false), None, "{days}");
        }
        assert_eq!(Format::Duration.show(f64::NAN, false), None);
        assert_eq!(Format::Number.show(1.0, false), None);
    }
}

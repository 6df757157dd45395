//! The lines of a `WhatsApp` chat: which of them begin a message, and when it was sent.
//!
//! The phone writes dates as its language does, and says nowhere which language that is. Day and month are told apart
//! by all lines together.

use regex::Regex;

use crate::load::time::Time;

/// A line that begins a message.
pub(super) struct Head {
    /// The three numbers of the date, as they stand.
    date: [u32; 3],
    clock: [u32; 3],
    /// It was written with the half of the day.
    half: bool,
    /// Where the text behind date and time begins, in bytes.
    pub(super) text: usize,
}

/// Reads the beginnings of messages.
pub(super) struct Heads(Regex);

/// Marks of the direction of writing, which stand anywhere in these files.
pub(super) fn is_mark(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Words for the halves of a day, without dots and spaces, and whether it is the second.
const HALVES: [(&str, bool); 24] = [
    ("am", false),
    ("pm", true),
    ("ص", false),
    ("م", true),
    ("上午", false),
    ("下午", true),
    ("凌晨", false),
    ("早上", false),
    ("中午", true),
    ("晚上", true),
    ("午前", false),
    ("午後", true),
    ("오전", false),
    ("오후", true),
    ("öö", false),
    ("ös", true),
    ("πμ", false),
    ("μμ", true),
    ("de", false),
    ("du", true),
    ("sa", false),
    ("ch", true),
    ("पूर्वाह्न", false),
    ("अपराह्न", true),
];

impl Heads {
    pub(super) fn new() -> Self {
        // `[31/12/2023, 23:59:58] `, `12/31/23, 11:59 PM - `, `31.12.23 klo 23.59 - `, `2023년 12월 31일 오후 11:59, `.
        let marks = r"[\u{200e}\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}\u{feff}]*";
        let date = format!(
            r"(\d{{1,4}}){marks}[./\-年년]\s?(\d{{1,2}}){marks}[./\-月월]\s?(\d{{1,4}})[日일]?\.?"
        );
        let half = r"\p{L}[\p{L}\p{M}. \u{a0}\u{202f}]{0,14}";
        let time = r"(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?";
        let pattern = format!(
            r"^{marks}\[?{marks}{date}[,،]?\s{{0,2}}({half})??\s?{time}(?:\s?({half}))?{marks}(?:\]{marks}\s|\s-\s|,\s)"
        );
        Self(Regex::new(&pattern).expect("the pattern is written above"))
    }

    /// The head of a line, if it has one.
    pub(super) fn of(&self, line: &str) -> Option<Head> {
        let start: String = line.chars().take(80).map(plain).collect();
        let found = self.0.captures(&start)?;
        let number = |group: usize| match found.get(group) {
            Some(digits) => digits.as_str().parse::<u32>().ok(),
            None => Some(0),
        };
        let date = [number(1)?, number(2)?, number(3)?];
        let mut clock = [number(5)?, number(6)?, number(7)?];
        let before = found.get(4).map(|word| halves(word.as_str()));
        let after = found.get(8).map(|word| halves(word.as_str()));
        let half = match (before, after) {
            (_, Some(half)) => Some(half?),
            (Some(half), None) => half,
            (None, None) => None,
        };
        // Only Korean puts a comma behind the time; elsewhere that is somebody's own line.
        if found[0].ends_with(", ") && before.flatten().is_none() {
            return None;
        }
        if let Some(second) = half {
            match (clock[0], second) {
                (12, false) => clock[0] = 0,
                (1..=11, true) => clock[0] += 12,
                _ => {}
            }
        }
        let length = found.get(0)?.as_str().chars().count();
        let text = line
            .char_indices()
            .nth(length)
            .map_or(line.len(), |(at, _)| at);
        let head = Head {
            date,
            clock,
            half: half.is_some(),
            text,
        };
        let possible = [
            Order::DayMonthYear,
            Order::MonthDayYear,
            Order::YearMonthDay,
        ];
        let possible = possible.iter().any(|order| head.time(*order).is_some());
        possible.then_some(head)
    }
}

/// A character with its digits and spaces as ASCII has them, one for one.
fn plain(character: char) -> char {
    const ZEROS: [char; 6] = ['٠', '۰', '०', '০', '๐', '０'];
    let digit = ZEROS.iter().find_map(|zero| {
        let value = u32::from(character).checked_sub(u32::from(*zero))?;
        char::from_digit(value, 10)
    });
    match character {
        _ if digit.is_some() => digit.unwrap_or(character),
        '\u{a0}' | '\u{202f}' => ' ',
        '\u{2013}' | '\u{2010}' => '-',
        _ => character,
    }
}

/// Whether a word says the second half of the day; `None` if it says neither.
fn halves(word: &str) -> Option<bool> {
    let word: String = word
        .chars()
        .filter(|character| !matches!(character, '.' | ' '))
        .flat_map(char::to_lowercase)
        .collect();
    let found = HALVES.iter().find(|(known, _)| *known == word);
    found.map(|(_, second)| *second)
}

/// The order of a date's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    DayMonthYear,
    MonthDayYear,
    YearMonthDay,
}

impl Head {
    pub(super) fn time(&self, order: Order) -> Option<Time> {
        let [first, second, third] = self.date;
        let (year, month, day) = match order {
            Order::DayMonthYear => (third, second, first),
            Order::MonthDayYear => (third, first, second),
            Order::YearMonthDay => (first, second, third),
        };
        let year = match year {
            0..=99 => 2000 + year,
            // The years of the Buddhist calendar of Thailand are 543 ahead.
            2500..=2700 => year - 543,
            _ => year,
        };
        // There was no WhatsApp before, and this is no forecast.
        (2000..2200).contains(&year).then_some(())?;
        Time::civil([year, month, day], self.clock)
    }
}

/// The order in which all dates of a file are written, and how sure that is.
pub(super) struct Decided {
    pub(super) order: Order,
    /// No date of the file speaks against another order.
    pub(super) assumed: bool,
}

impl Decided {
    /// As the field says it.
    pub(super) fn name(&self) -> &'static str {
        match (self.order, self.assumed) {
            (Order::DayMonthYear, false) => "day first",
            (Order::DayMonthYear, true) => "day first, assumed",
            (Order::MonthDayYear, false) => "month first",
            (Order::MonthDayYear, true) => "month first, assumed",
            (Order::YearMonthDay, _) => "year first",
        }
    }
}

/// Decides by what is a date at all, then by which order lets time run forward (the file is in the order of time), and
/// then by custom: with halves of the day and slashes the month comes first, else the day.
pub(super) fn decide(heads: &[&Head], custom: Order) -> Decided {
    let four = heads.iter().filter(|head| head.date[0] > 999).count();
    if four * 2 > heads.len() {
        return Decided {
            order: Order::YearMonthDay,
            assumed: false,
        };
    }
    let fit = |order: Order| {
        let times: Vec<Time> = heads.iter().filter_map(|head| head.time(order)).collect();
        let back = times.windows(2).filter(|pair| pair[1] < pair[0]).count();
        (heads.len() - times.len(), back)
    };
    let (day, month) = (fit(Order::DayMonthYear), fit(Order::MonthDayYear));
    match day.cmp(&month) {
        std::cmp::Ordering::Less => Decided {
            order: Order::DayMonthYear,
            assumed: false,
        },
        std::cmp::Ordering::Greater => Decided {
            order: Order::MonthDayYear,
            assumed: false,
        },
        std::cmp::Ordering::Equal => Decided {
            order: custom,
            // A day that is its own month is the same either way.
            assumed: heads.iter().any(|head| head.date[0] != head.date[1]),
        },
    }
}

/// The order that is the custom where dates are written like these.
pub(super) fn custom(heads: &[&Head], slashes: bool) -> Order {
    if slashes && heads.iter().any(|head| head.half) {
        Order::MonthDayYear
    } else {
        Order::DayMonthYear
    }
}

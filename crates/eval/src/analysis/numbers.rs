//! Numbers that differ from those of the reference.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::{
    Finding, Rule,
    prose::{code, touches},
};
use crate::Outcome;

/// A derivation of at least this many numbers is judged by its last one.
const DERIVATION: usize = 5;

/// The output has numbers that neither a reference nor the question has, and lacks numbers of every reference.
///
/// Numbers are compared by value, however they are written: `1,000`, `1 000`, `1000` and `1k`; `1.5 million`; `50%` and
/// `0.5`; `1/2`; `eight` and `8` (English words); `2:30 pm` and `14:30`; a rounded one (to one place or more) is equal to
/// the exact one. What can be read in two ways (`1.000`) is equal to either. Left out are numbers in code, in names
/// (`GPT-2`, `x86`) and before the items of a list.
///
/// Where the reference is a derivation of five numbers or more and the last number of both is the same, the way there may
/// differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct DifferentNumbers;

impl Rule for DifferentNumbers {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let mut found = numbers(&outcome.output);
        if found.is_empty() {
            return Vec::new();
        }
        let references: Vec<Vec<Number>> = outcome
            .references
            .iter()
            .map(|text| numbers(text))
            .collect();
        let lacks = |reference: &Vec<Number>| -> Vec<String> {
            let same_end = reference.len() >= DERIVATION
                && reference.last().zip(found.last()).is_some_and(same);
            reference
                .iter()
                .filter(|number| !same_end && !found.iter().any(|other| same((number, other))))
                .map(|number| number.written.clone())
                .collect()
        };
        let lacking = references.iter().map(lacks).min_by_key(Vec::len);
        let Some(lacking) = lacking.filter(|lacking| !lacking.is_empty()) else {
            return Vec::new();
        };
        let asked = numbers(&outcome.input);
        found.retain(|number| {
            let known = references.iter().flatten().chain(&asked);
            !known.into_iter().any(|other| same((number, other)))
        });
        found
            .into_iter()
            .map(|number| {
                let detail = format!(
                    "“{}”; the reference has {}",
                    number.written,
                    lacking.join(", ")
                );
                Finding::at("number", number.span, detail)
            })
            .collect()
    }
}

/// A number in a text.
#[derive(Clone, Debug)]
pub(super) struct Number {
    pub(super) span: Range<usize>,
    /// As it stands in the text.
    pub(super) written: String,
    /// What it may mean.
    pub(super) values: Vec<f64>,
    /// Digits after the point.
    decimals: i32,
}

/// Whether two numbers may mean the same.
pub(super) fn same((a, b): (&Number, &Number)) -> bool {
    let rounded = |value: f64, places: i32| {
        let scale = 10_f64.powi(places);
        (value * scale).round() / scale
    };
    let near = |x: f64, y: f64| (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1.0);
    let places = a.decimals.min(b.decimals);
    a.values.iter().any(|&x| {
        b.values.iter().any(|&y| {
            near(x, y)
                || (places > 0
                    && a.decimals != b.decimals
                    && near(rounded(x, places), rounded(y, places)))
        })
    })
}

static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let words = WORDS.map(|(word, _)| word).join("|");
    let scales = SCALES.map(|(word, _)| word).join("|");
    let digits =
        r"\d{1,3}(?:[ \u{a0}\u{2009}\u{202f}'’]\d{3}(?-u:\b))+(?:[.,]\d+)?|\d+(?:[.,:/]\d+)*";
    Regex::new(&format!(
        r"(?i)(?:(?P<digits>{digits})(?P<suffix>[a-z]*)|(?-u:\b)(?P<word>(?:{words})(?:-(?:{words}|one))?)(?-u:\b))(?:[ -](?P<scale>{scales})(?-u:\b))?(?P<half> ?[ap]\.?m(?-u:\b))?"
    ))
    .expect("the pattern is made of constants, and a test compiles it")
});

/// English words for numbers. `one` is left out: it is a pronoun more often than a number.
const WORDS: [(&str, f64); 27] = [
    ("zero", 0.0),
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("thirteen", 13.0),
    ("fourteen", 14.0),
    ("fifteen", 15.0),
    ("sixteen", 16.0),
    ("seventeen", 17.0),
    ("eighteen", 18.0),
    ("nineteen", 19.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
];

/// Words that multiply the number before them.
const SCALES: [(&str, f64); 6] = [
    ("hundred", 1e2),
    ("thousand", 1e3),
    ("millionen", 1e6),
    ("million", 1e6),
    ("billion", 1e9),
    ("trillion", 1e12),
];

/// The numbers of a text, in their order.
pub(super) fn numbers(text: &str) -> Vec<Number> {
    if !text
        .bytes()
        .any(|byte| byte.is_ascii_digit() || byte.is_ascii_alphabetic())
    {
        return Vec::new();
    }
    let code = code(text);
    let mut found = Vec::new();
    for parts in NUMBER.captures_iter(text) {
        let whole = parts.get(0).map_or(0..0, |whole| whole.range());
        if touches(&code, &whole) {
            continue;
        }
        let scale = parts
            .name("scale")
            .map_or(1.0, |scale| value(&SCALES, scale.as_str()));
        let (values, decimals) = if let Some(word) = parts.name("word") {
            let parts = word.as_str().split('-');
            let value = parts.map(|part| match part {
                one if one.eq_ignore_ascii_case("one") => 1.0,
                part => value(&WORDS, part),
            });
            (vec![value.sum()], 0)
        } else {
            let Some(digits) = parts.name("digits") else {
                continue;
            };
            let suffix = parts.name("suffix").map_or("", |suffix| suffix.as_str());
            let half = parts.name("half").map_or("", |half| half.as_str()).trim();
            let after = text[digits.end() + suffix.len()..].chars().next();
            if is_name(text, digits.range(), suffix, after) || is_marker(text, &digits.range()) {
                continue;
            }
            let half = if half.is_empty() { suffix } else { half };
            read(
                digits.as_str(),
                text[..digits.start()].chars().next_back(),
                half,
                after,
            )
        };
        found.push(Number {
            written: whole_text(text, &whole),
            span: whole,
            values: values.into_iter().map(|value| value * scale).collect(),
            decimals,
        });
    }
    found
}

fn whole_text(text: &str, span: &Range<usize>) -> String {
    text[span.clone()].trim().to_owned()
}

fn value(table: &[(&str, f64)], word: &str) -> f64 {
    let found = table
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word));
    found.map_or(0.0, |(_, value)| *value)
}

/// Whether digits belong to a name or to code: letters before them, or letters after them that are no unit.
fn is_name(text: &str, digits: Range<usize>, suffix: &str, after: Option<char>) -> bool {
    let mut before = text[..digits.start].chars().rev();
    let (last, earlier) = (before.next(), before.next());
    let joined = |c: char| c.is_alphanumeric() || c == '_' || c == '.' || c == '/';
    let behind = matches!(last, Some('-' | '–' | '^')) && earlier.is_some_and(char::is_alphabetic);
    last.is_some_and(joined)
        || behind
        || suffix.len() > 3
        || (!suffix.is_empty() && after.is_some_and(|c| c.is_alphanumeric() || c == '_'))
        || after == Some('_')
}

/// Whether digits number an item of a list: at the start of a line, with a dot or a bracket and a space after them.
fn is_marker(text: &str, digits: &Range<usize>) -> bool {
    let line = text[..digits.start].rfind('\n').map_or(0, |at| at + 1);
    let before = text[line..digits.start].trim_start();
    let mut after = text[digits.end..].chars();
    digits.len() <= 3
        && (before.is_empty() || before == "(" || before == "**")
        && matches!(after.next(), Some('.' | ')'))
        && after.next().is_some_and(char::is_whitespace)
}

/// What digits with their separators may mean, and how many stand after the point.
fn read(digits: &str, before: Option<char>, suffix: &str, after: Option<char>) -> (Vec<f64>, i32) {
    let groups: Vec<&str> = digits.split(|c: char| !c.is_ascii_digit()).collect();
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    let joined = number(&groups.concat());
    let separators: Vec<char> = digits.chars().filter(|c| !c.is_ascii_digit()).collect();
    let thousands = groups.len() > 1
        && (1..=3).contains(&groups[0].len())
        && groups[1..].iter().all(|group| group.len() == 3);
    let last = groups[groups.len() - 1];
    let decimal = || number(&format!("{}.{last}", groups[..groups.len() - 1].concat()));
    let (mut values, decimals) = match separators[..] {
        [] => (vec![joined], 0),
        [':'] => (clock(&groups, suffix, joined), 0),
        ['/'] => (vec![number(groups[0]) / number(groups[1]), joined], 0),
        ['.' | ','] if thousands => (vec![decimal(), joined], 3),
        ['.' | ','] => (vec![decimal()], last.len() as i32),
        [' ' | '\'', ..] if thousands && separators.iter().all(|&c| c == separators[0]) => {
            let mut values = vec![joined];
            values.extend(groups.iter().map(|group| number(group)));
            (values, 0)
        }
        _ if thousands && separators.iter().all(|&c| c == separators[0]) => (vec![joined], 0),
        [.., end @ ('.' | ',')] if separators.iter().filter(|&&c| c == end).count() == 1 => {
            (vec![decimal()], last.len() as i32)
        }
        // A date or a version: equal to the same digits.
        _ => (vec![joined], 0),
    };
    match (suffix, after) {
        ("k" | "K", _) => values.extend(values.clone().iter().map(|value| value * 1e3)),
        ("M", _) => values.extend(values.clone().iter().map(|value| value * 1e6)),
        (_, Some('%')) => values.extend(values.clone().iter().map(|value| value / 100.0)),
        _ => {}
    }
    if matches!(before, Some('-' | '−')) {
        values.extend(values.clone().iter().map(|value| -value));
    }
    (values, decimals)
}

/// A time of day: its digits, and twelve hours more in the afternoon.
fn clock(groups: &[&str], half: &str, joined: f64) -> Vec<f64> {
    let afternoon = half.to_ascii_lowercase().starts_with('p');
    let hours: u32 = groups[0].parse().unwrap_or(24);
    if afternoon && hours < 12 {
        vec![joined, joined + 1200.0]
    } else {
        vec![joined]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Vec<String> {
        numbers(text)
            .into_iter()
            .map(|number| number.written)
            .collect()
    }

    #[test]
    fn numbers_are_found_and_names_are_not() {
        for (text, expected) in [
            ("about 1,000 or 3.5 of them", vec!["1,000", "3.5"]),
            ("GPT-2 and x86 and 0x1F and v1.2 and H2O", vec![]),
            ("5km, 3rd, 90%", vec!["5km", "3rd", "90"]),
            ("1. first\n2) second\n(3) third 4.", vec!["4"]),
            (
                "twenty-one of two hundred, one by one",
                vec!["twenty-one", "two hundred"],
            ),
            ("`let x = 5;` and 6", vec!["6"]),
            ("at 2:30 pm on 12/05/2024", vec!["2:30 pm", "12/05/2024"]),
            ("", vec![]),
        ] {
            assert_eq!(all(text), expected, "{text}");
        }
    }

    #[test]
    fn ways_to_write_a_number_are_equal() {
        for (left, right) in [
            ("1,000", "1000"),
            ("1 000", "1000"),
            ("1.000", "1000"),
            ("1'000", "1,000"),
            ("1,234.50", "1234.5"),
            ("1.234,5", "1234.5"),
            ("50%", "0.5"),
            ("1/2", "0.5"),
            ("1.5 million", "1,500,000"),
            ("5k", "5000"),
            ("eight", "8"),
            ("twenty-one", "21"),
            ("two hundred", "200"),
            ("3.14", "3.14159"),
            ("2:30 pm", "14:30"),
            ("-5", "5"),
            ("3.0", "3"),
        ] {
            let (a, b) = (numbers(left), numbers(right));
            assert_eq!((a.len(), b.len()), (1, 1), "{left} {right}");
            assert!(same((&a[0], &b[0])), "{left} {right}: {a:?} {b:?}");
        }
        for (left, right) in [
            ("8", "9"),
            ("1,000", "10,000"),
            ("3.1", "3"),
            ("14:30", "14:31"),
            ("2.5", "2.6"),
        ] {
            assert!(
                !same((&numbers(left)[0], &numbers(right)[0])),
                "{left} {right}"
            );
        }
    }

    proptest! {
        #[test]
        fn spans_lie_in_the_text(text in "\\PC*|([0-9.,:/ %kM\u{a0}é-]{0,24})") {
            for number in numbers(&text) {
                prop_assert!(text.get(number.span.clone()).is_some());
                prop_assert!(!number.values.is_empty());
                prop_assert!(same((&number, &number)) || number.values.iter().all(|value| !value.is_finite()));
            }
        }
    }
}

//! How figures are written.

use crate::{
    Estimate,
    metric::{Better, Unit},
};

/// A value in its unit: `63.1%`, `12.4`.
pub(crate) fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => share(value),
        Unit::Number => number(value),
    }
}

/// A share of 1 in per cent with one decimal; `<0.1%` for what would round to nothing.
pub(crate) fn share(value: f64) -> String {
    let percent = value * 100.0;
    if percent > 0.0 && percent < 0.05 {
        "<0.1%".to_owned()
    } else {
        format!("{percent:.1}%")
    }
}

/// A number with about four significant digits.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "—".to_owned();
    }
    match size {
        0.0 => "0".to_owned(),
        _ if !(1e-3..1e6).contains(&size) => format!("{value:.2e}"),
        _ if size >= 1000.0 => grouped(value.round() as i64),
        _ if size >= 100.0 => format!("{value:.1}"),
        _ if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// An integer with commas between groups of three digits.
pub(crate) fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 {
        format!("−{text}")
    } else {
        text
    }
}

/// The interval of an estimate: `59.0–67.2%`; nothing where there is none.
pub(crate) fn interval(estimate: Estimate, unit: Unit) -> String {
    estimate
        .interval
        .map_or_else(String::new, |interval| match unit {
            Unit::Share => format!("{:.1}–{}", interval.low * 100.0, percent(interval.high)),
            Unit::Number => format!("{}–{}", number(interval.low), number(interval.high)),
        })
}

fn percent(value: f64) -> String {
    format!("{:.1}%", value * 100.0)
}

/// A difference with its sign: `+42.1 points` for shares, `−3.2` for numbers.
pub(crate) fn change(value: f64, unit: Unit) -> String {
    let sign = if value < 0.0 { "−" } else { "+" };
    match unit {
        Unit::Share => format!("{sign}{:.1} points", value.abs() * 100.0),
        Unit::Number => format!("{sign}{}", number(value.abs())),
    }
}

/// The interval of a difference: `+37.0 to +47.1`.
pub(crate) fn change_interval(estimate: Estimate, unit: Unit) -> Option<String> {
    let bare = |value| change(value, unit).trim_end_matches(" points").to_owned();
    estimate
        .interval
        .map(|interval| format!("{} to {}", bare(interval.low), bare(interval.high)))
}

/// `p < 0.001` or `p = 0.034`, not to be broken over two lines.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 {
        "p\u{a0}<\u{a0}0.001".to_owned()
    } else {
        format!("p\u{a0}=\u{a0}{p:.3}")
    }
}

/// `↑` where more is better, `↓` where less is.
pub(crate) fn arrow(better: Better) -> &'static str {
    match better {
        Better::Higher => "↑",
        Better::Lower => "↓",
    }
}

/// `1 answer`, `2 answers`.
pub(crate) fn counted(count: usize, one: &str) -> String {
    format!(
        "{} {one}{}",
        grouped(count as i64),
        if count == 1 { "" } else { "s" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interval;

    #[test]
    fn figures_are_short() {
        let check = |found: String, expected: &str| assert_eq!(found, expected);
        check(share(0.6312), "63.1%");
        check(share(0.0001), "<0.1%");
        check(share(0.0), "0.0%");
        check(number(0.0), "0");
        check(number(0.123_456), "0.123");
        check(number(12.345), "12.35");
        check(number(123.45), "123.5");
        check(number(1234.5), "1,235");
        check(number(12_345_678.0), "1.23e7");
        check(number(2e-4), "2.00e-4");
        check(number(f64::NAN), "—");
        check(grouped(-1_234_567), "−1,234,567");
        check(change(-0.05, Unit::Share), "−5.0 points");
        check(change(3.2, Unit::Number), "+3.200");
        check(p_value(0.000_2), "p\u{a0}<\u{a0}0.001");
        check(counted(1, "answer"), "1 answer");
        let estimate = Estimate {
            value: 0.5,
            error: None,
            interval: Some(Interval {
                low: 0.4,
                high: 0.6,
            }),
            count: 9,
        };
        check(interval(estimate, Unit::Share), "40.0–60.0%");
        check(
            change_interval(estimate, Unit::Share).unwrap(),
            "+40.0 to +60.0",
        );
    }
}

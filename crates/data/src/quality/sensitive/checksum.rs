//! Check digits of account and card numbers.

/// ISO 13616: the number, with its first four characters at the end and letters as numbers from 10, leaves 1 when it is
/// divided by 97. A match can run into the words after the number, so groups are taken away from its end.
pub(super) fn iban(found: &str) -> Option<usize> {
    let mut end = found.len();
    loop {
        let candidate = &found[..end];
        let characters = candidate.bytes().filter(|&byte| byte != b' ').count();
        if characters < 15 {
            return None;
        }
        if characters <= 34 && remainder_97(candidate) == 1 {
            return Some(end);
        }
        end = candidate.rfind(' ')?;
    }
}

fn remainder_97(number: &str) -> u32 {
    let digits: Vec<u8> = number.bytes().filter(|&byte| byte != b' ').collect();
    let turned = digits[4..].iter().chain(&digits[..4]);
    turned.fold(0, |rest, &byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    })
}

/// Luhn's check digit (ISO/IEC 7812-1) and the beginnings that issuers have. Numbers of one digit alone are none.
pub(super) fn card(found: &str) -> Option<usize> {
    let digits: Vec<u32> = digits(found);
    let first = |count: usize| {
        digits[..count]
            .iter()
            .fold(0, |sum, digit| sum * 10 + digit)
    };
    let known = match digits.len() {
        13 | 19 => digits[0] == 4 || first(2) == 62,
        14 => matches!(first(2), 36 | 38 | 39) || matches!(first(3), 300..=305),
        15 => matches!(first(2), 34 | 37),
        16 => {
            digits[0] == 4
                || matches!(first(2), 51..=55 | 62 | 64 | 65)
                || matches!(first(4), 2221..=2720 | 3528..=3589 | 5018 | 5020 | 5038 | 6011 | 6304 | 6759 | 6761..=6763)
        }
        _ => false,
    };
    let one = digits.iter().all(|digit| *digit == digits[0]);
    (known && !one && luhn(&digits)).then_some(found.len())
}

fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The digits of a number without what separates them.
pub(super) fn digits(found: &str) -> Vec<u32> {
    found
        .chars()
        .filter_map(|character| character.to_digit(10))
        .collect()
}

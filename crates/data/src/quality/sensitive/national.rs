//! Numbers that states give to persons, by their checksums.

use super::checksum::digits;

/// The rules, by what a number looks like. Bare numbers of eleven digits are many things, so that both of their rules
/// ask for more than a check digit.
const RULES: &[fn(&str, &[u32]) -> bool] = &[china, france, brazil, poland, germany, spain];

/// The length of the match if it is such a number.
pub(super) fn number(found: &str) -> Option<usize> {
    let digits = digits(found);
    let is = RULES.iter().any(|rule| rule(found, &digits));
    is.then_some(found.len())
}

fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum()
}

fn value(digits: &[u32]) -> u64 {
    digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(*digit))
}

fn day_of_month(month: u32, day: u32) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// GB 11643: eighteen places with the date of birth in the seventh to fourteenth, and ISO 7064 MOD 11-2.
fn china(found: &str, digits: &[u32]) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    if found.len() != 18 || digits.len() < 17 {
        return false;
    }
    let part = |from: usize, to: usize| value(&digits[from..to]) as u32;
    let expected = (12 - weighted(&digits[..17], &WEIGHTS) % 11) % 11;
    let check = digits.get(17).copied().unwrap_or(10);
    (1900..2100).contains(&part(6, 10))
        && day_of_month(part(10, 12), part(12, 14))
        && check == expected
}

/// NIR: thirteen places and a key that complements them to a multiple of 97. Corsica writes 2A and 2B for 19 and 18.
fn france(found: &str, _: &[u32]) -> bool {
    let bare: String = found
        .chars()
        .filter(|character| *character != ' ')
        .collect();
    if bare.len() != 15 {
        return false;
    }
    let plain = bare.replacen("2A", "19", 1).replacen("2B", "18", 1);
    let digits = digits(&plain);
    if digits.len() != 15 {
        return false;
    }
    let month = value(&digits[3..5]);
    (matches!(month, 1..=12 | 20..=42 | 50..=99))
        && 97 - value(&digits[..13]) % 97 == value(&digits[13..])
}

/// CPF, in its written form `000.000.000-00`: two check digits modulo 11.
fn brazil(found: &str, digits: &[u32]) -> bool {
    if !found.contains('.') || digits.len() != 11 || digits.iter().all(|digit| *digit == digits[0])
    {
        return false;
    }
    let check = |count: usize| {
        let weights: Vec<u32> = (2..=count as u32 + 1).rev().collect();
        weighted(&digits[..count], &weights) * 10 % 11 % 10
    };
    check(9) == digits[9] && check(10) == digits[10]
}

/// PESEL: eleven digits that begin with the date of birth (the month tells the century), and a weighted sum.
fn poland(found: &str, digits: &[u32]) -> bool {
    const WEIGHTS: [u32; 10] = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3];
    if found.len() != 11 || digits.len() != 11 {
        return false;
    }
    let (month, day) = (value(&digits[2..4]) as u32, value(&digits[4..6]) as u32);
    let check = (10 - weighted(&digits[..10], &WEIGHTS) % 10) % 10;
    day_of_month(month % 20, day) && check == digits[10]
}

/// Tax number (IdNr): eleven digits, no zero first, of the first ten exactly one occurring twice or thrice, and
/// ISO 7064 MOD 11,10.
fn germany(found: &str, digits: &[u32]) -> bool {
    if found.contains(['.', '-']) || digits.len() != 11 || digits[0] == 0 {
        return false;
    }
    let times = |digit: u32| digits[..10].iter().filter(|other| **other == digit).count();
    let repeated: Vec<usize> = (0..10).map(times).filter(|times| *times > 1).collect();
    let product = digits[..10].iter().fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    matches!(repeated[..], [2 | 3]) && (11 - product) % 10 == digits[10]
}

/// DNI and NIE: up to eight digits and a letter by their remainder modulo 23; X, Y and Z before seven digits are 0 to 2.
fn spain(found: &str, digits: &[u32]) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let first = match found.as_bytes().first() {
        Some(b'X') => Some(0),
        Some(b'Y') => Some(1),
        Some(b'Z') => Some(2),
        _ => None,
    };
    let expected = if first.is_some() { 7 } else { 8 };
    if digits.len() != expected {
        return false;
    }
    let number = first.unwrap_or(0) * 10_000_000 + value(digits);
    found.bytes().last() == Some(LETTERS[(number % 23) as usize])
}

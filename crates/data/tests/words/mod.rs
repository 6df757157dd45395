//! How alike two texts are by their words.

#![allow(missing_docs, unreachable_pub)]

use std::collections::HashMap;

/// The harmonic mean of precision and recall over words (runs of letters and digits), each counted as often as it
/// stands there; 1 for two texts without words.
pub fn word_f1(found: &str, expected: &str) -> f64 {
    let count = |text: &str| {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for word in text.split(|character: char| !character.is_alphanumeric()) {
            if !word.is_empty() {
                *counts.entry(word.to_lowercase()).or_default() += 1;
            }
        }
        counts
    };
    let (found, expected) = (count(found), count(expected));
    let total = found.values().sum::<usize>() + expected.values().sum::<usize>();
    let shared: usize = found
        .iter()
        .map(|(word, count)| (*count).min(expected.get(word).copied().unwrap_or(0)))
        .sum();
    if total == 0 {
        1.0
    } else {
        2.0 * shared as f64 / total as f64
    }
}

//! ROUGE (Lin 2004), equal to Google's `rouge-score` package with `use_stemmer=False`.

use std::collections::HashMap;

/// How two texts overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Overlap {
    /// The share of the output's units that the reference has.
    pub precision: f64,
    /// The share of the reference's units that the output has.
    pub recall: f64,
    /// The harmonic mean of both; 0 where both are 0.
    pub f1: f64,
}

impl Overlap {
    fn of(shared: usize, reference: usize, output: usize) -> Self {
        let precision = shared as f64 / output.max(1) as f64;
        let recall = shared as f64 / reference.max(1) as f64;
        let f1 = if precision + recall > 0.0 {
            2.0 * precision * recall / (precision + recall)
        } else {
            0.0
        };
        Self {
            precision,
            recall,
            f1,
        }
    }
}

/// Runs of ASCII letters and digits of the lower-cased text; everything else separates. (Texts in other scripts have no
/// tokens and score 0, as in the package.)
fn tokens(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|token| !token.is_empty())
        .map(str::to_owned)
        .collect()
}

/// ROUGE-L: the longest common subsequence of the tokens.
///
/// ```
/// let overlap = finetune_eval::metric::rouge_l("the cat sat on the mat", "the cat lay on the mat");
/// assert!((overlap.f1 - 5.0 / 6.0).abs() < 1e-12);
/// ```
pub fn rouge_l(reference: &str, output: &str) -> Overlap {
    let (reference, output) = (tokens(reference), tokens(output));
    let (reference, output) = intern(&reference, &output);
    Overlap::of(
        common_subsequence(&reference, &output),
        reference.len(),
        output.len(),
    )
}

/// ROUGE-Lsum: for each line of the reference, the tokens that lie on a longest common subsequence with any line of the
/// output, none counted more often than both texts have it.
pub fn rouge_lsum(reference: &str, output: &str) -> Overlap {
    let lines = |text: &str| -> Vec<Vec<String>> {
        let lines = text.split('\n').filter(|line| !line.is_empty());
        lines.map(tokens).collect()
    };
    let (reference, output) = (lines(reference), lines(output));
    let (mut expected, mut found) = (counted(&reference), counted(&output));
    let mut shared = 0;
    for line in &reference {
        let mut on_a_subsequence = vec![false; line.len()];
        for other in &output {
            mark_common(line, other, &mut on_a_subsequence);
        }
        for (token, on) in line.iter().zip(on_a_subsequence) {
            let (Some(expected), Some(found)) = (
                expected.get_mut(token.as_str()),
                found.get_mut(token.as_str()),
            ) else {
                continue;
            };
            if on && *expected > 0 && *found > 0 {
                *expected -= 1;
                *found -= 1;
                shared += 1;
            }
        }
    }
    let size = |lines: &[Vec<String>]| lines.iter().map(Vec::len).sum();
    Overlap::of(shared, size(&reference), size(&output))
}

/// How often each token stands in the lines.
fn counted(lines: &[Vec<String>]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for token in lines.iter().flatten() {
        *counts.entry(token.as_str()).or_default() += 1;
    }
    counts
}

/// Marks the places of `a` that lie on a longest common subsequence with `b`: of several, the one that the package's
/// walk back through the table takes.
fn mark_common(a: &[String], b: &[String], marks: &mut [bool]) {
    let width = b.len() + 1;
    let mut table = vec![0_usize; (a.len() + 1) * width];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            table[(i + 1) * width + j + 1] = if x == y {
                table[i * width + j] + 1
            } else {
                table[i * width + j + 1].max(table[(i + 1) * width + j])
            };
        }
    }
    let (mut i, mut j) = (a.len(), b.len());
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            marks[i - 1] = true;
            (i, j) = (i - 1, j - 1);
        } else if table[i * width + j - 1] > table[(i - 1) * width + j] {
            j -= 1;
        } else {
            i -= 1;
        }
    }
}

/// ROUGE-N: the shared n-grams of the tokens, each counted as often as both have it.
pub fn rouge_n(reference: &str, output: &str, n: usize) -> Overlap {
    let (reference, output) = (tokens(reference), tokens(output));
    let mut expected: HashMap<&[String], usize> = HashMap::new();
    if n == 0 {
        return Overlap::default();
    }
    for gram in reference.windows(n) {
        *expected.entry(gram).or_default() += 1;
    }
    let mut shared = 0;
    for gram in output.windows(n) {
        if let Some(count) = expected.get_mut(gram).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    let grams = |tokens: usize| (tokens + 1).saturating_sub(n);
    Overlap::of(shared, grams(reference.len()), grams(output.len()))
}

/// Both lists with equal tokens as equal numbers.
fn intern<'a>(a: &'a [String], b: &'a [String]) -> (Vec<u32>, Vec<u32>) {
    let mut known: HashMap<&'a str, u32> = HashMap::new();
    let mut number = |tokens: &'a [String]| -> Vec<u32> {
        tokens
            .iter()
            .map(|token| {
                let next = known.len() as u32;
                *known.entry(token).or_insert(next)
            })
            .collect()
    };
    let a = number(a);
    (a, number(b))
}

/// The length of the longest common subsequence; two rows of the table.
fn common_subsequence(a: &[u32], b: &[u32]) -> usize {
    let mut row = vec![0_usize; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (index, y) in b.iter().enumerate() {
            let above = row[index + 1];
            row[index + 1] = if x == y {
                diagonal + 1
            } else {
                above.max(row[index])
            };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, by brute force.
    fn slow(a: &[u32], b: &[u32]) -> usize {
        match (a.split_first(), b.split_first()) {
            (Some((x, a_rest)), Some((y, b_rest))) => {
                if x == y {
                    1 + slow(a_rest, b_rest)
                } else {
                    slow(a_rest, b).max(slow(a, b_rest))
                }
            }
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn longest_common_subsequence(
            a in prop::collection::vec(0_u32..4, 0..8),
            b in prop::collection::vec(0_u32..4, 0..8),
        ) {
            prop_assert_eq!(common_subsequence(&a, &b), slow(&a, &b));
        }

        #[test]
        fn equal_texts_overlap_fully(text in "[a-z]{1,3}( [a-z]{1,3}){1,9}") {
            prop_assert_eq!(rouge_l(&text, &text).f1, 1.0);
            prop_assert_eq!(rouge_n(&text, &text, 2).f1, 1.0);
        }
    }

    #[test]
    fn nothing_overlaps_nothing() {
        assert_eq!(rouge_l("", ""), Overlap::default());
        assert_eq!(rouge_n("one", "one", 2), Overlap::default());
        assert_eq!(rouge_n("one", "one", 0), Overlap::default());
    }
}

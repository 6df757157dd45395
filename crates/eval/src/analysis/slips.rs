//! How many slips of the hand part two words.

/// One bit per letter that occurs, modulo 64.
pub(super) fn mask(letters: &[char]) -> u64 {
    letters
        .iter()
        .fold(0, |mask, &letter| mask | 1 << (u32::from(letter) % 64))
}

/// The optimal string alignment distance (Damerau 1964, no substring edited twice), if it is at most `limit`.
pub(super) fn slips(a: &[char], b: &[char], limit: usize) -> Option<usize> {
    let mut earlier = vec![0; b.len() + 1];
    let mut before: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = before[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(before[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(earlier[j - 2] + 1);
            }
        }
        if row.iter().all(|&distance| distance > limit) {
            return None;
        }
        earlier = before;
        before = row;
    }
    (before[b.len()] <= limit).then_some(before[b.len()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, by recursion over prefixes.
    fn slow(a: &[char], b: &[char]) -> usize {
        let (m, n) = (a.len(), b.len());
        if m == 0 || n == 0 {
            return m + n;
        }
        let mut best = (slow(&a[..m - 1], b) + 1)
            .min(slow(a, &b[..n - 1]) + 1)
            .min(slow(&a[..m - 1], &b[..n - 1]) + usize::from(a[m - 1] != b[n - 1]));
        if m > 1 && n > 1 && a[m - 1] == b[n - 2] && a[m - 2] == b[n - 1] {
            best = best.min(slow(&a[..m - 2], &b[..n - 2]) + 1);
        }
        best
    }

    proptest! {
        #[test]
        fn slips_are_counted_right(a in "[abc]{0,5}", b in "[abc]{0,5}") {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            let distance = slow(&a, &b);
            prop_assert_eq!(slips(&a, &b, 2), (distance <= 2).then_some(distance));
        }
    }
}

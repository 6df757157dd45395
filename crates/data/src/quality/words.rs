//! What a word is, and hashes of words and of runs of words.

use xxhash_rust::xxh3::xxh3_64;

/// The words of a text with the byte at which each begins: runs of letters and digits. In scripts that are written
/// without spaces every character is a word.
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(char::is_alphanumeric)?;
        let rest = &text[start..];
        let first = rest.chars().next()?;
        let length = if unspaced(first) {
            first.len_utf8()
        } else {
            let ends = |character: char| !character.is_alphanumeric() || unspaced(character);
            rest.find(ends).unwrap_or(rest.len())
        };
        from = start + length;
        Some((start, &text[start..from]))
    })
}

/// Whether a character belongs to a script without spaces: Thai, Lao, Myanmar, Khmer, Chinese and Japanese.
fn unspaced(character: char) -> bool {
    matches!(character, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}')
}

/// A hash of each word of a text in lower case.
pub(crate) fn word_hashes(text: &str) -> Vec<u64> {
    let mut lower = String::new();
    let hash = |(_, word): (usize, &str)| {
        if word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        {
            return xxh3_64(word.as_bytes());
        }
        lower.clear();
        lower.extend(word.chars().flat_map(char::to_lowercase));
        xxh3_64(lower.as_bytes())
    };
    words(text).map(hash).collect()
}

/// A hash of a run of words: each word's hash is folded in by an odd product, and the end is mixed as in `SplitMix64`.
pub(crate) fn gram_hash(words: &[u64]) -> u64 {
    let folded = words.iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, word| {
        (hash ^ word)
            .wrapping_mul(0xd6e8_feb8_6659_fd93)
            .rotate_left(29)
    });
    mixed(folded)
}

/// The finalizer of `SplitMix64`: every bit of the result depends on every bit of the argument.
pub(crate) fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The set of runs of so many words, as sorted hashes; a shorter text is one run, and a text without words has none.
/// Two runs of a data set share a hash with a probability of 2⁻⁶⁴.
pub(crate) fn shingles(text: &str, size: usize) -> Vec<u64> {
    let words = word_hashes(text);
    let mut set: Vec<u64> = if words.len() > size {
        words.windows(size).map(gram_hash).collect()
    } else if words.is_empty() {
        Vec::new()
    } else {
        vec![gram_hash(&words)]
    };
    set.sort_unstable();
    set.dedup();
    set
}

/// The Jaccard similarity of two sorted sets: what both have, divided by what either has. 0 if both are empty.
pub(crate) fn jaccard(left: &[u64], right: &[u64]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0_usize);
    while i < left.len() && j < right.len() {
        match left[i].cmp(&right[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                both += 1;
                i += 1;
                j += 1;
            }
        }
    }
    let either = left.len() + right.len() - both;
    if either == 0 {
        0.0
    } else {
        both as f64 / either as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_single_characters_of_unspaced_scripts() {
        let list = |text| words(text).map(|(_, word)| word).collect::<Vec<_>>();
        assert_eq!(list("It's 3 o'clock."), ["It", "s", "3", "o", "clock"]);
        assert_eq!(list("Tokyoは東京。"), ["Tokyo", "は", "東", "京"]);
        assert!(list(" … ").is_empty());
        assert_eq!(words("a, Bé").last(), Some((3, "Bé")));
    }

    #[test]
    fn similarity_is_counted_over_runs_of_words() {
        // Runs of two words: {a b, b c, c d} and {b c, c d, d e}: two of four.
        let similarity = |left, right| jaccard(&shingles(left, 2), &shingles(right, 2));
        assert!((similarity("a b c d", "B, c D e") - 0.5).abs() < 1e-12);
        assert!((similarity("one", "One!") - 1.0).abs() < 1e-12);
        assert!(similarity("", "").abs() < 1e-12);
        assert!(similarity("a b", "b a").abs() < 1e-12);
    }
}

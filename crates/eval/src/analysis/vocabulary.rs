//! The words that are known, and the nearest of them to one that is not.

use std::{
    collections::HashMap,
    path::Path,
    sync::{OnceLock, PoisonError, RwLock},
};

use super::{
    english::COMMON,
    slips::{mask, slips},
    spelling::words,
};
use crate::{EvalError, Outcome, Result};

/// The words of the references, of the training texts and of the user's own list, in lower case, with their counts.
///
/// Build it whole before it is asked: [`nearest`](Vocabulary::nearest) makes an index at its first call.
#[derive(Default)]
pub struct Vocabulary {
    counts: HashMap<String, u32>,
    index: OnceLock<Vec<Vec<Known>>>,
    answers: RwLock<HashMap<String, Option<(String, usize)>>>,
}

/// A known word in the index.
struct Known {
    word: String,
    letters: Vec<char>,
    mask: u64,
    count: u32,
}

impl Vocabulary {
    /// No words.
    pub fn new() -> Self {
        Self::default()
    }

    /// The words of these texts.
    pub fn of_texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::new().with_texts(texts)
    }

    /// The words of what was asked and of the references: what an answer may use without being misspelt.
    pub fn of_outcomes(outcomes: &[Outcome]) -> Self {
        Self::of_texts(
            outcomes
                .iter()
                .flat_map(|outcome| [outcome.reference(), outcome.input.as_str()]),
        )
    }

    /// Adds the words of these texts.
    pub fn with_texts<T: AsRef<str>>(mut self, texts: impl IntoIterator<Item = T>) -> Self {
        for text in texts {
            self.add_text(text.as_ref());
        }
        self
    }

    /// Adds about 700 words that every English text may use, so that a small vocabulary does not take `them` for a
    /// misspelt `the`.
    pub fn with_common_english(mut self) -> Self {
        self.add_text(COMMON);
        self
    }

    /// Adds the words of a text; names and words in code included, since whoever repeats them does not misspell them.
    pub fn add_text(&mut self, text: &str) {
        for word in words(text) {
            self.add(&text[word.span]);
        }
    }

    /// Adds a word; a possessive also adds its owner.
    pub fn add(&mut self, word: &str) {
        let word = folded(word);
        if let Some(owner) = word.strip_suffix("'s") {
            self.count(owner.to_owned());
        }
        self.count(word);
    }

    fn count(&mut self, word: String) {
        let count = self.counts.entry(word).or_default();
        *count = count.saturating_add(1);
        self.index.take();
        self.answers
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Adds a word list: one word per line; empty lines and lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// [`EvalError::Io`] if the file cannot be read as UTF-8.
    pub fn add_list(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| EvalError::Io {
            path: path.to_owned(),
            source,
        })?;
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            self.add(line);
        }
        Ok(())
    }

    /// The number of different words.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Whether the word is known, in any case, or as the plural, possessive or negated form of a known one.
    pub fn contains(&self, word: &str) -> bool {
        let word = folded(word);
        let known = |word: &str| self.counts.contains_key(word);
        let stem = |suffix| word.strip_suffix(suffix).is_some_and(known);
        known(&word)
            || ["'s", "s", "'", "'re", "'ve", "'ll", "'d", "n't"]
                .into_iter()
                .any(stem)
            || ["can't", "won't", "i'm", "let's"].contains(&word.as_str())
    }

    /// The nearest known word and its distance in slips (a letter too many, too few, another one, or two swapped): at
    /// most 1 for words of up to seven letters, else at most 2, since almost every short word is two slips away from some
    /// other. The more frequent of equally near ones, then the first in the alphabet.
    pub fn nearest(&self, word: &str) -> Option<(String, usize)> {
        let word = folded(word);
        if let Some(answer) = self
            .answers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&word)
        {
            return answer.clone();
        }
        let answer = self.search(&word);
        self.answers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(word, answer.clone());
        answer
    }

    fn search(&self, word: &str) -> Option<(String, usize)> {
        let index = self.index.get_or_init(|| self.build());
        let letters: Vec<char> = word.chars().collect();
        let limit = if letters.len() <= 7 { 1 } else { 2 };
        let mask = mask(&letters);
        let lengths = letters.len().saturating_sub(limit)..=letters.len() + limit;
        let mut best: Option<(usize, &Known)> = None;
        for known in lengths.filter_map(|length| index.get(length)).flatten() {
            // A slip changes at most two bits of the mask; most words fall here.
            if (known.mask ^ mask).count_ones() as usize > 2 * limit {
                continue;
            }
            let Some(distance) = slips(&letters, &known.letters, limit) else {
                continue;
            };
            let nearer = best.is_none_or(|(least, other)| {
                let (a, b) = (
                    (distance, u32::MAX - known.count),
                    (least, u32::MAX - other.count),
                );
                a < b || (a == b && known.word < other.word)
            });
            if nearer {
                best = Some((distance, known));
            }
        }
        best.map(|(distance, known)| (known.word.clone(), distance))
    }

    /// The words by their number of letters.
    fn build(&self) -> Vec<Vec<Known>> {
        let mut index: Vec<Vec<Known>> = Vec::new();
        for (word, &count) in &self.counts {
            let letters: Vec<char> = word.chars().collect();
            if index.len() <= letters.len() {
                index.resize_with(letters.len() + 1, Vec::new);
            }
            let known = Known {
                word: word.clone(),
                mask: mask(&letters),
                letters,
                count,
            };
            index[known.letters.len()].push(known);
        }
        index
    }
}

/// Lower case, with the typographic apostrophe as the plain one.
fn folded(word: &str) -> String {
    word.to_lowercase().replace('’', "'")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_forms_of_known_words() {
        let vocabulary =
            Vocabulary::of_texts(["The adapter does train; it can merge the model’s weights."]);
        for word in [
            "Adapter",
            "adapters",
            "adapter's",
            "adapter’s",
            "doesn't",
            "MODEL",
            "can't",
        ] {
            assert!(vocabulary.contains(word), "{word}");
        }
        assert!(!vocabulary.contains("adaptor"));
    }

    #[test]
    fn finds_the_nearest_word() {
        let vocabulary = Vocabulary::of_texts(["training straining rank rank tank gradient"]);
        let check = |word: &str, expected: Option<(&str, usize)>| {
            let expected = expected.map(|(word, distance)| (word.to_owned(), distance));
            assert_eq!(vocabulary.nearest(word), expected, "{word}");
            assert_eq!(vocabulary.nearest(word), expected, "{word}, from memory");
        };
        check("trianing", Some(("training", 1)));
        check("gradeint", Some(("gradient", 1)));
        check("gradeitn", Some(("gradient", 2)));
        check("grdent", None);
        check("bank", Some(("rank", 1)));
        check("rnkk", None);
        check("zebra", None);
    }

    #[test]
    fn common_english_is_known() {
        let vocabulary = Vocabulary::new().with_common_english();
        assert!(vocabulary.len() > 600, "{}", vocabulary.len());
        for word in ["them", "Because", "doesn't", "yourself", "especially"] {
            assert!(vocabulary.contains(word), "{word}");
        }
    }

    #[test]
    fn reads_a_word_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.txt");
        std::fs::write(&path, "# names\nBurn\n\nLoRA\n").unwrap();
        let mut vocabulary = Vocabulary::new();
        vocabulary.add_list(&path).unwrap();
        assert_eq!(vocabulary.len(), 2);
        assert!(vocabulary.contains("lora") && !vocabulary.contains("names"));
        let error = vocabulary
            .add_list(folder.path().join("none.txt"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("none.txt"), "{error}");
    }

    proptest! {
        #[test]
        fn the_mask_never_hides_a_near_word(word in "[a-f]{8,10}", other in "[a-f]{6,12}") {
            let letters: Vec<char> = word.chars().collect();
            let others: Vec<char> = other.chars().collect();
            let vocabulary = Vocabulary::of_texts([other.as_str()]);
            let expected = slips(&letters, &others, 2);
            prop_assert_eq!(vocabulary.nearest(&word).map(|(_, distance)| distance), expected);
        }
    }
}

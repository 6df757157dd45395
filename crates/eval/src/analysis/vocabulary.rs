//! The words that are known, and the nearest of them to one that is not.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{OnceLock, PoisonError, RwLock},
};

use super::{
    english::COMMON,
    prose::words,
    slips::{mask, slips},
};
use crate::{EvalError, Outcome, Result};

/// The words of the references, of the training texts and of the user's own list, in lower case, with their counts; and
/// dictionaries of languages.
///
/// Build it whole before it is asked: [`nearest`](Vocabulary::nearest) makes an index at its first call.
#[derive(Default)]
pub struct Vocabulary {
    words: Words,
    /// By the ISO 639-3 code of the language.
    dictionaries: BTreeMap<String, Words>,
}

/// Words with their counts, and an index of them.
#[derive(Default)]
struct Words {
    counts: HashMap<String, u32>,
    index: OnceLock<Vec<Vec<Known>>>,
    answers: RwLock<HashMap<String, Option<(String, usize)>>>,
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vocabulary")
            .field("words", &self.words.counts.len())
            .field("dictionaries", &self.dictionaries.keys())
            .finish_non_exhaustive()
    }
}

/// A known word in the index.
struct Known {
    word: String,
    letters: Vec<char>,
    mask: u64,
    count: u32,
}

/// A known word near one that is not.
pub(super) struct Near {
    pub(super) word: String,
    pub(super) slips: usize,
    /// The language of the dictionary that it stands in; none for a word of the texts.
    pub(super) language: Option<String>,
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
    /// misspelt `the`. They are a dictionary of English: see [`add_dictionary`](Vocabulary::add_dictionary).
    pub fn with_common_english(mut self) -> Self {
        self.dictionaries
            .entry("eng".to_owned())
            .or_default()
            .add_text(COMMON);
        self
    }

    /// Adds the words of a text; names and words in code included, since whoever repeats them does not misspell them.
    pub fn add_text(&mut self, text: &str) {
        self.words.add_text(text);
    }

    /// Adds a word; a possessive also adds its owner.
    pub fn add(&mut self, word: &str) {
        self.words.add(word);
    }

    /// Adds a word list: one word per line; empty lines and lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// [`EvalError::Io`] if the file cannot be read as UTF-8.
    pub fn add_list(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.words.add_list(path.as_ref())
    }

    /// Adds a word list as a dictionary of a language, given by its ISO 639-3 code (`eng`, `deu`): its words are known
    /// everywhere, and are taken for what was meant only in texts that are not clearly in another language.
    ///
    /// # Errors
    /// As [`add_list`](Vocabulary::add_list).
    pub fn add_dictionary(
        &mut self,
        language: impl Into<String>,
        path: impl AsRef<Path>,
    ) -> Result<()> {
        let words = self.dictionaries.entry(language.into()).or_default();
        words.add_list(path.as_ref())
    }

    /// The number of different words; one that stands in several dictionaries counts in each.
    pub fn len(&self) -> usize {
        self.all().map(|(_, words)| words.counts.len()).sum()
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the word is known, in any case, or as the plural, possessive or negated form of a known one.
    pub fn contains(&self, word: &str) -> bool {
        let word = folded(word);
        let known = |word: &str| self.all().any(|(_, words)| words.counts.contains_key(word));
        let stem = |suffix| word.strip_suffix(suffix).is_some_and(known);
        known(&word)
            || ["'s", "s", "'", "'re", "'ve", "'ll", "'d", "n't"]
                .into_iter()
                .any(stem)
            || ["can't", "won't", "i'm", "let's"].contains(&word.as_str())
    }

    /// The nearest known word and its distance in slips (a letter too many, too few, another one, or two swapped): at
    /// most 1 for words of up to seven letters, else at most 2, since almost every short word is two slips away from some
    /// other. The more frequent of equally near ones, then the first in the alphabet; words of the texts before those of
    /// dictionaries.
    pub fn nearest(&self, word: &str) -> Option<(String, usize)> {
        let near = self.near(word).min_by_key(|near| near.slips)?;
        Some((near.word, near.slips))
    }

    /// The nearest word of the texts and of each dictionary.
    pub(super) fn near(&self, word: &str) -> impl Iterator<Item = Near> + use<'_> {
        let word = folded(word);
        self.all().filter_map(move |(language, words)| {
            let (word, slips) = words.nearest(&word)?;
            let language = language.map(str::to_owned);
            Some(Near {
                word,
                slips,
                language,
            })
        })
    }

    /// The words of the texts, and the dictionaries by their language.
    fn all(&self) -> impl Iterator<Item = (Option<&str>, &Words)> {
        let dictionaries = self.dictionaries.iter();
        [(None, &self.words)]
            .into_iter()
            .chain(dictionaries.map(|(language, words)| (Some(language.as_str()), words)))
    }
}

impl Words {
    fn add_text(&mut self, text: &str) {
        for word in words(text) {
            self.add(&text[word.span]);
        }
    }

    fn add(&mut self, word: &str) {
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

    fn add_list(&mut self, path: &Path) -> Result<()> {
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

    fn nearest(&self, word: &str) -> Option<(String, usize)> {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = answers.get(word) {
            return answer.clone();
        }
        drop(answers);
        let answer = self.search(word);
        self.answers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(word.to_owned(), answer.clone());
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

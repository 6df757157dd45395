//! Exact match and token F1, with the normalisation that the question-answering field uses.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use regex::Regex;
use serde::{Deserialize, Serialize};

static ARTICLES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(a|an|the)\b").expect("the pattern is a constant that a test compiles")
});

/// What is made equal before two answers are compared.
///
/// The default is that of `SQuAD`'s evaluation script, version 1.1: lower case, no ASCII punctuation, no English articles,
/// whitespace runs as one space. In this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent switches, each a field of a configuration"
)]
pub struct Normalization {
    /// Lower case.
    pub lowercase: bool,
    /// The 32 ASCII punctuation characters are removed (not replaced by a space).
    pub punctuation: bool,
    /// The words `a`, `an`, `the` are removed.
    pub articles: bool,
    /// Runs of whitespace become one space, and none is left at the ends.
    pub whitespace: bool,
}

impl Default for Normalization {
    fn default() -> Self {
        Self {
            lowercase: true,
            punctuation: true,
            articles: true,
            whitespace: true,
        }
    }
}

impl Normalization {
    /// Everything counts, to the byte.
    pub const EXACT: Self = Self {
        lowercase: false,
        punctuation: false,
        articles: false,
        whitespace: false,
    };

    /// `text` with what does not count removed.
    pub fn apply(self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        if self.lowercase {
            text = Cow::Owned(text.to_lowercase());
        }
        if self.punctuation {
            text = Cow::Owned(text.chars().filter(|c| !c.is_ascii_punctuation()).collect());
        }
        if self.articles {
            text = Cow::Owned(ARTICLES.replace_all(&text, " ").into_owned());
        }
        if self.whitespace {
            text = Cow::Owned(text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        text.into_owned()
    }
}

/// 1 if the texts are equal after normalisation, else 0.
///
/// ```
/// use finetune_eval::metric::{exact_match, Normalization};
///
/// assert_eq!(exact_match("The Rank.", "rank", Normalization::default()), 1.0);
/// ```
pub fn exact_match(reference: &str, output: &str, normalization: Normalization) -> f64 {
    f64::from(u8::from(
        normalization.apply(reference) == normalization.apply(output),
    ))
}

/// The F1 of the bags of words, after normalisation: the harmonic mean of precision and recall of the shared words.
///
/// If either has no words, it is 1 if both have none, else 0 (`SQuAD` 2.0's script).
pub fn token_f1(reference: &str, output: &str, normalization: Normalization) -> f64 {
    let (reference, output) = (normalization.apply(reference), normalization.apply(output));
    let expected: Vec<_> = reference.split_whitespace().collect();
    let found: Vec<_> = output.split_whitespace().collect();
    if expected.is_empty() || found.is_empty() {
        return f64::from(u8::from(expected.is_empty() && found.is_empty()));
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in &expected {
        *counts.entry(word).or_default() += 1;
    }
    let mut shared = 0_usize;
    for word in &found {
        if let Some(count) = counts.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    if shared == 0 {
        return 0.0;
    }
    let precision = shared as f64 / found.len() as f64;
    let recall = shared as f64 / expected.len() as f64;
    2.0 * precision * recall / (precision + recall)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn normalises_as_documented() {
        let squad = Normalization::default();
        assert_eq!(
            squad.apply(" The  quick-brown fox, an\nanimal. "),
            "quickbrown fox animal"
        );
        assert_eq!(squad.apply("a theory of then"), "theory of then");
        assert_eq!(Normalization::EXACT.apply(" The "), " The ");
    }

    #[test]
    fn empty_answers() {
        let squad = Normalization::default();
        assert_eq!(token_f1("", "", squad), 1.0);
        assert_eq!(token_f1("the", "", squad), 1.0);
        assert_eq!(token_f1("rank", "", squad), 0.0);
        assert_eq!(token_f1("", "rank", squad), 0.0);
    }

    proptest! {
        #[test]
        fn f1_is_symmetric_and_bounded(a in "[a-c ]{0,12}", b in "[a-c ]{0,12}") {
            let squad = Normalization::default();
            let (ab, ba) = (token_f1(&a, &b, squad), token_f1(&b, &a, squad));
            prop_assert!((ab - ba).abs() < 1e-12 && (0.0..=1.0).contains(&ab));
        }

        #[test]
        fn equal_texts_match(text in "\\PC*") {
            let squad = Normalization::default();
            prop_assert_eq!(exact_match(&text, &text, squad), 1.0);
            prop_assert_eq!(token_f1(&text, &text, squad), 1.0);
        }
    }
}

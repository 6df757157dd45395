//! The language of a text.

use serde::{Deserialize, Serialize};

/// What a language that is not known is called.
pub const UNKNOWN: &str = "unknown";

/// Tells the language of texts, and which languages are wanted.
///
/// The language is found by whatlang from the script and the frequency of three-letter groups. Short texts give too
/// few of these: they are `unknown` rather than guessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Language {
    /// The wanted languages by their ISO 639-3 code, such as `eng`, `deu`, `cmn`. Default none: all are wanted.
    pub wanted: Vec<String>,
    /// Whether a text of unknown language is wanted. Default true.
    pub unknown: bool,
    /// The fewest letters of a text whose language is told; texts in a script of one language need a quarter.
    /// Default 40.
    pub letters: usize,
    /// The least confidence, from 0 to 1. Default 0.9, above which whatlang calls its result reliable.
    pub confidence: f64,
}

impl Default for Language {
    fn default() -> Self {
        Self {
            wanted: Vec::new(),
            unknown: true,
            letters: 40,
            confidence: 0.9,
        }
    }
}

impl Language {
    /// The ISO 639-3 code of a text's language, or [`UNKNOWN`].
    pub fn of(&self, text: &str) -> &'static str {
        let letters = text.chars().filter(|letter| letter.is_alphabetic()).count();
        let Some(info) = whatlang::detect(text) else {
            return UNKNOWN;
        };
        let alone = info.script().langs().len() == 1;
        let enough = if alone {
            self.letters.div_ceil(4)
        } else {
            self.letters
        };
        if letters < enough || info.confidence() < self.confidence {
            return UNKNOWN;
        }
        info.lang().code()
    }

    /// Whether a row in this language is wanted.
    pub fn wants(&self, language: &str) -> bool {
        if language == UNKNOWN {
            self.unknown
        } else {
            self.wanted.is_empty() || self.wanted.iter().any(|wanted| wanted == language)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_and_short_texts_are_unknown() {
        for (text, expected) in [
            (
                "The quick brown fox jumps over the lazy dog, and nobody in the village was surprised by that.",
                "eng",
            ),
            (
                "Der schnelle Fuchs springt über den faulen Hund, und niemand im Dorf wunderte sich darüber.",
                "deu",
            ),
            (
                "Le renard rapide saute par-dessus le chien paresseux, et personne au village ne s'en étonna.",
                "fra",
            ),
            ("東京は日本の首都であり、人口が最も多い都市です。", "jpn"),
            ("Η γρήγορη αλεπού πηδάει πάνω από το σκυλί", "ell"),
            ("Hi there", UNKNOWN),
            ("Ja", UNKNOWN),
            ("1 + 1 = 2", UNKNOWN),
            ("", UNKNOWN),
        ] {
            assert_eq!(Language::default().of(text), expected, "{text}");
        }
    }

    #[test]
    fn wanted_languages_and_the_unknown_are_chosen_apart() {
        let mut language = Language {
            wanted: vec!["deu".into()],
            ..Language::default()
        };
        assert!(language.wants("deu") && !language.wants("eng") && language.wants(UNKNOWN));
        language.unknown = false;
        assert!(!language.wants(UNKNOWN));
        assert!(Language::default().wants("eng"));
    }
}

//! Perplexity and bits per byte of plain text.

use finetune_data::{Document, Mapping, mapping::TextMapping};

use super::{Answer, Request, Task};
use crate::{
    Metric, Outcome, Result,
    metric::{BitsPerByte, Perplexity},
};

/// How well a model predicts plain text: perplexity and bits per byte over whole documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanguageModeling {
    name: String,
    mapping: TextMapping,
}

impl LanguageModeling {
    /// A task over the documents' texts, wherever they have them.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            mapping: TextMapping::default(),
        }
    }

    /// Says where the text of a record stands.
    pub fn mapping(mut self, mapping: TextMapping) -> Self {
        self.mapping = mapping;
        self
    }

    fn text(&self, document: &Document) -> Result<String> {
        Ok(self.mapping.example(document.clone())?.text)
    }
}

impl Task for LanguageModeling {
    fn name(&self) -> &str {
        &self.name
    }

    fn request(&self, document: &Document) -> Result<Request> {
        self.text(document).map(Request::Rolling)
    }

    fn grade(&self, document: &Document, answer: &Answer) -> Result<Outcome> {
        let score = answer.rolling(&self.name, &document.origin)?;
        let text = self.text(document)?;
        let mut outcome = Outcome::new(document.origin.clone(), "", "", "")
            .with_score("log_likelihood", score.log_likelihood)
            .with_score("tokens", score.tokens as f64)
            .with_score("words", words(&text) as f64)
            .with_score("bytes", text.len() as f64);
        outcome.references.clear();
        outcome.input = text;
        Ok(outcome)
    }

    fn metrics(&self) -> Vec<Box<dyn Metric>> {
        vec![
            Box::new(BitsPerByte),
            Box::new(Perplexity::Word),
            Box::new(Perplexity::Token),
        ]
    }
}

/// The number of words as lm-evaluation-harness counts them: the pieces of a split at whitespace runs, an empty piece at
/// either end included.
fn words(text: &str) -> usize {
    // Python's `\s` also takes the four information separators, which Unicode does not call whitespace.
    let space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    let mut runs = 0;
    let mut before = false;
    for c in text.chars() {
        runs += usize::from(space(c) && !before);
        before = space(c);
    }
    runs + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_words_as_the_harness_does() {
        // len(re.split(r"\s+", text))
        for (text, count) in [
            ("", 1),
            ("a", 1),
            ("a b", 2),
            (" a  b\n", 4),
            ("a\u{1c}b", 2),
            ("a\u{a0}b", 2),
        ] {
            assert_eq!(words(text), count, "{text:?}");
        }
    }
}

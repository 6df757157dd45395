//! Error analysis: what is wrong with each output, in total, and what became of it after training.
//!
//! An [`ErrorClass`] is a name, a meaning and a [`Rule`] that finds evidence in an output. [`Classes`] is a list of
//! them in the order of their weight; several may hold for one output, and the first that holds is its *main* class.
//! An output for which none holds is [`RIGHT`]. Classes are data ([`Definition`]) or rules of your own. [`Flow`] shows
//! which class became which between two models.
//!
//! ```
//! use finetune_data::Origin;
//! use finetune_eval::analysis::{Classes, ErrorClass, Finding, Vocabulary};
//! use finetune_eval::Outcome;
//!
//! let shouting = ErrorClass::new("shouting", "an exclamation mark", |outcome: &Outcome| {
//!     outcome.output.match_indices('!').map(|(at, _)| Finding::at("exclamation mark", at..at + 1, "")).collect()
//! });
//! let outcome = Outcome::new(Origin::new("answers.jsonl", 1), "Which rank?", "Rank eight is enough.", "Rank eight is enough!");
//! let analysis = Classes::standard(Vocabulary::new()).with(shouting).analyze("base", &[outcome]).unwrap();
//! assert_eq!(analysis.items[0].main.as_deref(), Some("shouting"));
//! ```

mod collect;
mod content;
mod definition;
mod ending;
mod english;
mod flow;
mod format;
mod judge;
mod language;
mod length;
mod numbers;
mod prompt;
mod prose;
mod read;
mod refusal;
mod repetition;
mod significance;
mod similar;
mod slices;
mod slips;
mod special;
mod spelling;
mod support;
mod suspects;
mod tables;
mod topics;
mod vocabulary;

use std::{ops::Range, sync::Arc};

use serde::{Deserialize, Serialize};

pub use collect::{Collection, NearRow, Need};
pub use content::{Similarity, similarity};
pub use definition::{Bounds, Check, Definition, Knowledge, LengthUnit};
pub use ending::{CutOff, Empty, NeverStopped};
pub use flow::{ClassChange, Flow, Move};
pub use format::Format;
pub use judge::{Analysis, ClassTotal, Judged};
pub use language::WrongLanguage;
pub use length::{TooLong, TooShort};
pub use numbers::DifferentNumbers;
pub use prompt::CopiedPrompt;
pub use refusal::{Refusal, RefusalWords};
pub use repetition::Repetition;
pub use significance::{Correction, fisher_exact};
pub use slices::{Cut, Row, Slice, Slicer, Slices};
pub use special::SpecialTokens;
pub use spelling::Misspelt;
pub use support::{Contexts, Unsupported};
pub use suspects::{RowLoss, Suspect, Suspects, Suspicion, Verdict, losses};
pub use vocabulary::Vocabulary;

use crate::Outcome;

/// The name of the class of outputs for which no error class holds.
pub const RIGHT: &str = "right";

/// What a rule found in an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The rule that found it, in words.
    pub rule: String,
    /// Where in the output, in bytes; none if it concerns the whole.
    #[serde(default)]
    pub span: Option<Range<usize>>,
    /// What was found and what was expected.
    #[serde(default)]
    pub detail: String,
}

impl Finding {
    /// A finding about the whole output.
    pub fn whole(rule: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            span: None,
            detail: detail.into(),
        }
    }

    /// A finding about a part of the output.
    pub fn at(rule: impl Into<String>, span: Range<usize>, detail: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            span: Some(span),
            detail: detail.into(),
        }
    }
}

/// Finds evidence of an error in an output. A closure over an [`Outcome`] is a rule.
pub trait Rule: Send + Sync {
    /// Every piece of evidence; nothing if the error is not there.
    fn find(&self, outcome: &Outcome) -> Vec<Finding>;

    /// The same where the [`similarity`] of the output is known: a rule that asks for it need not work it out again.
    fn find_at(&self, outcome: &Outcome, similarity: f64) -> Vec<Finding> {
        let _ = similarity;
        self.find(outcome)
    }
}

impl<F: Fn(&Outcome) -> Vec<Finding> + Send + Sync> Rule for F {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        self(outcome)
    }
}

/// A kind of error.
#[derive(Clone)]
pub struct ErrorClass {
    /// Its name, as it stands in reports.
    pub name: String,
    /// What it means, in one line.
    pub meaning: String,
    rule: Arc<dyn Rule>,
}

impl ErrorClass {
    /// A class of the outputs in which `rule` finds something.
    pub fn new(
        name: impl Into<String>,
        meaning: impl Into<String>,
        rule: impl Rule + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            meaning: meaning.into(),
            rule: Arc::new(rule),
        }
    }

    /// The evidence that this class holds for an output.
    pub fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        self.rule.find(outcome)
    }
}

impl std::fmt::Debug for ErrorClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ErrorClass")
            .field("name", &self.name)
            .field("meaning", &self.meaning)
            .finish_non_exhaustive()
    }
}

/// The error classes of an analysis, the weightiest first.
#[derive(Clone, Debug)]
pub struct Classes(Vec<ErrorClass>);

impl Classes {
    /// The usual classes: those of [`Definition::standard`], each with the thresholds of its rule's default.
    ///
    /// # Panics
    /// Never: the list is part of the crate, and a test builds it.
    pub fn standard(knowledge: impl Into<Knowledge>) -> Self {
        Self::defined(&Definition::standard(), &knowledge.into())
            .expect("the list is part of the crate")
    }

    /// Exactly these classes, the weightiest first.
    pub fn only(classes: impl IntoIterator<Item = ErrorClass>) -> Self {
        Self(classes.into_iter().collect())
    }

    /// Adds a class with the least weight.
    pub fn with(mut self, class: ErrorClass) -> Self {
        self.0.push(class);
        self
    }

    /// Adds a class with the most weight.
    pub fn first(mut self, class: ErrorClass) -> Self {
        self.0.insert(0, class);
        self
    }

    /// Leaves out the class of this name.
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|class| class.name != name);
        self
    }

    /// Demands a form of every output: the class `wrong format` with the most weight after `empty`.
    pub fn format(mut self, format: Format) -> Self {
        let class = ErrorClass::new(
            "wrong format",
            format!("it is not {}", format.expected()),
            format,
        );
        let place = usize::from(self.0.first().is_some_and(|class| class.name == "empty"));
        self.0.insert(place, class);
        self
    }

    /// The classes, the weightiest first.
    pub fn iter(&self) -> std::slice::Iter<'_, ErrorClass> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Classes {
    type Item = &'a ErrorClass;
    type IntoIter = std::slice::Iter<'a, ErrorClass>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

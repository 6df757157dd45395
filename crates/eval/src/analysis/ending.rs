//! Outputs that are empty, that were cut off, and that never stopped.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{Finding, Repetition, Rule, length::longest, prose::units};
use crate::{Finish, Outcome};

/// Nothing to be seen: whitespace and invisible characters. Where a reference is empty, an empty output is right.
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty;

impl Rule for Empty {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        if is_blank(&outcome.output) && !outcome.references.iter().any(|text| is_blank(text)) {
            vec![Finding::whole("empty", "no text")]
        } else {
            Vec::new()
        }
    }
}

/// Whether nothing of a text is to be seen.
pub(super) fn is_blank(text: &str) -> bool {
    let unseen = |c: char| matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    text.chars()
        .all(|c| c.is_whitespace() || c.is_control() || unseen(c))
}

/// The answer is not whole: generation ran into the limit of tokens before the answer had the length of one that
/// [never stops](NeverStopped); or, where it is not known why it ended, it ends inside a sentence (a comma, an article or
/// a conjunction at the end of eight words or more) or inside a fenced block of code.
#[derive(Clone, Copy, Debug, Default)]
pub struct CutOff;

/// Words that end no sentence.
const OPEN: [&str; 14] = [
    "a", "an", "the", "and", "or", "but", "because", "which", "whose", "their", "its", "your",
    "my", "than",
];

impl Rule for CutOff {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        match outcome.finished {
            Some(Finish::Length) if NeverStopped::default().find(outcome).is_empty() => {
                vec![Finding::whole("no end", "it ran into the limit of tokens")]
            }
            Some(Finish::Stop | Finish::Length) => Vec::new(),
            None => unfinished(&outcome.output).into_iter().collect(),
        }
    }
}

/// The evidence in the text itself that it is not whole.
fn unfinished(output: &str) -> Option<Finding> {
    let fences = output.match_indices("```").map(|(at, _)| at);
    let fences: Vec<usize> = fences.collect();
    if fences.len() % 2 == 1 {
        let span = fences[fences.len() - 1]..output.trim_end().len();
        return Some(Finding::at(
            "no end",
            span,
            "a block of code that does not close",
        ));
    }
    let words = units(output);
    let last = words.last().filter(|_| words.len() >= 8)?;
    let word = &output[last.clone()];
    let open = word.ends_with([',', '(']) || OPEN.contains(&word);
    open.then(|| Finding::at("no end", last.clone(), format!("it ends with “{word}”")))
}

/// The model does not end its answer: it ran into the limit of tokens and had written far more than the longest
/// reference, or the same thing again and again; or it went on with another turn of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NeverStopped {
    /// The factor over the longest reference; 1.5 by default.
    pub ratio: f64,
    /// The least excess in words; 8 by default.
    pub words: usize,
}

impl Default for NeverStopped {
    fn default() -> Self {
        Self {
            ratio: 1.5,
            words: 8,
        }
    }
}

/// A line that begins another turn.
static TURN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?m)^[ \t]*(?:\*\*)?(?:(?:User|Human|Assistant|System|Question|Q)(?:\*\*)?:",
        r"|###? ?(?:Instruction|Response|Input|User|Human|Assistant|Question)\b)"
    ))
    .expect("the pattern is a constant that a test compiles")
});

impl Rule for NeverStopped {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let mut found: Vec<Finding> = another_turn(outcome).into_iter().collect();
        if outcome.finished != Some(Finish::Length) {
            return found;
        }
        let expected = longest(outcome);
        let words = units(&outcome.output);
        let limit = expected as f64 * self.ratio;
        let far = words.len() as f64 > limit && words.len() >= expected + self.words;
        if far {
            let span = words[limit as usize].start..outcome.output.trim_end().len();
            let detail = format!(
                "{} words at the limit of tokens, the reference has {expected}",
                words.len()
            );
            found.push(Finding::at("no end", span, detail));
        } else if let Some(finding) = Repetition::default().find(outcome).pop() {
            let detail = format!("a loop at the limit of tokens: {}", finding.detail);
            found.push(Finding { detail, ..finding });
        }
        found
    }
}

/// The first line after the answer's beginning that begins another turn, unless the question or a reference has such
/// lines too.
fn another_turn(outcome: &Outcome) -> Option<Finding> {
    let output = &outcome.output;
    let turn = TURN
        .find_iter(output)
        .find(|turn| !is_blank(&output[..turn.start()]))?;
    let known = outcome
        .references
        .iter()
        .chain([&outcome.input])
        .any(|text| TURN.is_match(text));
    let detail = format!("it goes on with “{}”", turn.as_str().trim());
    (!known).then(|| Finding::at("another turn", turn.range(), detail))
}

//! Outputs that copy the question.

use std::{collections::HashSet, ops::Range};

use serde::{Deserialize, Serialize};

use super::{Finding, Rule, prose::lowered};
use crate::Outcome;

/// The fewest words of a question whose copy counts.
const QUESTION: usize = 4;

/// The output copies the question: runs of `words` words or more that stand in no reference and make up half of the
/// output, or four fifths of the question; or it begins with the whole of a question of four words or more.
///
/// A run that contains a whole reference is none: there the answer is a passage of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CopiedPrompt {
    /// The fewest words of a copied run; 8 by default.
    pub words: usize,
}

impl Default for CopiedPrompt {
    fn default() -> Self {
        Self { words: 8 }
    }
}

impl Rule for CopiedPrompt {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let asked = words(&outcome.input);
        let said = lowered(&outcome.output);
        if asked.len() < QUESTION || said.len() < QUESTION {
            return Vec::new();
        }
        let output: Vec<&str> = said.iter().map(|(_, word)| word.as_str()).collect();
        let references: Vec<Vec<String>> =
            outcome.references.iter().map(|text| words(text)).collect();
        if output.len() >= asked.len()
            && asked.iter().eq(&output[..asked.len()])
            && !references
                .iter()
                .any(|reference| reference.starts_with(&asked))
        {
            let span = said[0].0.start..said[asked.len() - 1].0.end;
            return vec![Finding::at(
                "copy",
                span,
                "it begins with the whole question",
            )];
        }
        let runs = self.runs(&asked, &output, &references);
        let copied: usize = runs.iter().map(Range::len).sum();
        if 2 * copied < output.len() && 5 * copied < 4 * asked.len() {
            return Vec::new();
        }
        runs.into_iter()
            .map(|run| {
                let span = said[run.start].0.start..said[run.end - 1].0.end;
                Finding::at("copy", span, format!("{} words of the question", run.len()))
            })
            .collect()
    }
}

impl CopiedPrompt {
    /// The runs of the output that stand in the question and in no reference.
    fn runs(
        self,
        asked: &[String],
        output: &[&str],
        references: &[Vec<String>],
    ) -> Vec<Range<usize>> {
        let size = self.words.max(1);
        let asked: HashSet<&[String]> = asked.windows(size).collect();
        let answers: HashSet<&[String]> = references
            .iter()
            .flat_map(|text| text.windows(size))
            .collect();
        let mut runs: Vec<Range<usize>> = Vec::new();
        let owned: Vec<String> = output.iter().map(|&word| word.to_owned()).collect();
        for (at, run) in owned.windows(size).enumerate() {
            if !asked.contains(run) || answers.contains(run) {
                continue;
            }
            match runs.last_mut() {
                Some(last) if last.end >= at => last.end = at + size,
                _ => runs.push(at..at + size),
            }
        }
        runs.retain(|run| {
            let run = &owned[run.clone()];
            let holds = |reference: &Vec<String>| {
                !reference.is_empty()
                    && run
                        .windows(reference.len())
                        .any(|part| part == &reference[..])
            };
            !references.iter().any(holds)
        });
        runs
    }
}

fn words(text: &str) -> Vec<String> {
    lowered(text).into_iter().map(|(_, word)| word).collect()
}

//! Multiple choice by log-likelihood.

use finetune_data::{Document, Value};

use super::{Answer, Request, Task, largest, record};
use crate::{Continuation, EvalError, Metric, Outcome, Result, metric::Mean};

/// Questions with a list of choices: the model scores each choice after the question, and the likeliest is its answer.
///
/// Three accuracies, named for what the log-likelihood is divided by, as in lm-evaluation-harness: `accuracy` (nothing),
/// `accuracy per character` (`acc_norm`: the choice's code points) and `accuracy per byte` (`acc_bytes`: its UTF-8). The
/// first of equal choices wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultipleChoice {
    /// Its name.
    pub name: String,
    /// The field of the question.
    pub question: String,
    /// The field of the choices: a list of texts.
    pub choices: String,
    /// The field of the right answer: its index from 0, its letter from A, or its text.
    pub answer: String,
    /// Stands before the question.
    pub before: String,
    /// Stands after the question, before the delimiter.
    pub after: String,
    /// Stands between the prompt and a choice; it is scored with the choice.
    pub delimiter: String,
}

impl MultipleChoice {
    /// `Question: …\nAnswer:` over the fields `question`, `choices` and `answer`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            question: "question".into(),
            choices: "choices".into(),
            answer: "answer".into(),
            before: "Question: ".into(),
            after: "\nAnswer:".into(),
            delimiter: " ".into(),
        }
    }

    fn choices(&self, document: &Document) -> Result<Vec<String>> {
        let choices = record::texts(document, &self.name, &self.choices)?;
        if choices.is_empty() || choices.iter().any(String::is_empty) {
            let expected = "a list of texts, none of them empty";
            return Err(record::missing(
                document,
                &self.name,
                &self.choices,
                expected,
            ));
        }
        Ok(choices)
    }

    /// The index of the right choice.
    fn gold(&self, document: &Document, choices: &[String]) -> Result<usize> {
        let found = match document.fields.get(&self.answer) {
            Some(Value::Number(number)) => number.as_u64().map(|index| index as usize),
            Some(Value::String(text)) => choices
                .iter()
                .position(|choice| choice == text)
                .or_else(|| letter(text)),
            _ => None,
        };
        found.filter(|index| *index < choices.len()).ok_or_else(|| EvalError::MissingReference {
            origin: document.origin.clone(),
            task: self.name.clone(),
            reason: format!(
                "the field {:?} is neither an index below {}, nor a letter, nor the text of a choice",
                self.answer,
                choices.len()
            ),
        })
    }
}

/// `A` is 0.
fn letter(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [letter @ b'A'..=b'Z'] => Some(usize::from(letter - b'A')),
        _ => None,
    }
}

impl Task for MultipleChoice {
    fn name(&self) -> &str {
        &self.name
    }

    fn request(&self, document: &Document) -> Result<Request> {
        let choices = self.choices(document)?;
        self.gold(document, &choices)?;
        let question = record::text(document, &self.name, &self.question)?;
        let context = format!("{}{question}{}", self.before, self.after);
        let continuation = |choice: &String| {
            Continuation::new(context.as_str(), format!("{}{choice}", self.delimiter))
        };
        Ok(Request::Score(choices.iter().map(continuation).collect()))
    }

    fn grade(&self, document: &Document, answer: &Answer) -> Result<Outcome> {
        let choices = self.choices(document)?;
        let gold = self.gold(document, &choices)?;
        let scores = answer.scores(choices.len(), &self.name, &document.origin)?;
        let best = |divisor: &dyn Fn(&str) -> usize| {
            largest(
                choices
                    .iter()
                    .zip(scores)
                    .map(|(choice, score)| score.log_likelihood / divisor(choice) as f64),
            )
        };
        let right = |index: usize| f64::from(u8::from(index == gold));
        let plain = best(&|_| 1);
        let question = record::text(document, &self.name, &self.question)?;
        let mut outcome = Outcome::new(
            document.origin.clone(),
            question,
            &choices[gold],
            &choices[plain],
        )
        .with_score("acc", right(plain))
        .with_score("acc_norm", right(best(&|choice| choice.chars().count())))
        .with_score("acc_bytes", right(best(&str::len)));
        outcome.log_likelihoods = scores.iter().map(|score| score.log_likelihood).collect();
        Ok(outcome)
    }

    fn metrics(&self) -> Vec<Box<dyn Metric>> {
        vec![
            Box::new(Mean::new("accuracy", "acc")),
            Box::new(Mean::new("accuracy per character", "acc_norm")),
            Box::new(Mean::new("accuracy per byte", "acc_bytes")),
        ]
    }
}

//! Classification of texts by a language model.

use finetune_data::{Document, Labeled, Mapping};

use super::{Answer, Request, Task, largest};
use crate::{Continuation, EvalError, Metric, Outcome, Prompt, Result, metric::of_labels};

/// The output of an item for which the model wrote no label of the list.
pub const NO_LABEL: &str = "(no label)";

/// Texts with one label each out of a fixed list: accuracy, macro F1, Matthews' correlation.
///
/// By default the model scores every label after the text and the likeliest wins (the first of equal ones). With
/// [`generated`](Classification::generated) it writes, and its first line is the label, or [`NO_LABEL`]; case and
/// whitespace around it do not count.
pub struct Classification {
    name: String,
    mapping: Box<dyn Mapping<Example = Labeled>>,
    labels: Vec<String>,
    before: String,
    after: String,
    delimiter: String,
    generated: Option<usize>,
}

impl Classification {
    /// A task over `labels` whose documents `mapping` turns into labelled texts. The prompt is `text` and `\nLabel:`.
    ///
    /// # Errors
    /// [`EvalError::Setting`] for fewer than two labels, an empty one, or one given twice.
    pub fn new(
        name: impl Into<String>,
        labels: Vec<String>,
        mapping: impl Mapping<Example = Labeled> + 'static,
    ) -> Result<Self> {
        let name = name.into();
        let twice = labels
            .iter()
            .enumerate()
            .any(|(index, label)| labels[..index].contains(label));
        if labels.len() < 2 || twice || labels.iter().any(String::is_empty) {
            let reason =
                format!("expected two or more different labels, none empty; found {labels:?}");
            return Err(EvalError::Setting { what: name, reason });
        }
        Ok(Self {
            name,
            mapping: Box::new(mapping),
            labels,
            before: String::new(),
            after: "\nLabel:".into(),
            delimiter: " ".into(),
            generated: None,
        })
    }

    /// What stands before and after the text.
    pub fn prompt(mut self, before: impl Into<String>, after: impl Into<String>) -> Self {
        self.before = before.into();
        self.after = after.into();
        self
    }

    /// Lets the model write the label, in at most `max_tokens` tokens, instead of scoring each.
    pub fn generated(mut self, max_tokens: usize) -> Self {
        self.generated = Some(max_tokens);
        self
    }

    /// The text with its label, one of the list.
    fn read(&self, document: &Document) -> Result<(String, String)> {
        let labeled = self.mapping.example(document.clone())?;
        let label = labeled.label.to_string();
        if !self.labels.contains(&label) {
            return Err(EvalError::UnknownLabel {
                origin: document.origin.clone(),
                task: self.name.clone(),
                label,
                labels: self.labels.clone(),
            });
        }
        Ok((labeled.whole(), label))
    }

    /// The label that the model wrote.
    fn written(&self, text: &str) -> &str {
        let line = text
            .trim()
            .lines()
            .next()
            .unwrap_or_default()
            .trim()
            .to_lowercase();
        self.labels
            .iter()
            .find(|label| label.to_lowercase() == line)
            .map_or(NO_LABEL, String::as_str)
    }
}

impl Task for Classification {
    fn name(&self) -> &str {
        &self.name
    }

    fn request(&self, document: &Document) -> Result<Request> {
        let (text, _) = self.read(document)?;
        let context = format!("{}{text}{}", self.before, self.after);
        Ok(match self.generated {
            Some(max_tokens) => Request::Generate(Prompt::new(context, max_tokens).stop("\n")),
            None => Request::Score(
                self.labels
                    .iter()
                    .map(|label| {
                        Continuation::new(context.as_str(), format!("{}{label}", self.delimiter))
                    })
                    .collect(),
            ),
        })
    }

    fn grade(&self, document: &Document, answer: &Answer) -> Result<Outcome> {
        let (text, label) = self.read(document)?;
        let (output, finished, log_likelihoods) = if self.generated.is_some() {
            let generation = answer.generation(&self.name, &document.origin)?;
            (
                self.written(&generation.text),
                Some(generation.finished),
                Vec::new(),
            )
        } else {
            let scores = answer.scores(self.labels.len(), &self.name, &document.origin)?;
            let best = largest(scores.iter().map(|score| score.log_likelihood));
            (
                self.labels[best].as_str(),
                None,
                scores.iter().map(|score| score.log_likelihood).collect(),
            )
        };
        let right = f64::from(u8::from(output == label));
        let mut outcome =
            Outcome::new(document.origin.clone(), text, label, output).with_score("acc", right);
        outcome.finished = finished;
        outcome.log_likelihoods = log_likelihoods;
        Ok(outcome)
    }

    fn metrics(&self) -> Vec<Box<dyn Metric>> {
        of_labels(&self.labels)
    }
}

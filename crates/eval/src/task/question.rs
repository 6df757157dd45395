//! Question answering by generation.

use finetune_data::{Conversation, Document, Mapping};

use super::{Answer, Prompting, Request, Task, record};
use crate::{
    EvalError, Metric, Outcome, Result,
    metric::{Mean, Normalization, exact_match, rouge_l, token_f1},
};

/// Questions with reference answers: the model writes, and its answer is compared with the references by exact match,
/// token F1 and ROUGE-L. With several references the best one counts, for each score.
///
/// The last turn of the conversation must be the assistant's: it is the reference. Whitespace around an answer does not
/// count.
pub struct QuestionAnswering {
    name: String,
    mapping: Box<dyn Mapping<Example = Conversation>>,
    prompting: Prompting,
    max_tokens: usize,
    also: Option<String>,
    normalization: Normalization,
}

impl QuestionAnswering {
    /// A task whose documents `mapping` turns into conversations; `AnyChat::default()` detects the usual forms.
    pub fn new(
        name: impl Into<String>,
        mapping: impl Mapping<Example = Conversation> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            mapping: Box::new(mapping),
            prompting: Prompting::template(),
            max_tokens: 128,
            also: None,
            normalization: Normalization::default(),
        }
    }

    /// How the question is put; the engine's template by default.
    pub fn prompting(mut self, prompting: Prompting) -> Self {
        self.prompting = prompting;
        self
    }

    /// The most tokens of an answer; 128 by default.
    pub fn max_tokens(mut self, max_tokens: usize) -> Self {
        self.max_tokens = max_tokens;
        self
    }

    /// A field that holds a list of further accepted answers, where a record has it.
    pub fn also_accepted(mut self, field: impl Into<String>) -> Self {
        self.also = Some(field.into());
        self
    }

    /// What does not count when answers are compared.
    pub fn normalization(mut self, normalization: Normalization) -> Self {
        self.normalization = normalization;
        self
    }

    /// The conversation and the accepted answers.
    fn read(&self, document: &Document) -> Result<(Conversation, Vec<String>)> {
        let conversation = self.mapping.example(document.clone())?;
        let missing = |reason: &str| EvalError::MissingReference {
            origin: document.origin.clone(),
            task: self.name.clone(),
            reason: reason.to_owned(),
        };
        let reference = conversation
            .answer()
            .ok_or_else(|| missing("its last turn is not the assistant's"))?;
        if reference.trim().is_empty() {
            return Err(missing("its answer is empty"));
        }
        let mut references = vec![reference.to_owned()];
        if let Some(field) = self
            .also
            .as_ref()
            .filter(|field| document.fields.contains_key(field))
        {
            for text in record::texts(document, &self.name, field)? {
                if !references.contains(&text) {
                    references.push(text);
                }
            }
        }
        Ok((conversation, references))
    }
}

impl Task for QuestionAnswering {
    fn name(&self) -> &str {
        &self.name
    }

    fn request(&self, document: &Document) -> Result<Request> {
        let (conversation, _) = self.read(document)?;
        Ok(Request::Generate(
            self.prompting
                .prompt(&conversation.without_answer(), self.max_tokens),
        ))
    }

    fn grade(&self, document: &Document, answer: &Answer) -> Result<Outcome> {
        let generation = answer.generation(&self.name, &document.origin)?;
        let (conversation, references) = self.read(document)?;
        let output = generation.text.trim();
        let best = |score: &dyn Fn(&str) -> f64| {
            references
                .iter()
                .map(|text| score(text))
                .fold(0.0, f64::max)
        };
        let exact = best(&|reference| exact_match(reference, output, self.normalization));
        let f1 = best(&|reference| token_f1(reference, output, self.normalization));
        let rouge = best(&|reference| rouge_l(reference, output).f1);
        let mut outcome =
            Outcome::new(document.origin.clone(), conversation.question(), "", output)
                .with_score("exact_match", exact)
                .with_score("f1", f1)
                .with_score("rouge_l", rouge);
        outcome.references = references;
        outcome.finished = Some(generation.finished);
        Ok(outcome)
    }

    fn metrics(&self) -> Vec<Box<dyn Metric>> {
        vec![
            Box::new(Mean::new("token F1", "f1")),
            Box::new(Mean::new("ROUGE-L", "rouge_l")),
            Box::new(Mean::new("exact match", "exact_match")),
        ]
    }
}

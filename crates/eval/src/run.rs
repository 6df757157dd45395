//! One model, one task, a set of documents.

use std::collections::BTreeMap;
use std::time::Instant;

use finetune_data::{Document, Label, Labeled};
use serde::{Deserialize, Serialize};

use crate::{
    Answer, Continuation, Estimate, EvalError, LanguageModel, Metric, Outcome, Request, Result,
    Task,
    metric::{Better, Unit, of_labels, of_several, several},
};

/// A measured metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The metric's name.
    pub metric: String,
    /// Which way it improves.
    pub better: Better,
    /// How its value is written.
    pub unit: Unit,
    /// Its value, error, interval and count.
    pub estimate: Estimate,
}

/// The result of one evaluation: every outcome, and what was measured over them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What was evaluated, as a reader should see it: `base, few-shot`.
    pub model: String,
    /// The task's name.
    pub task: String,
    /// One outcome per document, in their order.
    pub outcomes: Vec<Outcome>,
    /// The metrics, the main one first.
    pub measured: Vec<Measured>,
    /// How long the model took, in seconds.
    pub seconds: f64,
}

impl Run {
    /// Measures outcomes that came from elsewhere.
    ///
    /// # Errors
    /// [`EvalError::EmptyEvaluation`] if there are none; whatever a metric returns.
    pub fn of_outcomes(
        model: impl Into<String>,
        task: impl Into<String>,
        metrics: &[Box<dyn Metric>],
        outcomes: Vec<Outcome>,
    ) -> Result<Self> {
        let task = task.into();
        if outcomes.is_empty() {
            return Err(EvalError::EmptyEvaluation { task });
        }
        let items: Vec<_> = outcomes.iter().collect();
        let measure = |metric: &dyn Metric| {
            Ok(Measured {
                metric: metric.name().to_owned(),
                better: metric.better(),
                unit: metric.unit(),
                estimate: metric.measure(&items)?,
            })
        };
        let measured = metrics
            .iter()
            .map(|metric| measure(metric.as_ref()))
            .collect::<Result<_>>()?;
        Ok(Self {
            model: model.into(),
            task,
            outcomes,
            measured,
            seconds: 0.0,
        })
    }

    /// What an answer would reach that knows nothing of the text: the label that is most frequent in the training
    /// examples (the first of equal ones), for every item. Where labels are lists, it is the most frequent list, and the
    /// metrics are [`of_several`]'s.
    ///
    /// # Errors
    /// [`EvalError::EmptyEvaluation`] if there is nothing to train on, or nothing to answer.
    pub fn majority(
        task: impl Into<String>,
        train: &[Labeled],
        examples: &[Labeled],
    ) -> Result<Self> {
        let mut counts: BTreeMap<String, (usize, &Label)> = BTreeMap::new();
        for example in train {
            let count = counts.entry(example.label.to_string());
            count.or_insert((0, &example.label)).0 += 1;
        }
        let task = task.into();
        let most = counts.values().map(|(count, _)| *count).max();
        let Some((name, (_, label))) = counts.iter().find(|(_, (count, _))| Some(*count) == most)
        else {
            return Err(EvalError::EmptyEvaluation { task });
        };
        let lists = train.iter().chain(examples).any(|one| one.label.is_list());
        let outcome = |example: &Labeled| {
            if lists {
                return several::outcome(example, label.classes());
            }
            let reference = example.label.to_string();
            let right = f64::from(u8::from(reference == *name));
            Outcome::new(example.origin.clone(), example.whole(), reference, name)
                .with_score("acc", right)
        };
        let metrics = if lists {
            of_several()
        } else {
            of_labels(&counts.keys().cloned().collect::<Vec<_>>())
        };
        let outcomes = examples.iter().map(outcome).collect();
        Self::of_outcomes("most frequent label", task, &metrics, outcomes)
    }

    /// The estimate of a metric, by its name.
    pub fn estimate(&self, metric: &str) -> Option<Estimate> {
        self.measured
            .iter()
            .find(|measured| measured.metric == metric)
            .map(|measured| measured.estimate)
    }
}

/// What is called after each chunk with the number of documents done and their total.
type Progress<'a> = Box<dyn FnMut(usize, usize) + 'a>;

/// How an evaluation runs.
pub struct Evaluation<'a> {
    chunk: usize,
    progress: Option<Progress<'a>>,
}

impl Default for Evaluation<'_> {
    fn default() -> Self {
        Self {
            chunk: 256,
            progress: None,
        }
    }
}

/// Evaluates `model`, called `name` in reports, on `task` over `documents`.
///
/// # Errors
/// See [`Evaluation::run`].
pub fn evaluate(
    name: impl Into<String>,
    model: &dyn LanguageModel,
    task: &dyn Task,
    documents: &[Document],
) -> Result<Run> {
    Evaluation::default().run(name, model, task, documents)
}

impl<'a> Evaluation<'a> {
    /// How many documents are handed to the model at once; 256 by default. The model makes its own batches of them; a
    /// larger chunk lets it sort more by length, a smaller one reports progress more often. Results do not depend on it.
    pub fn chunk(mut self, documents: usize) -> Self {
        self.chunk = documents.max(1);
        self
    }

    /// Calls `progress` after each chunk with the number of documents done and their total.
    pub fn progress(mut self, progress: impl FnMut(usize, usize) + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Asks the model about every document, grades its answers and measures the outcomes.
    ///
    /// All requests are made before the model is first asked, so that a broken record is found at once.
    ///
    /// # Errors
    /// [`EvalError::EmptyEvaluation`] without documents; the task's error, with file and line, for a document that it
    /// cannot use; the model's errors; [`EvalError::AnswerCount`] if the model answers too little or too much.
    pub fn run(
        mut self,
        name: impl Into<String>,
        model: &dyn LanguageModel,
        task: &dyn Task,
        documents: &[Document],
    ) -> Result<Run> {
        if documents.is_empty() {
            return Err(EvalError::EmptyEvaluation {
                task: task.name().to_owned(),
            });
        }
        let requests = documents
            .iter()
            .map(|document| task.request(document))
            .collect::<Result<Vec<_>>>()?;
        let started = Instant::now();
        let mut outcomes = Vec::with_capacity(documents.len());
        for (documents_chunk, requests) in documents
            .chunks(self.chunk)
            .zip(requests.chunks(self.chunk))
        {
            let answers = ask(model, requests)?;
            for (document, answer) in documents_chunk.iter().zip(&answers) {
                outcomes.push(task.grade(document, answer)?);
            }
            if let Some(progress) = &mut self.progress {
                progress(outcomes.len(), documents.len());
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        Ok(Run {
            seconds,
            ..Run::of_outcomes(name, task.name(), &task.metrics(), outcomes)?
        })
    }
}

/// Puts the requests of each kind to the model in one call and returns the answers in the order of the requests.
fn ask(model: &dyn LanguageModel, requests: &[Request]) -> Result<Vec<Answer>> {
    let mut prompts = Vec::new();
    let mut continuations: Vec<Continuation> = Vec::new();
    let mut texts = Vec::new();
    for request in requests {
        match request {
            Request::Generate(prompt) => prompts.push(prompt.clone()),
            Request::Score(choices) => continuations.extend_from_slice(choices),
            Request::Rolling(text) => texts.push(text.clone()),
        }
    }
    let mut generations = answers(&prompts, |prompts| model.generate(prompts))?.into_iter();
    let mut scores =
        answers(&continuations, |continuations| model.score(continuations))?.into_iter();
    let mut rolling = answers(&texts, |texts| model.rolling(texts))?.into_iter();
    let short = || EvalError::AnswerCount {
        expected: requests.len(),
        found: 0,
    };
    requests
        .iter()
        .map(|request| match request {
            Request::Generate(_) => generations.next().map(Answer::Generation).ok_or_else(short),
            Request::Score(choices) => Ok(Answer::Scores(
                scores.by_ref().take(choices.len()).collect(),
            )),
            Request::Rolling(_) => rolling.next().map(Answer::Rolling).ok_or_else(short),
        })
        .collect()
}

/// The answers to `requests`, checked for their number. An engine is not called with nothing.
fn answers<Q, A>(requests: &[Q], call: impl FnOnce(&[Q]) -> Result<Vec<A>>) -> Result<Vec<A>> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let answers = call(requests)?;
    if answers.len() == requests.len() {
        Ok(answers)
    } else {
        Err(EvalError::AnswerCount {
            expected: requests.len(),
            found: answers.len(),
        })
    }
}

//! A task with its rows: every prompt made, every answer to be graded.

use std::collections::HashMap;

use finetune_data::{Document, Origin};
use serde_json::Value;

use super::definition::{Definition, MetricEntry, OutputType, refused};
use super::filter::Filter;
use super::grade::{self, Comparison, Gold};
use super::hook::Hook;
use super::metric::{Aggregated, defaults};
use super::prompt::Form;
use super::questions::{Asked, Questions};
use super::row::{Row, Rows, processed};
use crate::{Answer, Continuation, EvalError, Metric, Outcome, Prompt, Request, Result, Task};

/// The most tokens of a written answer where a task does not say.
const WRITTEN: usize = 256;

/// How benchmarks are put to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// How many solved examples stand before each question; each task's own number if none is said. A task that fixes
    /// 0, as `TruthfulQA` does because examples stand in its prompt, keeps it.
    pub shots: Option<usize>,
    /// How many rows of each task are evaluated: the first ones.
    pub limit: Option<usize>,
    /// Text or conversation.
    pub form: Form,
    /// Stands before a task's description.
    pub system: Option<String>,
    /// The seed of the generator that draws solved examples.
    pub seed: u64,
}

impl Default for Setup {
    /// The harness's: texts, each task's number of shots, the seed 1234.
    fn default() -> Self {
        Self {
            shots: None,
            limit: None,
            form: Form::Text,
            system: None,
            seed: 1234,
        }
    }
}

/// A task of the suite with the rows that are asked.
///
/// It is a [`Task`] over its own [`documents`](Benchmark::documents), so that [`evaluate`](crate::evaluate) runs it and
/// [`Report`](crate::Report) shows it.
pub struct Benchmark {
    definition: Definition,
    shots: usize,
    documents: Vec<Document>,
    items: Vec<Item>,
    places: HashMap<Origin, usize>,
    filters: Vec<Filter>,
    comparisons: Vec<Comparison>,
    metrics: Vec<Aggregated>,
}

/// A row, what is asked about it, and what is right.
struct Item {
    row: Row,
    question: String,
    request: Request,
    right: Right,
}

/// What an answer is compared with.
enum Right {
    Choice {
        choices: Vec<String>,
        gold: Gold,
    },
    TruthfulMass {
        choices: Vec<String>,
    },
    Likely(String),
    /// The text whose words and bytes count.
    Rolling(String),
    Written(Vec<String>),
    Truthful,
}

impl Benchmark {
    /// Reads the rows of a task and makes its prompts.
    ///
    /// # Errors
    /// [`EvalError::EmptyEvaluation`] without rows; with file and line, a row that lacks what the task needs; if the
    /// files of rows are not there, too few solved examples are, or the task asks for something that is not supported.
    pub fn open(definition: Definition, rows: &Rows, setup: &Setup) -> Result<Self> {
        let task = &definition.task;
        let entries = entries(&definition);
        let filters = Filter::all(task, definition.filter_list.as_deref())?;
        let metrics = metrics(&definition, &entries, &filters)?;
        let comparisons = entries.iter().map(|entry| Comparison::of(task, entry));
        let comparisons = comparisons.collect::<Result<_>>()?;

        let split = definition.split().unwrap_or_default();
        let mut asked = rows.read(&definition, split)?;
        asked.truncate(setup.limit.unwrap_or(usize::MAX));
        if asked.is_empty() {
            return Err(EvalError::EmptyEvaluation { task: task.clone() });
        }
        let asked = processed(task, definition.process_docs, asked)?;
        let shots = match (definition.output_type, definition.num_fewshot) {
            // Nothing stands before a whole text.
            (OutputType::LoglikelihoodRolling, _) | (_, Some(0)) => 0,
            (_, own) => setup.shots.or(own).unwrap_or(0),
        };
        let mut questions = Questions::open(&definition, rows, setup, shots)?;
        let maker = Maker::of(&definition, &entries)?;
        let items = asked
            .into_iter()
            .map(|row| {
                let asked = questions.ask(&row)?;
                maker.item(asked, row)
            })
            .collect::<Result<Vec<_>>>()?;
        let places = items
            .iter()
            .enumerate()
            .map(|(place, item)| (item.row.origin.clone(), place));
        let documents = items.iter().map(|item| Document {
            text: String::new(),
            fields: item.row.fields.clone().into_iter().collect(),
            origin: item.row.origin.clone(),
        });
        Ok(Self {
            shots,
            places: places.collect(),
            documents: documents.collect(),
            items,
            filters,
            comparisons,
            metrics,
            definition,
        })
    }

    /// The rows that are asked, as the task's functions have changed them.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The task's definition.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The choices of one of its documents; none where the model writes its answer.
    pub fn choices(&self, document: &Document) -> &[String] {
        match self.item(document).map(|item| &item.right) {
            Ok(Right::Choice { choices, .. } | Right::TruthfulMass { choices }) => choices,
            _ => &[],
        }
    }

    /// How many solved examples stand before each question.
    pub fn shots(&self) -> usize {
        self.shots
    }

    fn item(&self, document: &Document) -> Result<&Item> {
        let place = self.places.get(&document.origin);
        place.map(|&place| &self.items[place]).ok_or_else(|| {
            refused(
                &format!("{}: {}", document.origin, self.definition.task),
                "the document is not one of the benchmark's own",
            )
        })
    }
}

impl Task for Benchmark {
    fn name(&self) -> &str {
        &self.definition.task
    }

    fn request(&self, document: &Document) -> Result<Request> {
        self.item(document).map(|item| item.request.clone())
    }

    fn grade(&self, document: &Document, answer: &Answer) -> Result<Outcome> {
        let item = self.item(document)?;
        let task = self.definition.task.as_str();
        let origin = &item.row.origin;
        let mut outcome = Outcome::new(origin.clone(), &item.question, "", "");
        let asked = match &item.request {
            Request::Score(continuations) => continuations.len(),
            _ => 1,
        };
        match &item.right {
            Right::Choice { choices, gold } => {
                let scores = answer.scores(asked, task, origin)?;
                let (scores, unconditional) = scores.split_at(choices.len());
                outcome.references = gold.0.iter().map(|&index| choices[index].clone()).collect();
                Ok(grade::choices(
                    outcome,
                    choices,
                    scores,
                    unconditional,
                    gold,
                ))
            }
            Right::TruthfulMass { .. } => {
                let scores = answer.scores(asked, task, origin)?;
                grade::truthful_mass(task, outcome, &item.row, scores)
            }
            Right::Likely(text) => {
                let scores = answer.scores(1, task, origin)?;
                outcome.references = vec![text.clone()];
                Ok(grade::likelihood(outcome, &scores[0]))
            }
            Right::Rolling(counted) => {
                outcome.references.clear();
                Ok(grade::rolling(
                    outcome,
                    &answer.rolling(task, origin)?,
                    counted,
                ))
            }
            Right::Written(references) => {
                outcome.references.clone_from(references);
                let outcome = written(outcome, answer, task, origin)?;
                Ok(grade::written(outcome, &self.filters, &self.comparisons))
            }
            Right::Truthful => {
                outcome.references = item
                    .row
                    .texts(task, "correct_answers")?
                    .into_iter()
                    .map(str::to_owned)
                    .collect();
                let outcome = written(outcome, answer, task, origin)?;
                grade::truthful_texts(task, outcome, &item.row)
            }
        }
    }

    fn metrics(&self) -> Vec<Box<dyn Metric>> {
        let metrics = self.metrics.iter().cloned();
        metrics
            .map(|metric| Box::new(metric) as Box<dyn Metric>)
            .collect()
    }
}

fn written(mut outcome: Outcome, answer: &Answer, task: &str, origin: &Origin) -> Result<Outcome> {
    let generation = answer.generation(task, origin)?;
    outcome.output.clone_from(&generation.text);
    outcome.finished = Some(generation.finished);
    Ok(outcome)
}

/// The metrics of a task.
pub(super) fn metrics_of(definition: &Definition) -> Result<Vec<Aggregated>> {
    let filters = Filter::all(&definition.task, definition.filter_list.as_deref())?;
    metrics(definition, &entries(definition), &filters)
}

/// The entries of a task's metrics; those of its kind where it names none.
fn entries(definition: &Definition) -> Vec<MetricEntry> {
    definition.metric_list.clone().unwrap_or_else(|| {
        let names = defaults(definition.output_type).iter();
        names.map(|name| MetricEntry::named(name)).collect()
    })
}

fn metrics(
    definition: &Definition,
    entries: &[MetricEntry],
    filters: &[Filter],
) -> Result<Vec<Aggregated>> {
    if entries.is_empty() {
        return Err(refused(
            &definition.task,
            "metric_list is empty; leave it out, or name a metric",
        ));
    }
    let own = definition.process_results.is_some();
    let one = |filter: &str, entry| {
        Aggregated::of(&definition.task, entry, definition.output_type, own, filter)
    };
    let mut found: Vec<Aggregated> = Vec::new();
    for filter in filters {
        for entry in entries {
            let metric = one(&filter.name, entry)?;
            if !found.contains(&metric) {
                found.push(metric);
            }
        }
    }
    Ok(found)
}

/// Makes requests out of questions, and says what is right.
struct Maker<'d> {
    task: &'d str,
    definition: &'d Definition,
    unconditional: bool,
    stop: Vec<String>,
    max_tokens: usize,
}

impl<'d> Maker<'d> {
    fn of(definition: &'d Definition, entries: &[MetricEntry]) -> Result<Self> {
        if let Some(hook) = definition.process_results
            && !grade::fits(hook, definition.output_type)
        {
            let reason = format!(
                "process_results: {} does not grade what this output_type answers",
                hook.name()
            );
            return Err(refused(&definition.task, &reason));
        }
        let (stop, max_tokens) = generation(definition)?;
        Ok(Self {
            task: &definition.task,
            definition,
            unconditional: entries
                .iter()
                .any(|entry| entry.metric == "acc_mutual_info"),
            stop,
            max_tokens,
        })
    }

    fn item(&self, asked: Asked, row: Row) -> Result<Item> {
        let own = self.definition.process_results;
        let (request, right) = match self.definition.output_type {
            OutputType::MultipleChoice => self.choices(&asked, &row)?,
            OutputType::Loglikelihood => {
                let text = self.one(&asked, &row)?;
                let request =
                    Request::Score(vec![Continuation::new(asked.context()?, text.as_str())]);
                (request, Right::Likely(text))
            }
            OutputType::LoglikelihoodRolling => {
                let text = self.one(&asked, &row)?;
                let counted = match own {
                    Some(Hook::WikiTextResults) => row.text(self.task, "page")?.to_owned(),
                    _ => text.clone(),
                };
                (Request::Rolling(text), Right::Rolling(counted))
            }
            OutputType::GenerateUntil => {
                let right = match own {
                    Some(_) => Right::Truthful,
                    None => Right::Written(self.references(&asked, &row)?),
                };
                let prompt = Prompt {
                    stop: self.stop.clone(),
                    ..Prompt::new(asked.context()?, self.max_tokens)
                };
                (Request::Generate(prompt), right)
            }
        };
        Ok(Item {
            question: asked.question,
            row,
            request,
            right,
        })
    }

    fn choices(&self, asked: &Asked, row: &Row) -> Result<(Request, Right)> {
        let choices = asked.choices.clone().unwrap_or_default();
        let delimiter = asked.delimiter.as_str();
        let after = |text: &str| format!("{delimiter}{text}");
        let mut continuations: Vec<Continuation> =
            if let Some(answer) = asked.shared_answer(self.task, row)? {
                let contexts = asked.contexts.iter().cloned();
                contexts
                    .map(|context| Continuation::new(context, after(&answer)))
                    .collect()
            } else {
                let context = asked.context()?;
                choices
                    .iter()
                    .map(|choice| Continuation::new(context.clone(), after(choice)))
                    .collect()
            };
        if self.unconditional {
            continuations.extend(
                choices
                    .iter()
                    .map(|choice| Continuation::new("", after(choice))),
            );
        }
        let right = match self.definition.process_results {
            Some(_) => Right::TruthfulMass { choices },
            None => Right::Choice {
                gold: grade::gold(self.task, row, asked.gold(), &choices)?,
                choices,
            },
        };
        Ok((Request::Score(continuations), right))
    }

    /// The only text whose likelihood is asked.
    fn one(&self, asked: &Asked, row: &Row) -> Result<String> {
        let mut texts = self.references(asked, row)?;
        if texts.len() == 1 && !texts[0].is_empty() {
            return Ok(texts.remove(0));
        }
        Err(row.unfit(self.task, "doc_to_target", "one text that is not empty"))
    }

    fn references(&self, asked: &Asked, row: &Row) -> Result<Vec<String>> {
        grade::references(self.task, row, &asked.answer, asked.choices.as_deref())
    }
}

/// What ends a written answer, and how long it may be.
fn generation(definition: &Definition) -> Result<(Vec<String>, usize)> {
    let task = &definition.task;
    let none = serde_json::Map::new();
    let settings = definition.generation_kwargs.as_ref().unwrap_or(&none);
    let drawn = settings.get("do_sample").and_then(Value::as_bool);
    let temperature = settings
        .get("temperature")
        .and_then(Value::as_f64)
        .unwrap_or(0.0);
    if drawn == Some(true) && temperature != 0.0 || drawn.is_none() && temperature > 0.0 {
        let reason =
            "generation_kwargs ask for answers that are drawn at random; expected do_sample: false";
        return Err(refused(task, reason));
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let until = match settings.get("until") {
        None | Some(Value::Null) => Some(vec![definition.fewshot_delimiter.clone()]),
        Some(Value::Array(texts)) => texts.iter().map(text).collect(),
        Some(one) => text(one).map(|text| vec![text]),
    };
    let mut until =
        until.ok_or_else(|| refused(task, "generation_kwargs: until: expected a list of texts"))?;
    until.retain(|text| !text.is_empty());
    let names = [
        "max_gen_toks",
        "max_new_tokens",
        "max_tokens",
        "max_completion_tokens",
    ];
    let limit = names
        .iter()
        .find_map(|name| settings.get(*name).filter(|value| !value.is_null()));
    let limit = match limit {
        None => WRITTEN,
        Some(value) => value.as_u64().filter(|limit| *limit > 0).ok_or_else(|| {
            refused(
                task,
                &format!("generation_kwargs: {value} tokens; expected a number above 0"),
            )
        })? as usize,
    };
    Ok((until, limit))
}

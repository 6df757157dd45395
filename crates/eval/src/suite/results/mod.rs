//! What an evaluation found, as a file.

mod calibration;
mod harness;
mod leaks;
mod pool;
mod report;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use finetune_data::Origin;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::benchmark::{Benchmark, Setup};
use super::catalog::SelectedGroup;
use super::definition::version;
use super::filter::NONE;
use super::prompt::Form;
use crate::metric::{Better, Unit};
pub use calibration::Calibration;
pub use leaks::{Leak, Leaks};

use pool::pooled;

use crate::{Estimate, EvalError, Finish, Interval, Measured, Outcome, Result, Run};

/// The version of lm-evaluation-harness whose numbers these are.
const HARNESS: &str = "0.4.13";
/// The names of columns that identify a row, in the order in which they are looked for.
const IDS: [&str; 6] = ["id", "ind", "idx", "qID", "question_id", "source_id"];

/// The figures and samples of one model on several tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// What was evaluated.
    pub model: String,
    /// The versions of this crate, and of the harness whose definitions it follows.
    pub versions: BTreeMap<String, String>,
    /// How it was asked.
    pub configuration: Map<String, Value>,
    /// Each task's version, revision and number of shots.
    pub tasks: BTreeMap<String, TaskInfo>,
    /// The figures by task or group and metric.
    pub results: BTreeMap<String, BTreeMap<String, Figure>>,
    /// The tasks of each group.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<String>>,
    /// Which rows of each task stand in training data, if that was looked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leaks: BTreeMap<String, Leaks>,
    /// What became of each row.
    pub samples: BTreeMap<String, Vec<Sample>>,
}

/// What a task was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskInfo {
    /// The version that its file names.
    pub version: String,
    /// A hash of all that its file says.
    pub revision: String,
    /// How many solved examples stood before each question.
    pub shots: usize,
    /// The number of rows.
    pub n: usize,
    /// How long the model took, in seconds.
    pub seconds: f64,
    /// All that its file says.
    pub definition: Map<String, Value>,
}

/// A figure with its standard error, as the harness defines it, and what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The value.
    pub value: f64,
    /// The standard error; none where the harness has none (a ratio, a single item).
    pub stderr: Option<f64>,
    /// The number of items.
    pub n: usize,
    /// The 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Which way it improves.
    pub better: Better,
    /// How its value is written.
    pub unit: Unit,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The row's own id, if a column holds one, else its number in its split, from 0.
    pub id: Value,
    /// Its number in its split, from 0.
    pub index: usize,
    /// Where it stands.
    pub origin: Origin,
    /// The question, without what stands before it.
    pub question: String,
    /// The choices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The right answers.
    pub references: Vec<String>,
    /// The log-likelihoods in the order of the choices, in nats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_likelihoods: Vec<f64>,
    /// The likeliest choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<String>,
    /// What the model wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// Why it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Finish>,
    /// What was judged of it, by filter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub judged: BTreeMap<String, String>,
    /// Its scores.
    pub scores: BTreeMap<String, f64>,
}

impl Results {
    /// The results of a model over benchmarks and their runs, in pairs, with the figures of the groups.
    pub fn new(
        model: impl Into<String>,
        setup: &Setup,
        runs: &[(&Benchmark, &Run)],
        groups: &[SelectedGroup],
    ) -> Self {
        let mut results: BTreeMap<String, BTreeMap<String, Figure>> = BTreeMap::new();
        let mut samples = BTreeMap::new();
        let mut tasks = BTreeMap::new();
        for (benchmark, run) in runs {
            let figures = run
                .measured
                .iter()
                .map(|one| (one.metric.clone(), Figure::of(one)));
            results.insert(run.task.clone(), figures.collect());
            samples.insert(run.task.clone(), Sample::all(benchmark, run));
            tasks.insert(run.task.clone(), TaskInfo::of(benchmark, run));
        }
        for one in groups {
            let figures = one.group.aggregate_metric_list.list().iter();
            let figures: BTreeMap<_, _> = figures
                .flat_map(|metric| pooled(metric, &one.tasks, &results))
                .collect();
            if !figures.is_empty() {
                results.insert(one.group.group.clone(), figures);
            }
        }
        Self {
            model: model.into(),
            versions: [
                ("finetune", env!("CARGO_PKG_VERSION")),
                ("lm-evaluation-harness", HARNESS),
            ]
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .into(),
            configuration: configuration(setup),
            tasks,
            results,
            groups: groups
                .iter()
                .map(|one| (one.group.group.clone(), one.tasks.clone()))
                .collect(),
            leaks: BTreeMap::new(),
            samples,
        }
    }

    /// Adds to what is said of how the model was asked.
    pub fn configure(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.configuration.insert(name.into(), value.into());
        self
    }

    /// Reads what [`write`](Results::write) wrote.
    ///
    /// # Errors
    /// If the file cannot be read or is of another form, with line and column.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| EvalError::Io {
            path: path.to_owned(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|error| EvalError::Format {
            path: Some(path.to_owned()),
            line: error.line(),
            column: error.column(),
            reason: error.to_string(),
        })
    }

    /// Writes it as JSON, and beside it, with `.harness.json` for its ending, in the harness's form.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        write(path, self)?;
        write(&harness_path(path), &self.harness())
    }

    /// The runs behind the results, to be shown in a [`Report`](crate::Report).
    pub fn runs(&self) -> Vec<Run> {
        let run = |(task, samples): (&String, &Vec<Sample>)| Run {
            model: self.model.clone(),
            task: task.clone(),
            outcomes: samples.iter().map(Sample::outcome).collect(),
            measured: self
                .results
                .get(task)
                .into_iter()
                .flatten()
                .map(|(metric, figure)| figure.measured(metric))
                .collect(),
            seconds: self.tasks.get(task).map_or(0.0, |task| task.seconds),
        };
        self.samples.iter().map(run).collect()
    }
}

impl TaskInfo {
    fn of(benchmark: &Benchmark, run: &Run) -> Self {
        let definition = benchmark.definition();
        Self {
            version: version(definition.metadata.as_ref()),
            revision: definition.revision(),
            shots: benchmark.shots(),
            n: run.outcomes.len(),
            seconds: run.seconds,
            definition: definition.source.clone(),
        }
    }
}

impl Figure {
    fn of(measured: &Measured) -> Self {
        Self {
            value: measured.estimate.value,
            stderr: measured.estimate.error,
            n: measured.estimate.count,
            interval: measured.estimate.interval,
            better: measured.better,
            unit: measured.unit,
        }
    }

    fn measured(&self, metric: &str) -> Measured {
        Measured {
            metric: metric.to_owned(),
            better: self.better,
            unit: self.unit,
            estimate: Estimate {
                value: self.value,
                error: self.stderr,
                interval: self.interval,
                count: self.n,
            },
        }
    }
}

impl Sample {
    fn all(benchmark: &Benchmark, run: &Run) -> Vec<Self> {
        let documents = benchmark.documents().iter().zip(&run.outcomes).enumerate();
        documents
            .map(|(index, (document, outcome))| {
                let id = IDS.iter().find_map(|name| document.fields.get(name));
                let id = id.filter(|id| id.is_string() || id.is_number());
                Self {
                    id: id.cloned().unwrap_or_else(|| index.into()),
                    choices: benchmark.choices(document).to_vec(),
                    ..Self::of(index, outcome)
                }
            })
            .collect()
    }

    fn of(index: usize, outcome: &Outcome) -> Self {
        let written = outcome.finished.is_some();
        let output = Some(outcome.output.clone()).filter(|output| written || !output.is_empty());
        let (generation, prediction) = if written {
            (output, None)
        } else {
            (None, output)
        };
        Self {
            id: index.into(),
            index,
            origin: outcome.origin.clone(),
            question: outcome.input.clone(),
            choices: Vec::new(),
            references: outcome.references.clone(),
            log_likelihoods: outcome.log_likelihoods.clone(),
            prediction,
            generation,
            finished: outcome.finished,
            judged: outcome.judged.clone(),
            scores: outcome.scores.clone(),
        }
    }

    fn outcome(&self) -> Outcome {
        let output = self.generation.as_ref().or(self.prediction.as_ref());
        Outcome {
            references: self.references.clone(),
            finished: self.finished,
            scores: self.scores.clone(),
            log_likelihoods: self.log_likelihoods.clone(),
            judged: self.judged.clone(),
            ..Outcome::new(
                self.origin.clone(),
                &self.question,
                "",
                output.cloned().unwrap_or_default(),
            )
        }
    }
}

/// The metric of a key, and its filter.
fn bare(key: &str) -> &str {
    key.split_once(',').map_or(key, |(metric, _)| metric)
}

fn filter(key: &str) -> &str {
    key.split_once(',').map_or(NONE, |(_, filter)| filter)
}

fn configuration(setup: &Setup) -> Map<String, Value> {
    let (chat, turns) = match setup.form {
        Form::Text => (false, false),
        Form::Chat { turns } => (true, turns),
    };
    let fields = [
        ("shots", setup.shots.into()),
        ("limit", setup.limit.into()),
        ("chat_template", chat.into()),
        ("fewshot_as_multiturn", turns.into()),
        ("system", setup.system.clone().into()),
        ("seed", setup.seed.into()),
    ];
    fields
        .map(|(name, value): (&str, Value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

fn harness_path(path: &Path) -> PathBuf {
    path.with_extension("harness.json")
}

fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let io = |source| EvalError::Io {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    let mut text = serde_json::to_string_pretty(value).map_err(|error| io(error.into()))?;
    text.push('\n');
    std::fs::write(path, text).map_err(io)
}

//! Task files in the form of lm-evaluation-harness.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::hook::Hook;
use crate::{EvalError, Result};

/// A task as its file describes it. The names and their meaning are the harness's (`lm_eval/config/task.py`, 0.4.13);
/// fields that are not listed here are refused by name.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name.
    pub task: String,
    /// Its name in tables.
    #[serde(default)]
    pub task_alias: Option<String>,
    /// Names under which it is run with others.
    #[serde(default)]
    pub tag: OneOrMany,
    /// The data set; `json`, `csv` and `parquet` name files in `dataset_kwargs`.
    #[serde(default)]
    pub dataset_path: Option<String>,
    /// Its configuration.
    #[serde(default)]
    pub dataset_name: Option<String>,
    /// `data_files`: the file of each split, if the data set is `json`, `csv` or `parquet`.
    #[serde(default)]
    pub dataset_kwargs: Option<Map<String, Value>>,
    /// The split from which solved examples are drawn, if `fewshot_split` names none.
    #[serde(default)]
    pub training_split: Option<String>,
    /// The split that is evaluated if there is no test split.
    #[serde(default)]
    pub validation_split: Option<String>,
    /// The split that is evaluated.
    #[serde(default)]
    pub test_split: Option<String>,
    /// The split from which solved examples are drawn.
    #[serde(default)]
    pub fewshot_split: Option<String>,
    /// Changes every row after it is read.
    #[serde(default)]
    pub process_docs: Option<Hook>,
    /// The question: a column, a template, or a function.
    #[serde(default)]
    pub doc_to_text: Option<Field>,
    /// The answer: a column, a template, an index into the choices, or a function.
    #[serde(default)]
    pub doc_to_target: Option<Field>,
    /// The choices: a column, a template, a list, or a function.
    #[serde(default)]
    pub doc_to_choice: Option<Field>,
    /// Grades an answer in its own way.
    #[serde(default)]
    pub process_results: Option<Hook>,
    /// Stands before everything else.
    #[serde(default)]
    pub description: Option<String>,
    /// Stands between question and answer.
    #[serde(default = "space")]
    pub target_delimiter: String,
    /// Stands between solved examples.
    #[serde(default = "blank_line")]
    pub fewshot_delimiter: String,
    /// How solved examples are chosen and written, where it differs.
    #[serde(default)]
    pub fewshot_config: Option<Shots>,
    /// How many solved examples stand before the question.
    #[serde(default)]
    pub num_fewshot: Option<usize>,
    /// What is measured.
    #[serde(default)]
    pub metric_list: Option<Vec<MetricEntry>>,
    /// What the model is asked for.
    #[serde(default)]
    pub output_type: OutputType,
    /// How it writes.
    #[serde(default)]
    pub generation_kwargs: Option<Map<String, Value>>,
    /// How often each question is asked; only 1 is supported.
    #[serde(default = "once")]
    pub repeats: usize,
    /// What is taken from an answer before it is compared.
    #[serde(default)]
    pub filter_list: Option<Vec<FilterEntry>>,
    /// Not used: contamination is looked for in all tasks.
    #[serde(default)]
    pub should_decontaminate: bool,
    /// Not used.
    #[serde(default)]
    pub doc_to_decontamination_query: Option<Value>,
    /// The beginning of the answer, which is given to the model.
    #[serde(default)]
    pub gen_prefix: Option<String>,
    /// `version` and whatever else is to be kept.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// Everything that the file and those that it includes say, as it stands there.
    #[serde(skip)]
    pub source: Map<String, Value>,
}

/// One name or several.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum OneOrMany {
    /// None.
    #[default]
    None,
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// The names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

/// What a model is asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OutputType {
    /// To write an answer.
    #[default]
    GenerateUntil,
    /// How likely each of several choices is.
    MultipleChoice,
    /// How likely one answer is.
    Loglikelihood,
    /// How likely a whole text is.
    LoglikelihoodRolling,
}

/// How a part of the prompt comes from a row.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Field {
    /// A function of the harness that has an equivalent here.
    Function {
        /// Its name.
        #[serde(rename = "!function")]
        function: Hook,
    },
    /// An index into the choices.
    Index(i64),
    /// The choices themselves.
    List(Vec<Value>),
    /// The choices as the values of a mapping.
    Map(Map<String, Value>),
    /// A column of the row, or else a Jinja template.
    Text(String),
}

/// How solved examples are chosen and written, where it differs from the task.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Shots {
    /// How they are chosen.
    #[serde(default)]
    pub sampler: SamplerName,
    /// The split that they come from.
    #[serde(default)]
    pub split: Option<String>,
    /// Changes every row of the split.
    #[serde(default)]
    pub process_docs: Option<Hook>,
    /// The rows of the split from which they are drawn.
    #[serde(default)]
    pub fewshot_indices: Option<Vec<usize>>,
    /// The solved examples themselves.
    #[serde(default)]
    pub samples: Option<Vec<Map<String, Value>>>,
    /// The question.
    #[serde(default)]
    pub doc_to_text: Option<Field>,
    /// The choices.
    #[serde(default)]
    pub doc_to_choice: Option<Field>,
    /// The answer.
    #[serde(default)]
    pub doc_to_target: Option<Field>,
    /// The beginning of the answer.
    #[serde(default)]
    pub gen_prefix: Option<String>,
    /// Stands between solved examples.
    #[serde(default)]
    pub fewshot_delimiter: Option<String>,
    /// Stands between question and answer.
    #[serde(default)]
    pub target_delimiter: Option<String>,
}

/// How solved examples are chosen.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SamplerName {
    /// At random, anew for each question, from one generator for the task.
    #[default]
    Default,
    /// The first of the split.
    FirstN,
}

/// A metric of a task.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the switches of the harness's files, each a field of its own"
)]
pub struct MetricEntry {
    /// What is measured of an item.
    pub metric: String,
    /// How the items are put together.
    #[serde(default)]
    pub aggregation: Option<String>,
    /// Which way it improves.
    #[serde(default)]
    pub higher_is_better: Option<bool>,
    /// `exact_match`: patterns that are removed first.
    #[serde(default)]
    pub regexes_to_ignore: Vec<String>,
    /// `exact_match`: case does not count.
    #[serde(default)]
    pub ignore_case: bool,
    /// `exact_match`: ASCII punctuation does not count.
    #[serde(default)]
    pub ignore_punctuation: bool,
    /// `exact_match`: ASCII digits do not count.
    #[serde(default)]
    pub ignore_numbers: bool,
    /// Not used: `exact_match` is computed alike with and without it.
    #[serde(default)]
    pub hf_evaluate: bool,
}

impl MetricEntry {
    /// A metric with the harness's own aggregation.
    pub(super) fn named(metric: &str) -> Self {
        Self {
            metric: metric.to_owned(),
            aggregation: None,
            higher_is_better: None,
            regexes_to_ignore: Vec::new(),
            ignore_case: false,
            ignore_punctuation: false,
            ignore_numbers: false,
            hf_evaluate: false,
        }
    }
}

/// A named chain of filters.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FilterEntry {
    /// Its name in the results.
    pub name: String,
    /// The filters, one after the other.
    pub filter: Vec<FilterStep>,
}

/// A filter.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "function", rename_all = "snake_case", deny_unknown_fields)]
pub enum FilterStep {
    /// The first of several answers; there is only one.
    TakeFirst {},
    /// The most frequent of several answers; there is only one.
    MajorityVote {},
    /// Without white space at its ends.
    RemoveWhitespace {},
    /// In lower case.
    Lowercase {},
    /// In upper case.
    Uppercase {},
    /// What a pattern finds.
    Regex {
        /// The pattern.
        #[serde(default = "after_hashes")]
        regex_pattern: String,
        /// Which of the places found; negative from the last.
        #[serde(default)]
        group_select: i64,
        /// What stands for nothing found.
        #[serde(default = "invalid")]
        fallback: String,
    },
    /// A value of a table.
    Map {
        /// The table.
        mapping_dict: BTreeMap<String, String>,
        /// What stands for a text that is not there.
        #[serde(default)]
        default_value: Option<String>,
    },
}

/// Several tasks whose results are put together.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub group: String,
    /// Its name in tables.
    #[serde(default)]
    pub group_alias: Option<String>,
    /// The names of tasks, groups and tags, or whole tasks.
    pub task: Members,
    /// What is put together.
    #[serde(default)]
    pub aggregate_metric_list: Aggregates,
    /// `version` and whatever else is to be kept.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
}

/// The members of a group.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Members {
    /// One.
    One(String),
    /// Several.
    Many(Vec<Member>),
}

/// A member of a group.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Member {
    /// By its name.
    Name(String),
    /// A task that stands in the file itself.
    Inline(Map<String, Value>),
}

/// The metrics of a group.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Aggregates {
    /// None: the group is only a name for its tasks.
    #[default]
    None,
    /// One.
    One(Aggregate),
    /// Several.
    Many(Vec<Aggregate>),
}

impl Aggregates {
    /// The metrics.
    pub fn list(&self) -> &[Aggregate] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// A metric of a group: the mean of those of its tasks.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// The metric.
    pub metric: String,
    /// The filters; all that the tasks have if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_list: Option<Value>,
    /// `mean`, the only one.
    #[serde(default = "mean")]
    pub aggregation: String,
    /// Whether each task counts by its number of items.
    #[serde(default = "yes")]
    pub weight_by_size: bool,
}

impl Definition {
    /// The definition in the fields of a file that was read.
    ///
    /// # Errors
    /// [`EvalError::Setting`] for a field that is not known, of another kind, or not supported.
    pub(super) fn of(place: &str, fields: Map<String, Value>) -> Result<Self> {
        let mut definition: Self = serde_json::from_value(Value::Object(fields.clone()))
            .map_err(|error| refused(place, &error.to_string()))?;
        definition.check(place)?;
        definition.source = fields;
        Ok(definition)
    }

    /// The version that its metadata name, as text.
    pub fn version(&self) -> String {
        version(self.metadata.as_ref())
    }

    /// What tells this definition from any other: a hash of all that its files say, whatever their order.
    pub fn revision(&self) -> String {
        let sorted: BTreeMap<_, _> = self.source.iter().collect();
        let text = serde_json::to_string(&sorted).unwrap_or_default();
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
    }

    /// The split that is evaluated: the test split, else the validation split.
    pub fn split(&self) -> Option<&str> {
        self.test_split
            .as_deref()
            .or(self.validation_split.as_deref())
    }

    fn check(&self, place: &str) -> Result<()> {
        if self.split().is_none() {
            return Err(refused(
                place,
                "neither test_split nor validation_split says which rows are evaluated",
            ));
        }
        if self.repeats != 1 {
            let reason = format!(
                "repeats: {}; expected 1: answers are not drawn at random here",
                self.repeats
            );
            return Err(refused(place, &reason));
        }
        let needs = |field: &str, there: bool| {
            if there {
                return Ok(());
            }
            let reason = format!("a task of this output_type needs {field}");
            Err(refused(place, &reason))
        };
        needs(
            "doc_to_target",
            self.doc_to_target.is_some() || self.process_results.is_some(),
        )?;
        needs(
            "doc_to_text",
            self.doc_to_text.is_some() || self.output_type == OutputType::LoglikelihoodRolling,
        )?;
        needs(
            "doc_to_choice",
            self.doc_to_choice.is_some() || self.output_type != OutputType::MultipleChoice,
        )
    }
}

/// The version of metadata, as text; `Yaml` is what the harness says where there is none.
pub(super) fn version(metadata: Option<&Map<String, Value>>) -> String {
    match metadata.and_then(|metadata| metadata.get("version")) {
        Some(Value::String(version)) => version.clone(),
        Some(version) => version.to_string(),
        None => "Yaml".to_owned(),
    }
}

/// The error for a task that cannot be used.
pub(super) fn refused(place: &str, reason: &str) -> EvalError {
    EvalError::Setting {
        what: place.to_owned(),
        reason: reason.to_owned(),
    }
}

fn space() -> String {
    " ".into()
}

fn blank_line() -> String {
    "\n\n".into()
}

fn once() -> usize {
    1
}

fn after_hashes() -> String {
    r"#### (\-?[0-9\.\,]+)".into()
}

fn invalid() -> String {
    "[invalid]".into()
}

fn mean() -> String {
    "mean".into()
}

fn yes() -> bool {
    true
}

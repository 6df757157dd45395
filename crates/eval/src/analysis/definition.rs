//! Error classes as data.

use std::{path::Path, sync::Arc};

use finetune_data::{Origin, synthesize::Shape};
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{
    Classes, CopiedPrompt, CutOff, DifferentNumbers, Empty, ErrorClass, Finding, Format, Misspelt,
    NeverStopped, RIGHT, Refusal, RefusalWords, Repetition, Rule, Similarity, SpecialTokens,
    TooLong, TooShort, Unsupported, Vocabulary, WrongLanguage, prose::units, support::Contexts,
};
use crate::{EvalError, Outcome, Result, text::excerpt};

/// The standard classes.
const STANDARD: &str = include_str!("standard.json");

/// An error class as data: what stands in a file of classes.
///
/// ```
/// use finetune_data::Origin;
/// use finetune_eval::{Classes, Outcome, analysis::{Definition, Knowledge}};
///
/// let mine = Definition::list(r#"[
///     {"name": "greeting", "meaning": "it greets before it answers", "check": {"pattern": {"find": "(?i)^(hello|hi)\\b"}}},
///     {"name": "jargon", "check": {"words": ["synergy", "going forward"]}},
///     {"name": "essay", "check": {"length": {"unit": "words", "most": 40}}}
/// ]"#)?;
/// let knowledge = Knowledge::default();
/// let classes = Classes::defined(&[mine, Definition::standard()].concat(), &knowledge)?;
/// let outcome = Outcome::new(Origin::new("a.jsonl", 1), "Why?", "Because.", "Hello! Because.");
/// let analysis = classes.analyze("tuned", &[outcome])?;
/// assert_eq!(analysis.items[0].main.as_deref(), Some("greeting"));
/// # Ok::<(), finetune_eval::EvalError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name, as it stands in reports.
    pub name: String,
    /// What it means, in one line.
    #[serde(default)]
    pub meaning: String,
    /// When it holds.
    pub check: Check,
}

/// When a class holds for an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// See [`Empty`].
    Empty,
    /// See [`CutOff`].
    CutOff,
    /// See [`NeverStopped`].
    NeverStopped(NeverStopped),
    /// See [`Repetition`].
    Repetition(Repetition),
    /// See [`SpecialTokens`].
    SpecialTokens(SpecialTokens),
    /// See [`Refusal`].
    Refusal(RefusalWords),
    /// See [`CopiedPrompt`].
    CopiedPrompt(CopiedPrompt),
    /// See [`WrongLanguage`].
    WrongLanguage(WrongLanguage),
    /// See [`Similarity`].
    Similarity(Similarity),
    /// See [`DifferentNumbers`].
    DifferentNumbers,
    /// See [`Unsupported`]; the contexts are those of the [`Knowledge`].
    Unsupported,
    /// See [`TooLong`].
    TooLong(TooLong),
    /// See [`TooShort`].
    TooShort(TooShort),
    /// See [`Misspelt`]; the vocabulary is that of the [`Knowledge`].
    Misspelt {
        /// Whether every unknown word counts; not by default.
        #[serde(default)]
        strict: bool,
    },
    /// The output is not one JSON value.
    Json,
    /// The output is not JSON of this shape, a subset of JSON Schema.
    Shape(Shape),
    /// The output is none of these labels.
    Labels(Vec<String>),
    /// The pattern does not match the whole output.
    Form(String),
    /// The pattern matches a part of the output.
    Pattern {
        /// The regular expression.
        find: String,
        /// Matches that lie in a match of this one do not count; none by default.
        #[serde(default)]
        except: Option<String>,
    },
    /// One of these words or phrases stands in the output, in any case.
    Words(Vec<String>),
    /// The output is shorter or longer than this.
    Length(Bounds),
    /// A score of the item lies below this; an item without the score is passed over.
    Score {
        /// The score's name.
        name: String,
        /// The least value that is no error.
        below: f64,
    },
}

/// Bounds of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// What is counted.
    pub unit: LengthUnit,
    /// The least that is no error; 0 by default.
    #[serde(default)]
    pub least: usize,
    /// The most that is no error; any by default.
    #[serde(default)]
    pub most: Option<usize>,
}

/// What a length counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthUnit {
    /// Runs without whitespace; single characters of scripts without spaces.
    Words,
    /// Unicode code points.
    Characters,
    /// Lines.
    Lines,
}

/// What the classes know beside the outputs.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    vocabulary: Arc<Vocabulary>,
    contexts: Arc<Contexts>,
}

impl Knowledge {
    /// The words that are known.
    pub fn new(vocabulary: impl Into<Arc<Vocabulary>>) -> Self {
        Self {
            vocabulary: vocabulary.into(),
            contexts: Arc::default(),
        }
    }

    /// The texts that the answers must keep to, by the origins of their items.
    pub fn contexts(mut self, contexts: impl IntoIterator<Item = (Origin, String)>) -> Self {
        self.contexts = Arc::new(contexts.into_iter().collect());
        self
    }
}

impl From<Vocabulary> for Knowledge {
    fn from(vocabulary: Vocabulary) -> Self {
        Self::new(vocabulary)
    }
}

impl Definition {
    /// The standard classes, the weightiest first.
    ///
    /// # Panics
    /// Never: the list is part of the crate, and a test reads it.
    pub fn standard() -> Vec<Self> {
        serde_json::from_str(STANDARD).expect("the list is part of the crate")
    }

    /// Reads a list of definitions from JSON.
    ///
    /// # Errors
    /// [`EvalError::Format`] with line and column.
    pub fn list(json: &str) -> Result<Vec<Self>> {
        serde_json::from_str(json).map_err(|error| EvalError::Format {
            path: None,
            line: error.line(),
            column: error.column(),
            reason: format!("{error}; expected a list of error classes with name and check"),
        })
    }

    /// Reads a list of definitions from a JSON file.
    ///
    /// # Errors
    /// [`EvalError::Io`] if the file cannot be read as UTF-8; as [`list`](Definition::list), with the path.
    pub fn open(path: impl AsRef<Path>) -> Result<Vec<Self>> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| EvalError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::list(&text).map_err(|error| match error {
            EvalError::Format {
                line,
                column,
                reason,
                ..
            } => EvalError::Format {
                path: Some(path.to_owned()),
                line,
                column,
                reason,
            },
            other => other,
        })
    }

    /// The class.
    ///
    /// # Errors
    /// [`EvalError::Setting`] for a pattern that does not parse, or bounds that nothing meets.
    pub fn class(&self, knowledge: &Knowledge) -> Result<ErrorClass> {
        let rule = self.check.rule(&self.name, knowledge)?;
        Ok(ErrorClass {
            name: self.name.clone(),
            meaning: self.meaning.clone(),
            rule,
        })
    }
}

impl Classes {
    /// The classes of these definitions, the weightiest first.
    ///
    /// # Errors
    /// [`EvalError::Setting`] if a name is empty, stands twice, or is [`RIGHT`]; as [`Definition::class`].
    pub fn defined(definitions: &[Definition], knowledge: &Knowledge) -> Result<Self> {
        let mut classes: Vec<ErrorClass> = Vec::new();
        for definition in definitions {
            let name = &definition.name;
            let fault = match name.as_str() {
                "" => "it has no name",
                RIGHT => "this is the name of outputs without an error; choose another",
                _ if classes.iter().any(|class| class.name == *name) => {
                    "the name stands twice; choose another"
                }
                _ => {
                    classes.push(definition.class(knowledge)?);
                    continue;
                }
            };
            return Err(EvalError::Setting {
                what: format!("error class {:?}", excerpt(name)),
                reason: fault.into(),
            });
        }
        Ok(Self::only(classes))
    }
}

impl Check {
    fn rule(&self, name: &str, knowledge: &Knowledge) -> Result<Arc<dyn Rule>> {
        let fault = |reason: String| EvalError::Setting {
            what: format!("error class {:?}", excerpt(name)),
            reason,
        };
        let regex = |pattern: &str| Regex::new(pattern).map_err(|error| fault(error.to_string()));
        Ok(match self {
            Self::Empty => Arc::new(Empty),
            Self::CutOff => Arc::new(CutOff),
            Self::NeverStopped(rule) => Arc::new(*rule),
            Self::Repetition(rule) => Arc::new(*rule),
            Self::SpecialTokens(rule) => Arc::new(rule.clone()),
            Self::Refusal(words) => Arc::new(Refusal::new(words)?),
            Self::CopiedPrompt(rule) => Arc::new(*rule),
            Self::WrongLanguage(rule) => Arc::new(rule.clone()),
            Self::Similarity(rule) => Arc::new(*rule),
            Self::DifferentNumbers => Arc::new(DifferentNumbers),
            Self::Unsupported => Arc::new(Unsupported::new(knowledge.contexts.clone())),
            Self::TooLong(rule) => Arc::new(*rule),
            Self::TooShort(rule) => Arc::new(*rule),
            Self::Misspelt { strict } => {
                let rule = Misspelt::new(knowledge.vocabulary.clone());
                Arc::new(if *strict { rule.strict() } else { rule })
            }
            Self::Json => Arc::new(Format::Json),
            Self::Shape(shape) => Arc::new(Format::Shape(shape.clone())),
            Self::Labels(labels) => Arc::new(Format::Labels(labels.clone())),
            Self::Form(pattern) => Arc::new(Format::regex(pattern)?),
            Self::Pattern { find, except } => Arc::new(Matches {
                find: regex(find)?,
                except: except.as_deref().map(regex).transpose()?,
            }),
            Self::Words(words) if words.iter().all(|word| word.trim().is_empty()) => {
                return Err(fault("the list of words is empty".into()));
            }
            Self::Words(words) => Arc::new(Matches {
                find: regex(&any_of(words))?,
                except: None,
            }),
            Self::Length(Bounds { least, most, .. }) if most.is_some_and(|most| most < *least) => {
                return Err(fault("the most is less than the least".into()));
            }
            Self::Length(bounds) => Arc::new(*bounds),
            Self::Score { name, below } => {
                let (name, below) = (name.clone(), *below);
                Arc::new(move |outcome: &Outcome| low_score(outcome, &name, below))
            }
        })
    }
}

/// The expression of whole words and phrases in any case. A border is where a letter or digit meets anything else.
fn any_of(words: &[String]) -> String {
    let words = words
        .iter()
        .map(|word| word.trim())
        .filter(|word| !word.is_empty());
    let bordered = words.map(|word| {
        let border = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let start = if border(word.chars().next()) {
            r"\b"
        } else {
            ""
        };
        let end = if border(word.chars().next_back()) {
            r"\b"
        } else {
            ""
        };
        format!("{start}{}{end}", regex::escape(word))
    });
    format!("(?i){}", bordered.collect::<Vec<_>>().join("|"))
}

/// A pattern that must not match.
struct Matches {
    find: Regex,
    except: Option<Regex>,
}

impl Rule for Matches {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let output = &outcome.output;
        let mut excepted: Option<Vec<_>> = None;
        let found = self.find.find_iter(output).filter(|found| {
            let Some(except) = &self.except else {
                return true;
            };
            let excepted = excepted.get_or_insert_with(|| {
                except
                    .find_iter(output)
                    .map(|found| found.range())
                    .collect()
            });
            !excepted
                .iter()
                .any(|range| range.start <= found.start() && found.end() <= range.end)
        });
        found
            .map(|found| {
                let detail = format!("“{}”", excerpt(found.as_str()));
                Finding::at("pattern", found.range(), detail)
            })
            .collect()
    }
}

impl Rule for Bounds {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let output = &outcome.output;
        let (count, unit) = match self.unit {
            LengthUnit::Words => (units(output).len(), "words"),
            LengthUnit::Characters => (output.chars().count(), "characters"),
            LengthUnit::Lines => (output.lines().count(), "lines"),
        };
        let detail = match self.most {
            _ if count < self.least => {
                format!("{count} {unit}; at least {} are wanted", self.least)
            }
            Some(most) if count > most => format!("{count} {unit}; at most {most} are wanted"),
            _ => return Vec::new(),
        };
        vec![Finding::whole("length", detail)]
    }
}

fn low_score(outcome: &Outcome, name: &str, below: f64) -> Vec<Finding> {
    match outcome.scores.get(name) {
        Some(score) if *score < below => {
            let detail = format!("{name} is {score}, below {below}");
            vec![Finding::whole("score", detail)]
        }
        _ => Vec::new(),
    }
}

//! What is taken from an answer before it is compared.

use std::collections::BTreeMap;

use fancy_regex::{Captures, Regex};

use finetune_data::template::python::strip;

use super::definition::{FilterEntry, FilterStep, refused};
use crate::Result;

/// The name of the chain where a task names none: the answer as it is.
pub(super) const NONE: &str = "none";

/// A named chain of filters.
pub(super) struct Filter {
    pub(super) name: String,
    steps: Vec<Step>,
}

enum Step {
    Strip,
    Lower,
    Upper,
    Find {
        pattern: Regex,
        select: i64,
        fallback: String,
    },
    Map {
        table: BTreeMap<String, String>,
        fallback: Option<String>,
    },
}

impl Filter {
    /// The chains of a task; one that takes the answer as it is where it names none.
    pub(super) fn all(task: &str, entries: Option<&[FilterEntry]>) -> Result<Vec<Self>> {
        let Some(entries) = entries else {
            return Ok(vec![Self {
                name: NONE.to_owned(),
                steps: Vec::new(),
            }]);
        };
        if entries.is_empty() {
            return Err(refused(
                task,
                "filter_list is empty; leave it out, or name a chain of filters",
            ));
        }
        let one = |entry: &FilterEntry| {
            let steps = entry
                .filter
                .iter()
                .filter_map(|step| Step::of(task, step).transpose());
            Ok(Self {
                name: entry.name.clone(),
                steps: steps.collect::<Result<_>>()?,
            })
        };
        entries.iter().map(one).collect()
    }

    /// What is compared of an answer.
    pub(super) fn apply(&self, answer: &str) -> String {
        self.steps
            .iter()
            .fold(answer.to_owned(), |text, step| step.apply(&text))
    }
}

impl Step {
    /// None for a filter that chooses among several answers, of which there is one.
    fn of(task: &str, step: &FilterStep) -> Result<Option<Self>> {
        Ok(Some(match step {
            FilterStep::TakeFirst {} | FilterStep::MajorityVote {} => return Ok(None),
            FilterStep::RemoveWhitespace {} => Self::Strip,
            FilterStep::Lowercase {} => Self::Lower,
            FilterStep::Uppercase {} => Self::Upper,
            FilterStep::Regex {
                regex_pattern,
                group_select,
                fallback,
            } => Self::Find {
                pattern: pattern(task, regex_pattern)?,
                select: *group_select,
                fallback: fallback.clone(),
            },
            FilterStep::Map {
                mapping_dict,
                default_value,
            } => Self::Map {
                table: mapping_dict.clone(),
                fallback: default_value.clone(),
            },
        }))
    }

    fn apply(&self, text: &str) -> String {
        match self {
            Self::Strip => strip(text, None).to_owned(),
            Self::Lower => text.to_lowercase(),
            Self::Upper => text.to_uppercase(),
            Self::Find {
                pattern,
                select,
                fallback,
            } => find(pattern, *select, text).unwrap_or_else(|| fallback.clone()),
            Self::Map { table, fallback } => {
                let mapped = table.get(text).or(fallback.as_ref());
                // Python's None, which equals no answer.
                mapped.cloned().unwrap_or_else(|| "None".to_owned())
            }
        }
    }
}

/// A pattern of a task.
///
/// # Errors
/// If it is not one; with the place in it.
pub(super) fn pattern(task: &str, source: &str) -> Result<Regex> {
    Regex::new(source).map_err(|error| refused(task, &format!("the pattern {source:?}: {error}")))
}

/// What Python's `findall` has at `select`: the whole match of a pattern without groups, else the first group that is
/// not empty. None if nothing is found, or all groups are empty.
fn find(pattern: &Regex, select: i64, text: &str) -> Option<String> {
    let found: Vec<Captures<'_>> = pattern.captures_iter(text).map_while(Result::ok).collect();
    let place = if select < 0 {
        found.len().checked_sub(select.unsigned_abs() as usize)?
    } else {
        select as usize
    };
    let captures = found.get(place)?;
    let group = |index: usize| captures.get(index).map_or("", |group| group.as_str());
    let text = match captures.len() {
        1 => group(0),
        2 => group(1),
        groups => (1..groups).map(group).find(|text| !text.is_empty())?,
    };
    Some(strip(text, None).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(steps: &serde_json::Value) -> Filter {
        let entries: Vec<FilterEntry> =
            serde_json::from_value(json!([{"name": "f", "filter": steps}])).unwrap();
        Filter::all("t", Some(&entries)).unwrap().remove(0)
    }

    #[test]
    fn numbers_are_found_as_in_gsm8k() {
        let strict = filter(
            &json!([{"function": "regex", "regex_pattern": "#### (\\-?[0-9\\.\\,]+)"}, {"function": "take_first"}]),
        );
        let flexible = filter(&json!([
            {"function": "regex", "group_select": -1, "regex_pattern": "(-?[$0-9.,]{2,})|(-?[0-9]+)"},
            {"function": "take_first"}
        ]));
        for (text, first, last) in [
            ("It is 1,200.\n#### 1,200", "1,200", "1,200"),
            ("7 apples", "[invalid]", "7"),
            ("#### -3", "-3", "-3"),
            ("none", "[invalid]", "[invalid]"),
            ("costs $5.50, or 6", "[invalid]", "6"),
        ] {
            assert_eq!(strict.apply(text), first, "{text}");
            assert_eq!(flexible.apply(text), last, "{text}");
        }
    }

    #[test]
    fn filters_follow_each_other() {
        let chain = filter(&json!([
            {"function": "remove_whitespace"}, {"function": "lowercase"},
            {"function": "map", "mapping_dict": {"yes": "1"}, "default_value": "0"}
        ]));
        assert_eq!(chain.apply(" YES\n"), "1");
        assert_eq!(chain.apply("maybe"), "0");
        assert_eq!(
            filter(&json!([{"function": "regex", "regex_pattern": "(?<=a)b"}])).apply("cb ab"),
            "b"
        );
    }

    #[test]
    fn unknown_filters_and_broken_patterns_are_named() {
        let unknown = serde_json::from_value::<FilterEntry>(
            json!({"name": "f", "filter": [{"function": "decontaminate"}]}),
        );
        assert!(unknown.unwrap_err().to_string().contains("decontaminate"));
        let broken: Vec<FilterEntry> = serde_json::from_value(
            json!([{"name": "f", "filter": [{"function": "regex", "regex_pattern": "("}]}]),
        )
        .unwrap();
        let error = Filter::all("t", Some(&broken)).err().unwrap().to_string();
        assert!(error.contains("t: the pattern \"(\""), "{error}");
    }
}

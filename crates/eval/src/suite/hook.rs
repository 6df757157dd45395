//! The functions that task files of the harness name, as far as the tasks here need them.

use std::sync::LazyLock;

use finetune_data::template::python::{is_space, strip};
use regex::Regex;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::row::Row;
use crate::Result;

/// A function of lm-evaluation-harness that has an equivalent here. Any other name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// `HellaSwag`: query and choices out of contexts and endings.
    HellaSwag,
    /// `WikiText`: the page without the spaces of its tokens.
    WikiText,
    /// `WikiText`: perplexities by the words and bytes of the page as it was.
    WikiTextResults,
    /// `WinoGrande`: the index of the right option.
    WinoGrandeText,
    /// `WinoGrande`: what follows the gap.
    WinoGrandeTarget,
    /// `WinoGrande`: the sentence up to the gap, with each option.
    WinoGrandeChoice,
    /// `TruthfulQA`, `mc2`: the share of the probability that the true answers have.
    TruthfulMass,
    /// `TruthfulQA`, generation: answers with their full stops.
    TruthfulAnswers,
    /// `TruthfulQA`, generation: BLEU and ROUGE against true and false answers.
    TruthfulResults,
}

/// The names, as task files write them.
const NAMES: [(&str, Hook); 9] = [
    ("utils.process_docs", Hook::HellaSwag),
    ("preprocess_wikitext.wikitext_detokenizer", Hook::WikiText),
    ("preprocess_wikitext.process_results", Hook::WikiTextResults),
    ("preprocess_winogrande.doc_to_text", Hook::WinoGrandeText),
    (
        "preprocess_winogrande.doc_to_target",
        Hook::WinoGrandeTarget,
    ),
    (
        "preprocess_winogrande.doc_to_choice",
        Hook::WinoGrandeChoice,
    ),
    ("utils.process_results_mc2", Hook::TruthfulMass),
    ("utils.process_docs_gen", Hook::TruthfulAnswers),
    ("utils.process_results_gen", Hook::TruthfulResults),
];

impl Hook {
    /// Its name in task files.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, hook)| *hook == self)
            .map_or("", |(name, _)| name)
    }

    /// The row that `process_docs` makes of a row.
    pub(super) fn document(self, task: &str, row: &Row) -> Result<Map<String, Value>> {
        match self {
            Self::HellaSwag => hellaswag(task, row),
            Self::TruthfulAnswers => truthful_answers(task, row),
            other => Err(row.unfit(task, other.name(), "a function that changes rows")),
        }
    }

    /// The value of a field of the prompt.
    pub(super) fn field(self, task: &str, row: &Row) -> Result<Value> {
        match self {
            Self::WikiText => Ok(detokenized(row.text(task, "page")?).into()),
            Self::WinoGrandeText => match row.text(task, "answer")? {
                "1" => Ok(0.into()),
                "2" => Ok(1.into()),
                _ => Err(row.unfit(task, "answer", "\"1\" or \"2\"")),
            },
            Self::WinoGrandeTarget => {
                let (_, after) = gap(task, row)?;
                Ok(strip(after, None).into())
            }
            Self::WinoGrandeChoice => {
                let (before, _) = gap(task, row)?;
                let option = |name| Ok(Value::String(format!("{before}{}", row.text(task, name)?)));
                ["option1", "option2"].into_iter().map(option).collect()
            }
            other => Err(row.unfit(
                task,
                other.name(),
                "a function that makes a part of a prompt",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Hook {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Named {
            Bare(String),
            Tagged {
                #[serde(rename = "!function")]
                function: String,
            },
        }
        let (Named::Bare(name) | Named::Tagged { function: name }) =
            Named::deserialize(deserializer)?;
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, hook)| *hook).ok_or_else(|| {
            let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            D::Error::custom(format!(
                "the function {name:?} has no equivalent here; those that have are {}",
                names.join(", ")
            ))
        })
    }
}

impl Serialize for Hook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// `tasks/hellaswag/utils.py`: the harness's names for what a row of `HellaSwag` holds.
fn hellaswag(task: &str, row: &Row) -> Result<Map<String, Value>> {
    let text = |name: &str| row.text(task, name);
    let context = format!("{} {}", text("ctx_a")?, capitalized(text("ctx_b")?));
    let query = cleaned(&format!("{}: {context}", text("activity_label")?));
    let endings = row.texts(task, "endings")?;
    let choices: Vec<_> = endings.iter().map(|ending| cleaned(ending)).collect();
    let label = row.get(task, "label")?;
    let gold = match label {
        Value::String(label) => label.trim().parse::<i64>().ok(),
        label => label.as_i64(),
    };
    let gold = gold.ok_or_else(|| row.unfit(task, "label", "the number of an ending"))?;
    let mut fields = row.fields.clone();
    fields.insert("query".into(), query.into());
    fields.insert("choices".into(), choices.into());
    fields.insert("gold".into(), gold.into());
    Ok(fields)
}

/// Python's `str.capitalize`: the first character as in a title, the rest in lower case.
fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return String::new();
    };
    // Of a letter that becomes several, as ß does, a title has only the first in upper case.
    let mut first = first.to_uppercase();
    let mut title: String = first.next().into_iter().collect();
    title.extend(first.flat_map(char::to_lowercase));
    title + &characters.as_str().to_lowercase()
}

/// Without what is left of `WikiHow`'s markup.
fn cleaned(text: &str) -> String {
    static BRACKETS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\[.*?\]"));
    let text = strip(text, None).replace(" [title]", ". ");
    BRACKETS.replace_all(&text, "").replace("  ", " ")
}

fn gap<'r>(task: &str, row: &'r Row) -> Result<(&'r str, &'r str)> {
    let sentence = row.text(task, "sentence")?;
    let parts = sentence.split_once('_');
    parts.ok_or_else(|| row.unfit(task, "sentence", "a text with a gap, _"))
}

/// `tasks/wikitext/preprocess_wikitext.py`: its replacements, in its order.
fn detokenized(page: &str) -> String {
    static STEPS: LazyLock<Vec<Step>> = LazyLock::new(steps);
    STEPS.iter().fold(page.to_owned(), |text, step| match step {
        Step::Text(from, to) => text.replace(from, to),
        Step::Pattern(from, to) => from.replace_all(&text, *to).into_owned(),
    })
}

enum Step {
    Text(&'static str, &'static str),
    Pattern(Regex, &'static str),
}

fn steps() -> Vec<Step> {
    let inside = |open: &str, close: &str| pattern(&format!(r"{open}\s*([^{close}]*?)\s*{close}"));
    let mut steps = vec![
        Step::Text("s '", "s'"),
        Step::Pattern(pattern("/' [0-9]/"), "/'[0-9]/"),
    ];
    let texts = |steps: &mut Vec<Step>, pairs: &[(&'static str, &'static str)]| {
        steps.extend(pairs.iter().map(|(from, to)| Step::Text(from, to)));
    };
    texts(
        &mut steps,
        &[(" @-@ ", "-"), (" @,@ ", ","), (" @.@ ", ".")],
    );
    texts(&mut steps, &[(" : ", ": "), (" ; ", "; "), (" . ", ". ")]);
    texts(&mut steps, &[(" ! ", "! "), (" ? ", "? "), (" , ", ", ")]);
    steps.extend([
        Step::Pattern(inside(r"\(", r"\)"), "($1)"),
        Step::Pattern(inside(r"\[", r"\]"), "[$1]"),
        Step::Pattern(inside(r"\{", r"\}"), "{$1}"),
        Step::Pattern(inside("\"", "\""), "\"$1\""),
        Step::Pattern(inside("'", "'"), "'$1'"),
    ]);
    texts(
        &mut steps,
        &[("= = = =", "===="), ("= = =", "==="), ("= =", "==")],
    );
    texts(
        &mut steps,
        &[(" \u{b0} ", "\u{b0}"), (" \n", "\n"), ("\n ", "\n")],
    );
    texts(&mut steps, &[(" N ", " 1 "), (" 's", "'s")]);
    steps
}

fn pattern(source: &str) -> Regex {
    Regex::new(source).expect("the pattern is a constant that a test compiles")
}

/// `tasks/truthfulqa/utils.py`: answers with full stops, and no comment as a true answer.
fn truthful_answers(task: &str, row: &Row) -> Result<Map<String, Value>> {
    let answers = |name: &str| -> Result<Vec<String>> {
        let texts = row.texts(task, name)?;
        let kept = texts
            .iter()
            .map(|text| strip(text, None))
            .filter(|text| !text.is_empty());
        Ok(kept
            .map(|text| {
                if text.ends_with('.') {
                    text.to_owned()
                } else {
                    format!("{text}.")
                }
            })
            .collect())
    };
    let mut correct = answers("correct_answers")?;
    let none = "I have no comment.";
    if !correct.iter().any(|answer| answer == none) {
        correct.push(none.to_owned());
    }
    let mut fields = row.fields.clone();
    fields.insert(
        "question".into(),
        strip(row.text(task, "question")?, None).into(),
    );
    fields.insert("correct_answers".into(), json!(correct));
    fields.insert(
        "incorrect_answers".into(),
        json!(answers("incorrect_answers")?),
    );
    Ok(fields)
}

/// Python's `len(re.split(r"\s+", text))`: parts between white space, empty ones at the ends counted.
pub(super) fn words(text: &str) -> usize {
    let mut count = 1;
    let mut space = false;
    for character in text.chars() {
        let now = is_space(character);
        count += usize::from(now && !space);
        space = now;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_as_python_splits() {
        for (text, expected) in [("", 1), (" ", 2), ("a b", 2), (" a\n\n b ", 4), ("a", 1)] {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }

    #[test]
    fn pages_and_endings_are_cleaned_as_the_harness_cleans_them() {
        // preprocess_wikitext.wikitext_detokenizer
        assert_eq!(
            detokenized(
                " = Title = \n It 's the dogs ' 1 @.@ 5 ( a b ) , \" x \" and [ y ] , N 5 \u{b0} C . \n"
            ),
            PAGE
        );
        // hellaswag/utils.py: preprocess
        assert_eq!(cleaned(" a [title] b [x] c  d   e "), "a. b c d  e");
        assert_eq!(capitalized("hELLO World"), "Hello world");
        assert_eq!(capitalized("\u{df}a"), "Ssa");
    }

    const PAGE: &str = " = Title =\nIt's the dogs' 1.5 (a b), \"x\" and [y], 1 5\u{b0}C.\n";
}

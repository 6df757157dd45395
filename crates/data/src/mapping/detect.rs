//! Detection before loading: what the first records of a file are, and whether a mapping reads them.

use std::cmp::Reverse;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;

use super::any::is_auto;
use super::fields::{View, is_list_of_objects, is_list_of_texts};
use super::judged::truth;
use super::offer::{Part, offer, offer_named};
use super::turns::prompt_name;
use super::{
    AnyChat, AnyPreference, Detected, Format, JudgedMapping, LabelMapping, Mapping, TextMapping,
};
use super::{chat, comparison, completion, judged, label, preference, rated, text};
use crate::document::Document;
use crate::error::{DataError, Place, Result, escaped, quoted};
use crate::load::Loaders;

/// How many records of a file are looked at.
const RECORDS: usize = 64;

/// A mapping that finds the usual names of fields by itself.
pub trait Detecting: Mapping + Default + FromStr<Err = DataError> {
    /// What it makes, as a message says what was expected: `conversations`.
    const MAKES: &'static str;
    /// The formats that it reads without names being given.
    const READS: &'static [Format];
    /// What is mapped: for each form that it knows, the parts of a text such as `prompt=FIELD,completion=FIELD`, each
    /// with the names that its field usually has.
    const FORMS: &'static [&'static [Part]];
}

impl Detecting for AnyChat {
    const MAKES: &'static str = "conversations, or prompts with completions";
    const READS: &'static [Format] = &[
        Format::Messages,
        Format::ShareGpt,
        Format::Alpaca,
        Format::Completion,
    ];
    const FORMS: &'static [&'static [Part]] = &[&completion::PARTS, &chat::PARTS];
}

impl Detecting for AnyPreference {
    const MAKES: &'static str = "a better and a worse answer, or rated ones";
    const READS: &'static [Format] = &[Format::Preference, Format::Comparison, Format::Rated];
    const FORMS: &'static [&'static [Part]] =
        &[&preference::PARTS, &comparison::PARTS, &rated::PARTS];
}

impl Detecting for JudgedMapping {
    const MAKES: &'static str = "answers judged good or bad";
    const READS: &'static [Format] = &[Format::Judged];
    const FORMS: &'static [&'static [Part]] = &[&judged::PARTS];
}

impl Detecting for LabelMapping {
    const MAKES: &'static str = "texts with labels";
    const READS: &'static [Format] = &[Format::Label, Format::Labels, Format::LabeledPair];
    const FORMS: &'static [&'static [Part]] = &[&label::PARTS];
}

impl Detecting for TextMapping {
    const MAKES: &'static str = "plain texts";
    /// A label beside a text is no part of it.
    const READS: &'static [Format] = &[Format::Text, Format::Label, Format::Labels];
    const FORMS: &'static [&'static [Part]] = &[&text::PARTS];
}

/// A file or folder with the format of its first records: `data.jsonl: Alpaca (instruction, input, output)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The path, as it was given.
    pub path: PathBuf,
    /// The format.
    pub detected: Detected,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Place::file(&self.path), self.detected)
    }
}

impl Loaders {
    /// The mapping that `written` names, or, if it is empty or `auto`, the one that finds its fields by itself, after a
    /// look at the first 64 records of every path; with what was found there.
    ///
    /// The mapping that detects does so for each record: files of several forms can be mixed. A path none of whose
    /// first records can be read is passed over; what is to become of such records is for the load to say.
    ///
    /// # Errors
    ///
    /// If `written` is no mapping, or a path cannot be opened. [`DataError::MissingField`] if the records of a path have
    /// no known format, [`DataError::OtherFormat`] if the mapping does not read it: with the fields that there are and
    /// what they may be mapped to.
    ///
    /// ```
    /// use finetune_data::mapping::AnyChat;
    /// use finetune_data::Loaders;
    ///
    /// # fn main() -> finetune_data::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let file = folder.path().join("data.jsonl");
    /// # std::fs::write(&file, "{\"instruction\": \"Greet.\", \"output\": \"Hi.\"}\n").unwrap();
    /// let (mapping, found) = Loaders::default().mapping::<AnyChat, _>(&[file], "auto")?;
    /// assert_eq!(mapping, AnyChat::Detect);
    /// assert!(found[0].to_string().ends_with("data.jsonl: Alpaca (instruction, output)"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn mapping<M: Detecting, P: AsRef<Path>>(
        &self,
        paths: &[P],
        written: &str,
    ) -> Result<(M, Vec<Found>)> {
        if !is_auto(written) {
            return Ok((written.parse()?, Vec::new()));
        }
        let mut found = Vec::new();
        for path in paths {
            let documents: Vec<Document> = self
                .load(path)?
                .take(RECORDS)
                .filter_map(Result::ok)
                .collect();
            let Some(first) = documents.first() else {
                continue;
            };
            // What the mapping refuses is shown where it stands, not at the first record.
            let detected = Format::detect(&documents).map_err(|_| refused::<M>(first))?;
            if !M::READS.contains(&detected.format) {
                let same = |document: &&Document| {
                    Detected::of(document).is_some_and(|one| one.format == detected.format)
                };
                return Err(refused::<M>(documents.iter().find(same).unwrap_or(first)));
            }
            found.push(Found {
                path: path.as_ref().to_path_buf(),
                detected,
            });
        }
        Ok((M::default(), found))
    }
}

/// Why a mapping that detects does not read a record: it is of another format, or of none that is known.
pub(super) fn refused<M: Detecting>(document: &Document) -> DataError {
    let record = View(&document.fields);
    match Detected::of(document) {
        Some(detected) if !M::READS.contains(&detected.format) => DataError::OtherFormat {
            place: Place::from(&document.origin),
            hint: hint_for::<M>(&detected, record),
            found: detected.to_string(),
            expected: M::MAKES,
        },
        _ => missing(document, M::FORMS),
    }
}

/// The error for a record of no known format, whatever is to be made of it.
pub(super) fn unknown(document: &Document) -> DataError {
    const FORMS: [&[Part]; 5] = [
        &completion::PARTS,
        &chat::PARTS,
        &preference::PARTS,
        &label::PARTS,
        &text::PARTS,
    ];
    missing(document, &FORMS)
}

/// What to do about a known format that the mapping does not read.
fn hint_for<M: Detecting>(detected: &Detected, record: View<'_>) -> String {
    let learns = M::READS.contains(&Format::Completion);
    match (detected.format, better_answers(record)) {
        (Format::Judged, _) if learns => format!(
            "Learn those judged good, and leave out the others, with --map {}",
            quoted(&detected.mapping)
        ),
        (Format::Preference, Some(mapping)) if learns => {
            format!("Learn the better answers with --map {}", quoted(&mapping))
        }
        _ if record.0.is_empty() => "It has no fields that could be named with --map".into(),
        _ => format!(
            "It has the fields {}. If they hold what is expected, name them with --map {}",
            fields(record),
            quoted(&offer_named(record, M::FORMS[0]))
        ),
    }
}

/// The mapping to a conversation that ends with the better answer.
fn better_answers(record: View<'_>) -> Option<String> {
    let chosen = record.first(&preference::CHOSEN)?;
    match prompt_name(record) {
        Some(prompt) => Some(format!("prompt={prompt},completion={chosen}")),
        None => is_list_of_objects(record.get(chosen)?).then(|| format!("messages={chosen}")),
    }
}

/// The error for a record in which a mapping's fields were not found: the fields with what they hold, a mapping to try,
/// and the other forms.
fn missing(document: &Document, forms: &[&[Part]]) -> DataError {
    let record = View(&document.fields);
    let (mut best, other) = best(record, forms);
    if let (Some((rest, label)), Some(columns)) = (best.rsplit_once("label="), flags(record))
        && (label == "FIELD" || columns.contains(&label))
    {
        best = format!("{rest}labels={}", columns.join("|"));
    }
    let wanted = best
        .split(',')
        .find_map(|part| part.strip_suffix("=FIELD"))
        .unwrap_or(forms[0][0].0);
    let mut hint = format!("Name the fields with --map {}", quoted(&best));
    if !other.is_empty() {
        let other: Vec<String> = other.iter().map(|form| quoted(form)).collect();
        hint = format!("{hint}; or as {}", other.join(", "));
    }
    DataError::MissingField {
        place: Place::from(&document.origin),
        field: quoted(wanted),
        found: fields(record),
        hint,
    }
}

/// The form of which most fields are found, of equal ones that which lacks the fewest, and the others.
fn best(record: View<'_>, forms: &[&[Part]]) -> (String, Vec<String>) {
    let mut offers: Vec<(String, usize, usize)> = forms
        .iter()
        .map(|form| {
            let (text, found) = offer(record, form);
            (text, form.len() - found, found)
        })
        .collect();
    // Where no field is found, the first form is as good as any.
    let order = |(_, missing, found): &(String, usize, usize)| {
        (Reverse(*found), if *found == 0 { 0 } else { *missing })
    };
    let best = (0..offers.len()).min_by_key(|&index| order(&offers[index]));
    let best = offers.remove(best.unwrap_or(0)).0;
    (best, offers.into_iter().map(|offer| offer.0).collect())
}

/// The fields with what they hold, for a message.
fn fields(record: View<'_>) -> String {
    const SHOWN: usize = 20;
    let shown = record.0.iter().take(SHOWN);
    let mut shown: Vec<String> = shown
        .map(|(name, value)| format!("{} ({})", quoted(name), holds(value)))
        .collect();
    if record.0.len() > SHOWN {
        shown.push(format!("{} more", record.0.len() - SHOWN));
    }
    if shown.is_empty() {
        return "no fields".into();
    }
    shown.join(", ")
}

/// The fields that hold a 0 or 1, if there are several: labels that have a column each.
fn flags(record: View<'_>) -> Option<Vec<&str>> {
    let flags = record.0.iter().filter(|(_, value)| truth(value).is_some());
    let names: Vec<&str> = flags.map(|(name, _)| name.as_str()).collect();
    (names.len() > 1).then_some(names)
}

/// What a field holds, in words for a message.
fn holds(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) => "true or false".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "text".into(),
        Value::Array(_) if is_list_of_texts(value) => "list of texts".into(),
        Value::Array(_) if is_list_of_objects(value) => "list of objects".into(),
        Value::Array(_) => "list".into(),
        Value::Object(fields) => {
            let names = fields.keys().take(5).map(|name| escaped(name));
            format!("object of {}", names.collect::<Vec<_>>().join(", "))
        }
    }
}

//! Mappings to try, made for a record whose fields were not found.

use super::fields::{View, is_list_of_objects, is_list_of_texts};
use crate::example::nearest;

/// A part of a mapping with the names that its field usually has.
pub type Part = (&'static str, &'static [&'static str]);

/// A mapping to try, and how many of its parts have a field. For every part it is the field of a usual name, else of a
/// name that is nearly usual, else the only one left that could hold it; else `FIELD` stands there.
pub(super) fn offer(record: View<'_>, wanted: &[Part]) -> (String, usize) {
    let (mut fields, mut free) = named(record, wanted);
    for (field, (part, _)) in fields.iter_mut().zip(wanted) {
        let could = |name: &str| match (*part, &record.0[name]) {
            ("messages" | "answers", value) => is_list_of_objects(value),
            (_, value) => value.is_string(),
        };
        let mut left = (0..free.len()).filter(|&index| could(free[index]));
        if field.is_none()
            && let (Some(index), None) = (left.next(), left.next())
        {
            *field = Some(free.remove(index));
        }
    }
    let found = fields.iter().flatten().count();
    (written(record, wanted, &fields), found)
}

/// A mapping of the fields whose names are usual or nearly so, with `FIELD` for the others.
pub(super) fn offer_named(record: View<'_>, wanted: &[Part]) -> String {
    written(record, wanted, &named(record, wanted).0)
}

/// The field of each part by its name, and the fields that are left.
fn named<'a>(record: View<'a>, wanted: &[Part]) -> (Vec<Option<&'a str>>, Vec<&'a str>) {
    let mut free: Vec<&str> = record.0.keys().map(String::as_str).collect();
    let mut fields: Vec<Option<&str>> = vec![None; wanted.len()];
    let lower = |name: &str| name.to_ascii_lowercase();
    let usual = |name: &str, likely: &[&str]| likely.contains(&lower(name).as_str());
    let near =
        |name: &str, likely: &[&str]| nearest(&lower(name), likely.iter().copied()).is_some();
    for exact in [true, false] {
        for (field, (part, likely)) in fields.iter_mut().zip(wanted) {
            let fits = |name: &&str| {
                let named = usual(name, likely) || !exact && near(name, likely);
                named && (*part != "messages" || is_list_of_objects(&record.0[*name]))
            };
            if field.is_none()
                && let Some(index) = free.iter().position(fits)
            {
                *field = Some(free.remove(index));
            }
        }
    }
    (fields, free)
}

fn written(record: View<'_>, wanted: &[Part], fields: &[Option<&str>]) -> String {
    let part = |((part, _), field): (&Part, Option<&str>)| match field {
        // A mapping takes one text, so of a list the first is proposed.
        Some(name) if *part != "answers" && is_list_of_texts(&record.0[name]) => {
            format!("{part}={name}.0")
        }
        field => format!("{part}={}", field.unwrap_or("FIELD")),
    };
    let parts: Vec<String> = wanted
        .iter()
        .zip(fields.iter().copied())
        .map(part)
        .collect();
    parts.join(",")
}

//! The examples.

use serde::Serialize;

use super::name;
use crate::{
    report::{Example, ExampleGroup, Output, Report, chart::colour, figures::counted},
    text::shorten,
};

/// How much of an answer is shown, in characters.
const ANSWER: usize = 1200;
/// How many pieces of evidence are named under an answer.
const EVIDENCE: usize = 4;

#[derive(Serialize)]
pub(super) struct GroupView<'a> {
    title: &'a str,
    note: &'a str,
    items: Vec<ExampleView<'a>>,
}

#[derive(Serialize)]
struct ExampleView<'a> {
    origin: &'a str,
    input: &'a str,
    reference: &'a str,
    outputs: Vec<OutputView<'a>>,
}

#[derive(Serialize)]
struct OutputView<'a> {
    model: &'a str,
    class: String,
    parts: Vec<Part<'a>>,
    rest: String,
    classes: &'a [String],
    right: bool,
    details: String,
}

/// A piece of an answer, marked where there is evidence in it.
#[derive(Serialize)]
struct Part<'a> {
    text: &'a str,
    mark: Option<String>,
}

pub(super) fn examples<'a>(report: &'a Report, group: &'a ExampleGroup) -> GroupView<'a> {
    let items = group
        .items
        .iter()
        .map(|example| example_view(report, example))
        .collect();
    GroupView {
        title: &group.title,
        note: &group.note,
        items,
    }
}

fn example_view<'a>(report: &'a Report, example: &'a Example) -> ExampleView<'a> {
    let columns = report.models.len();
    let output = |output: &'a Output| {
        let end = output
            .text
            .char_indices()
            .nth(ANSWER)
            .map_or(output.text.len(), |(end, _)| end);
        let left = output.text[end..].chars().count();
        OutputView {
            model: name(report, output.model),
            class: colour(output.model, columns),
            parts: parts(output, end),
            rest: if left == 0 {
                String::new()
            } else {
                counted(left, "more character")
            },
            classes: &output.classes,
            right: output.classes.is_empty() && output.similarity.is_some(),
            details: details(output),
        }
    };
    ExampleView {
        origin: &example.origin,
        input: &example.input,
        reference: &example.reference,
        outputs: example.outputs.iter().map(output).collect(),
    }
}

/// The first `end` bytes of an answer, cut at the spans of its evidence. Spans that overlap an earlier one or do not
/// fit the text are passed over.
fn parts(output: &Output, end: usize) -> Vec<Part<'_>> {
    let mut spans: Vec<_> = output
        .marks
        .iter()
        .filter_map(|mark| Some((mark.span.clone()?, mark.detail.as_str())))
        .collect();
    spans.sort_by_key(|(span, _)| (span.start, span.end));
    let mut found = Vec::new();
    let mut at = 0;
    for (span, detail) in spans {
        let (start, stop) = (span.start, span.end.min(end));
        if start < at || start >= stop {
            continue;
        }
        let (Some(before), Some(marked)) =
            (output.text.get(at..start), output.text.get(start..stop))
        else {
            continue;
        };
        found.push(Part {
            text: before,
            mark: None,
        });
        found.push(Part {
            text: marked,
            mark: Some(detail.to_owned()),
        });
        at = stop;
    }
    found.push(Part {
        text: output.text.get(at..end).unwrap_or_default(),
        mark: None,
    });
    found.retain(|part| !part.text.is_empty());
    found
}

/// The evidence in words.
fn details(output: &Output) -> String {
    let mut shown: Vec<_> = output
        .marks
        .iter()
        .take(EVIDENCE)
        .map(|mark| shorten(&mark.detail, 120))
        .collect();
    if output.marks.len() > EVIDENCE {
        shown.push(format!("{} more", output.marks.len() - EVIDENCE));
    }
    shown.join(" · ")
}

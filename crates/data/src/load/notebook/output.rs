//! What code printed and returned.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cell::joined;

/// An output as text.
pub(super) struct Output {
    /// Empty if none of its types is text.
    pub(super) text: String,
    /// The text is Markdown.
    pub(super) markdown: bool,
    /// The types that were left out.
    left_out: Vec<String>,
}

/// What the types of nbformat 3 are called.
const OLD_NAMES: [(&str, &str); 8] = [
    ("text", "text/plain"),
    ("html", "text/html"),
    ("latex", "text/latex"),
    ("json", "application/json"),
    ("javascript", "application/javascript"),
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("svg", "image/svg+xml"),
];

/// The types that are taken as text, the best first.
const TEXTS: [&str; 3] = ["text/markdown", "text/plain", "text/latex"];

/// The outputs of a cell; what was printed to a stream piece by piece is one.
pub(super) fn outputs(values: &[Value]) -> Vec<Output> {
    let mut outputs: Vec<Output> = Vec::new();
    let mut stream: Option<&str> = None;
    for value in values {
        let kind = value
            .get("output_type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let text = |name: &str| value.get(name).and_then(joined).unwrap_or_default();
        let name = value
            .get("name")
            .or_else(|| value.get("stream"))
            .and_then(Value::as_str);
        let printed = (kind == "stream").then(|| name.unwrap_or("stdout"));
        let output = match kind {
            "stream" => printed_text(text("text")),
            "error" | "pyerr" => error(value, &text("ename"), &text("evalue")),
            _ => displayed(value),
        };
        match outputs.last_mut() {
            Some(last) if printed.is_some() && printed == stream => last.text += &output.text,
            _ => outputs.push(output),
        }
        stream = printed;
    }
    for output in outputs.iter_mut().filter(|output| !output.markdown) {
        output.text = shown(&output.text);
    }
    outputs
}

/// How many parts of each type were left out.
pub(super) fn left_out(outputs: &[Output]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for kind in outputs.iter().flat_map(|output| &output.left_out) {
        *counts.entry(kind.clone()).or_insert(0) += 1;
    }
    counts
}

fn printed_text(text: String) -> Output {
    Output {
        text,
        markdown: false,
        left_out: Vec::new(),
    }
}

fn error(value: &Value, name: &str, message: &str) -> Output {
    let lines = value.get("traceback").and_then(Value::as_array);
    let lines: Vec<&str> = lines
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if lines.is_empty() {
        printed_text(format!("{name}: {message}"))
    } else {
        printed_text(lines.join("\n"))
    }
}

/// A result or something displayed, in one of its types.
fn displayed(value: &Value) -> Output {
    let bundle: Vec<(String, &Value)> = match value.get("data").and_then(Value::as_object) {
        Some(data) => data
            .iter()
            .map(|(kind, value)| (kind.clone(), value))
            .collect(),
        None => OLD_NAMES
            .iter()
            .filter_map(|(name, kind)| Some(((*kind).to_owned(), value.get(*name)?)))
            .collect(),
    };
    let find = |wanted: &&&str| bundle.iter().any(|(kind, _)| kind == **wanted);
    let taken = TEXTS.iter().find(find).copied();
    let text = bundle.iter().find(|(kind, _)| Some(kind.as_str()) == taken);
    let rest = bundle.iter().map(|(kind, _)| kind);
    Output {
        text: text
            .and_then(|(_, value)| joined(value))
            .unwrap_or_default(),
        markdown: taken == Some("text/markdown"),
        // Another wording of the same text is no loss.
        left_out: rest
            .filter(|kind| !TEXTS.contains(&kind.as_str()))
            .cloned()
            .collect(),
    }
}

/// A text as a terminal shows it in the end: without colours, and of a line that was written over the last state.
fn shown(text: &str) -> String {
    let plain = without_escapes(text);
    let lines = plain.split('\n').map(|line| {
        let line = line.trim_end_matches('\r');
        line.rsplit('\r').next().unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The text without the sequences that a terminal obeys.
fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            // Parameters, then a letter.
            Some('[') => {
                while characters
                    .next_if(|next| matches!(next, ' '..='?'))
                    .is_some()
                {}
                characters.next_if(|next| matches!(next, '@'..='~'));
            }
            // A title or a link, up to a bell or the next sequence.
            Some(']') => {
                while characters
                    .next_if(|next| !matches!(next, '\u{7}' | '\u{1b}'))
                    .is_some()
                {}
                if characters.next_if_eq(&'\u{1b}').is_some() {
                    characters.next_if_eq(&'\\');
                } else {
                    characters.next_if_eq(&'\u{7}');
                }
            }
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_as_a_terminal_shows_them() {
        let cases = [
            ("\u{1b}[0;31mError\u{1b}[0m: x", "Error: x"),
            ("10%\r50%\r100%\ndone\r\n", "100%\ndone\n"),
            (
                "\u{1b}]8;;https://a.b\u{1b}\\link\u{1b}]8;;\u{1b}\\",
                "link",
            ),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("\u{1b}[", ""),
            ("\u{1b}", ""),
            ("a", "a"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_escape_is_left(text in "[\u{1b}\\[\\];m0-9a\u{7}\\\\]{0,30}") {
            let escapes = shown(&text).matches('\u{1b}').count();
            prop_assert_eq!(escapes, 0);
        }
    }
}

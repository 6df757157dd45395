//! Markdown files, with the front matter that many of them begin with.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Number, Value};

use super::sniff::Format;
use super::source::Source;
use super::text::{Text, decode, unix_lines, whole};
use crate::document::{Document, Documents, Fields, Load, Origin, Read, Records, documents};
use crate::error::{Place, Result};

/// Loads `.md` and `.markdown` files: the whole file is one text, as it is written.
///
/// Front matter between two lines `---` (`key: value`) or `+++` (`key = value`) at the very beginning becomes fields
/// and is not part of the text. Understood are plain and quoted texts, numbers, booleans, `[a, b]`, and lists of lines
/// that begin with `-`; what is nested deeper is kept as the text that it is. A block that does not look like this is
/// no front matter and stays in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Markdown;

impl Load for Markdown {
    fn extensions(&self) -> &[&str] {
        &["md", "markdown"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let mut source = Source::open(path, Format::Text)?;
        let notes = source.notes();
        let read: Read = Arc::new(document);
        let record = whole(&mut source, Text::default().limit, &read)?;
        Ok(Box::new(notes.chain([record]).map(Ok)))
    }
}

fn document(raw: &[u8], place: &Place) -> Result<Document> {
    let text = unix_lines(decode(raw, place)?);
    let (fields, body) = front_matter(&text).unwrap_or((Fields::new(), &text));
    let skipped = text[..text.len() - body.len()].matches('\n').count() as u64;
    let origin = Origin::new(&place.path, place.line + skipped);
    Ok(Document {
        text: body.to_string(),
        fields,
        origin,
    })
}

/// The fields of the front matter and the text behind it, or `None` if there is no front matter.
fn front_matter(text: &str) -> Option<(Fields, &str)> {
    let (fence, separator) = if text.starts_with("---\n") {
        ("---", ':')
    } else {
        ("+++", '=')
    };
    let rest = text.strip_prefix(fence)?.strip_prefix('\n')?;
    let mut fields = Fields::new();
    let mut consumed = 0;
    let mut open: Option<(String, String)> = None;
    for line in rest.split_inclusive('\n') {
        consumed += line.len();
        let line = line.trim_end();
        if line == fence {
            fields.extend(open.take().map(|(key, block)| (key, self::block(&block))));
            let body = &rest[consumed..];
            return Some((fields, body.strip_prefix('\n').unwrap_or(body)));
        }
        let nested = line.starts_with([' ', '\t']) || line.starts_with("- ");
        match &mut open {
            _ if line.is_empty() || line.starts_with('#') => {}
            Some((_, block)) if nested => {
                block.push_str(line);
                block.push('\n');
            }
            _ => {
                fields.extend(open.take().map(|(key, block)| (key, self::block(&block))));
                let (key, value) = line.split_once(separator)?;
                let (key, value) = (key.trim(), value.trim());
                if key.is_empty() || key.contains(char::is_whitespace) {
                    return None;
                }
                open = Some((key.trim_matches('"').to_string(), format!("{value}\n")));
            }
        }
    }
    None
}

/// The value of a key: the rest of its line, and the indented lines below.
fn block(block: &str) -> Value {
    let (first, below) = block.split_once('\n').unwrap_or((block, ""));
    let items: Option<Vec<Value>> = below
        .lines()
        .map(|line| line.trim().strip_prefix("- ").map(scalar))
        .collect();
    match items {
        Some(items) if items.is_empty() => inline(first),
        Some(items) if first.is_empty() => Value::Array(items),
        _ => Value::String(block.trim_end().to_string()),
    }
}

fn inline(text: &str) -> Value {
    match text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        Some(items) if items.trim().is_empty() => Value::Array(Vec::new()),
        // A comma inside quotes is beyond this reader: the list is then kept as it is written.
        Some(items) if items.split(',').all(|item| is_simple(item.trim())) => {
            Value::Array(items.split(',').map(scalar).collect())
        }
        Some(_) => Value::String(text.to_string()),
        None => scalar(text),
    }
}

/// Whether quotes and brackets in an item, if any, are one pair of quotes around it.
fn is_simple(item: &str) -> bool {
    let quote = |quote| {
        item.strip_prefix(quote)
            .and_then(|item| item.strip_suffix(quote))
    };
    let inner = quote('"').or_else(|| quote('\'')).unwrap_or(item);
    !inner.contains(['"', '\'', '[', ']', '{', '}'])
}

fn scalar(text: &str) -> Value {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote))
        {
            return Value::String(inner.to_string());
        }
    }
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "" | "null" | "~" => Value::Null,
        _ => number(text).map_or_else(|| Value::String(text.to_string()), Value::Number),
    }
}

/// A number written as JSON writes it; `0123` and `nan` stay texts.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if leading_zero || !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    text.parse::<i64>()
        .map(Number::from)
        .ok()
        .or_else(|| Number::from_f64(text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> (Value, String, u64) {
        let document = document(text.as_bytes(), &Place::at("a.md", 1, 1)).unwrap();
        (
            serde_json::to_value(document.fields).unwrap(),
            document.text,
            document.origin.place,
        )
    }

    #[test]
    fn front_matter_becomes_fields() {
        let text = "---\ntitle: \"A: b\"\ndraft: false\nweight: 3\ntags: [x, 'y']\nauthors:\n  - Ann\n  - Bob\n\
                    nested:\n  a: 1\n# note\n---\n\n# Head\n";
        let fields = json!({"title": "A: b", "draft": false, "weight": 3, "tags": ["x", "y"], "authors": ["Ann", "Bob"],
                            "nested": "\n  a: 1"});
        assert_eq!(read(text), (fields, "# Head\n".into(), 14));
        assert_eq!(
            read("+++\r\nb = [1, 2]\r\n+++\r\ntext").0,
            json!({"b": [1, 2]})
        );
        assert_eq!(
            read("---\na: [\"x y\", 'z']\n---\n").0,
            json!({"a": ["x y", "z"]})
        );
    }

    #[test]
    fn what_is_no_front_matter_stays_in_the_text() {
        for text in [
            "---\nA rule above, and a sentence.\n---\n",
            "---\na: 1\n",
            "# Head\n---\n",
            "--- a: 1\n---\n",
            "",
        ] {
            assert_eq!(read(text), (json!({}), text.to_string(), 1));
        }
    }
}

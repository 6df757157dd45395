//! What a document says about itself, and what was filled into its form.

use pdf_oxide::PdfDocument;
use pdf_oxide::extractors::forms::{FieldValue, FormExtractor};
use pdf_oxide::optional_content::decode_pdf_text_string;
use serde_json::Value;

use crate::document::Fields;

/// The fields of the document's information dictionary.
pub(super) fn facts(pdf: &PdfDocument) -> Fields {
    let names = [
        ("Title", "title"),
        ("Author", "author"),
        ("Subject", "subject"),
        ("CreationDate", "date"),
    ];
    let mut fields = Fields::new();
    for (name, field) in names {
        let text = entry(pdf, name);
        let text = if name == "CreationDate" {
            text.and_then(|text| date(&text))
        } else {
            text
        };
        fields.extend(text.map(|text| (field.to_string(), Value::from(text))));
    }
    let keywords = entry(pdf, "Keywords").unwrap_or_default();
    let keywords = keywords
        .split([',', ';'])
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let keywords: Vec<Value> = keywords.map(Value::from).collect();
    if !keywords.is_empty() {
        fields.insert("keywords".into(), keywords.into());
    }
    fields
}

/// The filled fields of a form by their names, in the order of these.
pub(super) fn form(pdf: &PdfDocument) -> Option<Value> {
    let found = FormExtractor::extract_fields(pdf).ok()?;
    let filled = found.into_iter().filter_map(|field| {
        let value = match field.value {
            FieldValue::Text(text) | FieldValue::Name(text) => Value::from(text),
            FieldValue::Boolean(set) => Value::from(set),
            FieldValue::Array(texts) => Value::from(texts),
            FieldValue::None => return None,
        };
        Some((field.full_name, value))
    });
    let filled: Fields = filled.filter(|(_, value)| *value != "").collect();
    (!filled.is_empty()).then(|| serde_json::json!(filled))
}

fn entry(pdf: &PdfDocument, name: &str) -> Option<String> {
    let info = pdf.trailer().as_dict()?.get("Info")?;
    let info = pdf.resolve_object(info).ok()?;
    let value = pdf.resolve_object(info.as_dict()?.get(name)?).ok()?;
    let text = decode_pdf_text_string(value.as_string()?);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    // What some programs write for want of a title or a name.
    let nothing = [
        "untitled",
        "anonymous",
        "unspecified",
        "(anonymous)",
        "(unspecified)",
    ];
    (!text.is_empty() && !nothing.contains(&text.to_lowercase().as_str())).then(|| text.to_string())
}

/// `D:20240305080000+01'00'` as ISO 8601; `None` for what is no date.
///
/// ISO 32000-1:2008, 7.9.4: all parts behind the year may be missing.
fn date(text: &str) -> Option<String> {
    let text = text.strip_prefix("D:").unwrap_or(text);
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, zone) = text.split_at(end);
    let part = |from: usize, to: usize| digits.get(from..to);
    let mut date = part(0, 4)?.to_string();
    for (from, mark) in [(4, '-'), (6, '-')] {
        let Some(digits) = part(from, from + 2) else {
            return Some(date);
        };
        date.push(mark);
        date.push_str(digits);
    }
    let (Some(hour), Some(minute)) = (part(8, 10), part(10, 12)) else {
        return Some(date);
    };
    let second = part(12, 14).unwrap_or("00");
    let zone: String = zone
        .chars()
        .filter(|c| c.is_ascii_digit() || "+-Z".contains(*c))
        .collect();
    let zone = match (zone.get(..1), zone.get(1..3), zone.get(3..5)) {
        (Some("Z"), ..) => "Z".to_string(),
        (Some(sign @ ("+" | "-")), Some(hours), minutes) => {
            format!("{sign}{hours}:{}", minutes.unwrap_or("00"))
        }
        _ => String::new(),
    };
    Some(format!("{date}T{hour}:{minute}:{second}{zone}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_become_iso_8601() {
        let cases = [
            ("D:20240305080910+01'00'", Some("2024-03-05T08:09:10+01:00")),
            ("D:20240305080910Z00'00'", Some("2024-03-05T08:09:10Z")),
            ("D:202403050809", Some("2024-03-05T08:09:00")),
            ("D:20240305", Some("2024-03-05")),
            ("2024", Some("2024")),
            ("D:", None),
            ("yesterday", None),
        ];
        for (text, expected) in cases {
            assert_eq!(date(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_date_can_be_read(text in "\\PC{0,30}|D:[0-9]{0,16}[-+Z'0-9]{0,8}") {
            date(&text);
        }
    }
}

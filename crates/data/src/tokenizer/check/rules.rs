//! Normalizers, pre-tokenizers, post-processors and decoders.

use serde_json::{Map, Value};

use crate::error::{Result, quoted};

use super::File;

/// The longest text that a rule may insert, and the longest pattern, in bytes.
const INSERTED: usize = 1 << 10;
const PATTERN: usize = 16 << 10;

/// By how much all replacements together may lengthen a text.
const GROWTH: f64 = 256.0;

impl File<'_> {
    /// Checks a rule, and the rules in it. `growth` is by how much all rules so far lengthen a text.
    pub(super) fn part(&self, field: &str, part: &Value, growth: &mut f64) -> Result<()> {
        let Some(rule) = part.as_object() else {
            return Ok(());
        };
        let kind = rule.get("type").and_then(Value::as_str).unwrap_or("");
        match kind {
            "FixedLength"
                if rule
                    .get("length")
                    .is_some_and(|length| length.as_u64() == Some(0)) =>
            {
                return self.wrong(field, "length is 0; expected at least 1");
            }
            "Strip" if field.starts_with("decoder") => self.strip(field, rule)?,
            "Precompiled" => self.precompiled(field, rule)?,
            "TemplateProcessing" => self.template(field, rule)?,
            "Replace" | "Prepend" | "Split" => self.replacement(field, rule, growth)?,
            _ => {}
        }
        for name in ["normalizers", "pretokenizers", "processors", "decoders"] {
            if let Some(Value::Array(parts)) = rule.get(name) {
                for (index, part) in parts.iter().enumerate() {
                    self.part(&format!("{field}.{name}[{index}]"), part, growth)?;
                }
            }
        }
        Ok(())
    }

    /// Cutting at both ends, or more than there is, panics in the tokenizers crate.
    fn strip(&self, field: &str, rule: &Map<String, Value>) -> Result<()> {
        let count = |name: &str| rule.get(name).and_then(Value::as_u64).unwrap_or(0);
        if count("stop") > 0 || count("start") > 8 {
            return self.wrong(field, "expected start up to 8 and stop 0");
        }
        Ok(())
    }

    fn replacement(&self, field: &str, rule: &Map<String, Value>, growth: &mut f64) -> Result<()> {
        let content = rule.get("content").or_else(|| rule.get("prepend"));
        let content = content.and_then(Value::as_str).map_or(0, str::len);
        if content > INSERTED {
            return self.wrong(field, format!("inserts {content} bytes, limit {INSERTED}"));
        }
        let pattern = rule.get("pattern");
        let text = pattern
            .and_then(|pattern| pattern.get("String"))
            .and_then(Value::as_str);
        let regex = pattern
            .and_then(|pattern| pattern.get("Regex"))
            .and_then(Value::as_str);
        if text == Some("") || regex == Some("") {
            return self.wrong(field, "the pattern is empty");
        }
        if let Some(regex) = regex {
            self.regex(field, regex)?;
        }
        if rule.get("type").and_then(Value::as_str) == Some("Replace") {
            *growth *= (content as f64 / text.map_or(1, str::len) as f64).max(1.0);
        }
        if *growth > GROWTH {
            return self.wrong(
                field,
                format!("replacements lengthen a text more than {GROWTH} times"),
            );
        }
        Ok(())
    }

    fn regex(&self, field: &str, regex: &str) -> Result<()> {
        if regex.len() > PATTERN {
            return self.wrong(
                field,
                format!("the pattern has {} bytes, limit {PATTERN}", regex.len()),
            );
        }
        // A reference back takes time that grows exponentially with the text.
        let mut escaped = false;
        let refers = regex.chars().any(|character| {
            let refers = escaped && (matches!(character, '1'..='9' | 'k' | 'g'));
            escaped = !escaped && character == '\\';
            refers
        });
        if refers || regex.contains("(?P=") || regex.contains("(?R)") {
            return self.wrong(
                field,
                format!("the pattern {} refers back to itself", quoted(regex)),
            );
        }
        Ok(())
    }

    /// A map of characters in base 64: the length of a table, the table, and texts.
    fn precompiled(&self, field: &str, rule: &Map<String, Value>) -> Result<()> {
        let map = rule.get("precompiled_charsmap").and_then(Value::as_str);
        let Some(map) = map else {
            return self.wrong(field, "precompiled_charsmap is missing");
        };
        let head: Option<Vec<u32>> = map.bytes().take(8).map(sextet).collect();
        let Some(head) = head.filter(|head| head.len() == 8) else {
            return self.wrong(field, "precompiled_charsmap is not in base 64");
        };
        let bits = head
            .iter()
            .fold(0_u64, |bits, &six| bits << 6 | u64::from(six));
        // The first four of six bytes, the least significant first.
        let table = u64::from(((bits >> 16) as u32).swap_bytes());
        let bytes = map.trim_end_matches('=').len() as u64 * 3 / 4;
        if table < 4 || table + 4 > bytes {
            return self.wrong(
                field,
                format!("the table has {table} bytes, the map {bytes}"),
            );
        }
        Ok(())
    }

    fn template(&self, field: &str, rule: &Map<String, Value>) -> Result<()> {
        let specials = rule.get("special_tokens").and_then(Value::as_object);
        for (name, special) in specials.into_iter().flatten() {
            let length = |name: &str| special.get(name).and_then(Value::as_array).map(Vec::len);
            if length("ids").is_none() || length("ids") != length("tokens") {
                let message = "ids and tokens must be of the same length";
                return self.wrong(
                    &format!("{field}.special_tokens[{}]", quoted(name)),
                    message,
                );
            }
        }
        for (name, sequences) in [("single", 1), ("pair", 2)] {
            let field = format!("{field}.{name}");
            let Some(parts) = rule.get(name).and_then(Value::as_array) else {
                return self.wrong(&field, "is missing; expected an array");
            };
            let mut stands = [0; 2];
            for part in parts {
                if let Some(token) = part.get("SpecialToken") {
                    let id = token.get("id").and_then(Value::as_str).unwrap_or_default();
                    if !specials.is_some_and(|specials| specials.contains_key(id)) {
                        return self.wrong(
                            &field,
                            format!("names the token {}, which special_tokens lacks", quoted(id)),
                        );
                    }
                } else {
                    let id = part.get("Sequence").and_then(|part| part.get("id"));
                    match id.and_then(Value::as_str) {
                        Some("A") => stands[0] += 1,
                        Some("B") => stands[1] += 1,
                        _ => return self.wrong(&field, "expected SpecialToken or Sequence A or B"),
                    }
                }
            }
            if stands != [1, sequences - 1] {
                return self.wrong(&field, "expected each text exactly once");
            }
        }
        Ok(())
    }
}

/// The value of a digit in base 64.
fn sextet(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

//! Patterns with named placeholders.

use std::collections::BTreeMap;

use super::fault;
use crate::document::Origin;
use crate::error::{Result, quoted};

/// The most texts that one pattern may be filled to.
const FILLED: usize = 1000;

/// A text with placeholders: `What is {subject}?`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Slot(String),
}

impl Pattern {
    /// Reads a pattern; `origin` is for errors.
    pub(super) fn read(pattern: &str, origin: &Origin) -> Result<Self> {
        let wrong = |what: &str| {
            Err(fault(
                origin,
                format!("{what} in the pattern {}", quoted(pattern)),
            ))
        };
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = pattern.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '{' | '}' if rest.peek() == Some(&character) => {
                    rest.next();
                    text.push(character);
                }
                '}' => return wrong("a \"}\" without a \"{\"; write \"}}\" for a brace,"),
                '{' => {
                    let (mut name, mut closed) = (String::new(), false);
                    for character in rest.by_ref() {
                        closed = character == '}';
                        if closed {
                            break;
                        }
                        name.push(character);
                    }
                    let letter = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
                    if !closed || name.is_empty() || !name.chars().all(letter) {
                        return wrong(
                            "a \"{\" without a name and a \"}\"; write \"{{\" for a brace,",
                        );
                    }
                    parts.push(Part::Text(std::mem::take(&mut text)));
                    parts.push(Part::Slot(name));
                }
                _ => text.push(character),
            }
        }
        parts.push(Part::Text(text));
        Ok(Self { parts })
    }

    /// The names of the placeholders in order.
    pub(super) fn slots(&self) -> Vec<&str> {
        let mut slots = Vec::new();
        for part in &self.parts {
            if let Part::Slot(name) = part {
                slots.push(name.as_str());
            }
        }
        slots
    }

    /// Every text that the pattern can be filled to, a placeholder that stands twice with the same value both times.
    ///
    /// The error is the name of a placeholder without a value.
    pub(super) fn fill(
        &self,
        values: &BTreeMap<&str, &[String]>,
    ) -> std::result::Result<Vec<String>, String> {
        let mut chosen: Vec<BTreeMap<&str, &str>> = vec![BTreeMap::new()];
        for slot in self.slots() {
            let texts = values
                .get(slot)
                .filter(|texts| !texts.is_empty())
                .ok_or_else(|| slot.to_string())?;
            if chosen[0].contains_key(slot) {
                continue;
            }
            let widened = chosen.iter().flat_map(|chosen| {
                texts.iter().map(|text| {
                    let mut chosen = chosen.clone();
                    chosen.insert(slot, text);
                    chosen
                })
            });
            chosen = widened.take(FILLED).collect();
        }
        Ok(chosen
            .iter()
            .map(|chosen| capitalized(&self.with(chosen)))
            .collect())
    }

    fn with(&self, chosen: &BTreeMap<&str, &str>) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Slot(name) => chosen[name.as_str()].to_string(),
        };
        self.parts.iter().map(text).collect()
    }
}

fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(rest).collect()
    })
}

/// What makes two questions the same: letters and digits in lower case, one space between words.
pub(super) fn normalized(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pattern: &str) -> std::result::Result<Vec<String>, String> {
        let subject = ["LoRA".to_string(), "an adapter".to_string()];
        let verb = ["train".to_string()];
        let values = BTreeMap::from([("subject", &subject[..]), ("verb", &verb[..])]);
        Pattern::read(pattern, &Origin::default())
            .unwrap()
            .fill(&values)
    }

    #[test]
    fn placeholders_are_filled_with_each_value() {
        let cases = [
            ("why?", vec!["Why?"]),
            ("{subject}?", vec!["LoRA?", "An adapter?"]),
            (
                "{verb} {subject}, {subject}",
                vec!["Train LoRA, LoRA", "Train an adapter, an adapter"],
            ),
            ("a {{b}} {verb}", vec!["A {b} train"]),
        ];
        for (pattern, expected) in cases {
            assert_eq!(filled(pattern).unwrap(), expected, "{pattern}");
        }
        assert_eq!(filled("{subject} and {other}"), Err("other".into()));
    }

    #[test]
    fn broken_patterns_are_refused() {
        for pattern in ["{", "{}", "{subject", "a } b", "{a b}"] {
            assert!(
                Pattern::read(pattern, &Origin::default()).is_err(),
                "{pattern}"
            );
        }
    }

    #[test]
    fn questions_are_the_same_without_case_and_punctuation() {
        assert_eq!(
            normalized("What is  the 'Top-K' sampler?"),
            normalized("what is the top k sampler")
        );
        assert_ne!(normalized("What is top-k?"), normalized("What is topk?"));
    }
}

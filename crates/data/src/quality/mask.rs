//! Masking whole rows.

use super::any::AnyExample;
use super::sensitive::Sensitive;
use crate::document::{Document, Value};
use crate::example::{Conversation, Label, ToolUse, Turn};

impl Sensitive {
    /// Masks the texts of a conversation, those of its fields among them. Returns how many places were masked.
    pub fn mask_conversation(&self, conversation: &mut Conversation) -> u64 {
        let turns = conversation.turns.iter_mut();
        let in_turns: u64 = turns.map(|turn| self.mask_turn(turn)).sum();
        let fields = conversation.fields.values_mut();
        let values = fields.chain(&mut conversation.tools);
        in_turns + values.map(|value| self.mask_value(value)).sum::<u64>()
    }

    fn mask_turn(&self, turn: &mut Turn) -> u64 {
        let said = self.mask_text(&mut turn.text);
        let thought = turn.thought.as_mut();
        let thought = thought.map_or(0, |thought| self.mask_text(thought));
        let ToolUse::Calls(calls) = &mut turn.tools else {
            return said + thought;
        };
        let arguments = calls.iter_mut().map(|call| &mut call.arguments);
        said + thought + arguments.map(|value| self.mask_value(value)).sum::<u64>()
    }

    /// Masks all texts of an example, a label among them. Returns how many places were masked.
    pub fn mask_example(&self, example: &mut AnyExample) -> u64 {
        match example {
            AnyExample::Chat(chat) => self.mask_conversation(chat),
            AnyExample::Label(labeled) => {
                let pair = labeled.pair.as_mut();
                let pair = pair.map_or(0, |pair| self.mask_text(pair));
                let label = match &mut labeled.label {
                    Label::Class(class) => self.mask_text(class),
                    Label::Classes(classes) => {
                        let mut masked = 0;
                        let written = std::mem::take(classes).into_iter();
                        classes.extend(written.map(|mut class| {
                            masked += self.mask_text(&mut class);
                            class
                        }));
                        masked
                    }
                    Label::Number(_) => 0,
                };
                self.mask_text(&mut labeled.text) + pair + label
            }
            AnyExample::Preference(preference) => {
                let turns = preference.prompt.iter_mut();
                let turns = turns
                    .chain(&mut preference.chosen)
                    .chain(&mut preference.rejected);
                let in_turns: u64 = turns.map(|turn| self.mask_turn(turn)).sum();
                let tools = preference.tools.iter_mut();
                in_turns + tools.map(|tool| self.mask_value(tool)).sum::<u64>()
            }
            AnyExample::Text(text) => self.mask_text(&mut text.text),
        }
    }

    /// Masks the text and all texts of the fields of a document. Returns how many places were masked.
    pub fn mask_document(&self, document: &mut Document) -> u64 {
        let fields = document.fields.values_mut();
        let in_fields: u64 = fields.map(|value| self.mask_value(value)).sum();
        in_fields + self.mask_text(&mut document.text)
    }

    fn mask_text(&self, text: &mut String) -> u64 {
        let (masked, findings) = self.mask(text);
        *text = masked;
        findings.len() as u64
    }

    fn mask_value(&self, value: &mut Value) -> u64 {
        match value {
            Value::String(text) => self.mask_text(text),
            Value::Array(items) => items.iter_mut().map(|item| self.mask_value(item)).sum(),
            Value::Object(fields) => fields
                .values_mut()
                .map(|field| self.mask_value(field))
                .sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }
}

//! A checkpoint's own chat template.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use minijinja::Value;
use minijinja::value::Serde;

use crate::document::Value as Json;
use crate::error::{DataError, Place, Result};
use crate::example::{Conversation, Role, Turn};
use crate::tokenizer::Tokenizer;

use super::clock::Clock;
use super::jinja::{Budget, Engine, is_space};
use super::learned::{end_of_turn, prefix, union};
use super::marks::{Marks, Rendered, Style};
use super::{Piece, Source, Template, turns};

/// The Jinja template that a checkpoint publishes, rendered byte for byte as transformers renders it.
///
/// What is learned: what stands in `{% generation %}`, if the template has such a tag; otherwise every answer with the
/// end of turn that the template writes after it, from where [`Template::render`] with `open` ends. A template that
/// rewrites earlier turns when another is added cannot be learned that way, and is refused unless only the last
/// answer is learned ([`Learn::Last`]).
///
/// Texts of the record stay texts: each is followed through the template, so that a `<|im_end|>` in a record can be
/// told from the template's own.
///
/// ```
/// use finetune_data::template::{ChatTemplate, Template};
/// use finetune_data::Conversation;
///
/// let template = ChatTemplate::new(
///     "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}\
///      {% if add_generation_prompt %}<|assistant|>{% endif %}",
/// )?;
/// let pieces = template.render(&Conversation::pair("Why?", "So."), false)?;
/// let learned: String = pieces.iter().filter(|piece| piece.learn).map(|piece| piece.text.as_str()).collect();
/// assert_eq!(learned, "So.<|end|>");
/// assert_eq!(template.ends_with(), Some("<|end|>"));
/// # Ok::<(), finetune_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    engine: Engine,
    variables: BTreeMap<String, Value>,
    learn: Learn,
    probe: OnceLock<Probe>,
}

/// Which answers of a conversation are learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Learn {
    /// All of them.
    #[default]
    Every,
    /// The last one.
    Last,
}

/// What a render of two plain turns shows of a template.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Probe {
    /// The end of an answer's turn, unless it could not be found out.
    end: Option<String>,
    /// Why no conversation should be rendered with this template.
    fault: Option<String>,
}

impl ChatTemplate {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// [`DataError::TemplateSyntax`], or [`DataError::TemplateLimit`] if the source is longer than 256 KiB.
    pub fn new(source: &str) -> Result<Self> {
        Self::named("chat_template", source)
    }

    /// The chat template of a tokenizer, with its special tokens as variables (`bos_token`, `eos_token`, …).
    ///
    /// # Errors
    ///
    /// [`DataError::NoTemplate`] if the tokenizer has none, or several and none of them named `default`; and the
    /// errors of [`ChatTemplate::new`].
    pub fn of(tokenizer: &Tokenizer) -> Result<Self> {
        let (name, source) = tokenizer.default_chat_template()?;
        let mut template = Self::named(&name, source)?;
        for (name, token) in tokenizer.special_tokens() {
            template = template.variable(name, token);
        }
        Ok(template)
    }

    fn named(name: &str, source: &str) -> Result<Self> {
        Ok(Self {
            engine: Engine::compile(name, source, &Clock::default())?,
            variables: BTreeMap::from([
                ("tools".to_owned(), Value::from(())),
                ("documents".to_owned(), Value::from(())),
            ]),
            learn: Learn::default(),
            probe: OnceLock::new(),
        })
    }

    /// Sets a variable of the template: `bos_token`, or a switch such as `enable_thinking`.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        let value = Value::from(Serde(value.into()));
        self.variables.insert(name.into(), value);
        self.probe = OnceLock::new();
        self
    }

    /// Sets the clock that `strftime_now` reads; the system's is the default.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.engine.set_clock(clock);
        self
    }

    /// Sets which answers are learned; all is the default.
    pub fn learn(mut self, learn: Learn) -> Self {
        self.learn = learn;
        self
    }

    /// Whether the template says itself what is learned, with `{% generation %}`.
    pub fn has_generation(&self) -> bool {
        self.engine.has_generation
    }

    /// Renders messages in the `OpenAI` form, with whatever keys they have, as
    /// `apply_chat_template(messages, add_generation_prompt=open, tokenize=False)` does: keys whose value is null are
    /// dropped, and a message's reasoning is found under each of the names that templates use for it.
    ///
    /// # Errors
    ///
    /// What the template raises, what it does wrong, or the limit that it passes.
    pub fn text(&self, messages: &[Json], open: bool) -> Result<String> {
        let bytes = messages.iter().map(size).sum();
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| Value::from(Serde(normalized(message))))
            .collect();
        let budget = Budget::of(messages.len(), bytes);
        let variables = self.variables(Value::from(messages), open);
        self.engine
            .render(&variables, None, budget, &Place::default())
    }

    fn variables(&self, messages: Value, open: bool) -> BTreeMap<String, Value> {
        let mut variables = self.variables.clone();
        variables.insert("messages".to_owned(), messages);
        variables.insert("add_generation_prompt".to_owned(), Value::from(open));
        variables
    }

    fn run<'a>(
        &self,
        turns: impl Iterator<Item = (Role, std::borrow::Cow<'a, str>)>,
        marks: &Marks,
        open: bool,
        place: &Place,
    ) -> Result<String> {
        let mut bytes = 0;
        let messages: Vec<Value> = turns
            .map(|(role, text)| {
                bytes += text.len();
                Value::from_pairs([("role", role.name()), ("content", &text)])
            })
            .collect();
        let budget = Budget::of(messages.len(), bytes);
        let variables = self.variables(Value::from(messages), open);
        self.engine
            .render(&variables, Some(marks.generation), budget, place)
    }

    /// The render of these turns as it is, without following their texts.
    fn bare(&self, turns: &[Turn], marks: &Marks, open: bool, place: &Place) -> Result<Rendered> {
        let plain = turns
            .iter()
            .map(|turn| (turn.role, turn.text.as_str().into()));
        Ok(marks.read(&self.run(plain, marks, open, place)?, turns.len()))
    }

    /// The render of these turns with marks around their texts, if the template renders the same with them.
    fn followed(
        &self,
        turns: &[Turn],
        styles: &[Style],
        marks: &Marks,
        open: bool,
        place: &Place,
    ) -> Option<Rendered> {
        let handled = &self.engine.handled;
        let marked = turns.iter().zip(styles).enumerate();
        let marked = marked.map(|(number, (turn, style))| {
            let text = marks.mark(&turn.text, number, *style, handled);
            (turn.role, text.into())
        });
        let rendered = self.run(marked, marks, open, place).ok()?;
        Some(marks.read(&rendered, turns.len()))
    }

    /// The render of these turns, with the place of every text.
    fn rendered(
        &self,
        turns: &[Turn],
        marks: &Marks,
        open: bool,
        place: &Place,
    ) -> Result<Rendered> {
        let mut bare = self.bare(turns, marks, open, place)?;
        let mut styles = vec![Style::Whole; turns.len()];
        let mut torn = vec![true; turns.len()];
        if let Some(followed) = self.followed(turns, &styles, marks, open, place)
            && followed.text == bare.text
        {
            if !followed.torn.contains(&true) {
                bare.texts = followed.texts;
                return Ok(bare);
            }
            torn = followed.torn;
        }
        // The template takes some of the texts apart. Follow their parts, if it is at strings that it looks for.
        for (number, turn) in turns.iter().enumerate() {
            let mut handled = self.engine.handled.iter();
            if torn[number] && handled.any(|string| turn.text.contains(string.as_str())) {
                styles[number] = Style::Parts;
            }
        }
        if styles.contains(&Style::Parts)
            && let Some(followed) = self.followed(turns, &styles, marks, open, place)
            && followed.text == bare.text
            && !followed.torn.contains(&true)
        {
            bare.texts = followed.texts;
            return Ok(bare);
        }
        if turns.iter().all(|turn| harmless(&turn.text)) {
            return Ok(bare);
        }
        Err(DataError::TemplateCheck {
            name: self.engine.name().to_owned(),
            message: format!(
                "at {place} it renders the texts so changed that its own control tokens cannot be told from theirs; \
                 remove markup such as <…> from the record, or correct the template"
            ),
        })
    }

    /// What is learned of a whole render, for a template that does not say so.
    fn derived(
        &self,
        turns: &[Turn],
        whole: &Rendered,
        marks: &Marks,
        place: &Place,
    ) -> Result<Vec<Range<usize>>> {
        let name = self.engine.name();
        let mut answers: Vec<usize> = (0..turns.len())
            .filter(|&number| turns[number].role == Role::Assistant)
            .collect();
        if self.learn == Learn::Last {
            answers.drain(..answers.len().saturating_sub(1));
        }
        let mut spans = Vec::with_capacity(answers.len());
        for number in answers {
            let stands = whole.texts[number].last();
            let start = if number == 0 {
                stands.map_or(0, |span| span.start)
            } else {
                let before = self.bare(&turns[..number], marks, true, place)?.text;
                prefix(name, number, &before, &whole.text)?;
                before.len()
            };
            let text_end = stands.map_or(start, |span| span.end.max(start));
            let tail = &whole.text[text_end..];
            let end = match self.probe().end.as_deref() {
                // A text that could not be followed ends nobody knows where.
                Some(end) if stands.is_some() && tail.starts_with(end) => end.len(),
                _ => self.end(turns, number, &whole.text, text_end, marks, place)?,
            };
            spans.push(start..text_end + end);
        }
        Ok(spans)
    }

    /// The length of the end of turn after an answer, from what the template renders up to there.
    fn end(
        &self,
        turns: &[Turn],
        number: usize,
        whole: &str,
        text_end: usize,
        marks: &Marks,
        place: &Place,
    ) -> Result<usize> {
        let upto = &turns[..=number];
        let closed = self.bare(upto, marks, false, place)?.text;
        prefix(
            self.engine.name(),
            upto.len(),
            closed.get(..text_end).unwrap_or(&closed),
            whole,
        )?;
        let mut tails = vec![&whole[text_end..], closed.get(text_end..).unwrap_or("")];
        let opened = self
            .bare(upto, marks, true, place)
            .map(|opened| opened.text);
        if let Ok(opened) = &opened {
            tails.extend(opened.get(text_end..));
        }
        Ok(end_of_turn(&tails).len())
    }

    fn probe(&self) -> &Probe {
        self.probe.get_or_init(|| self.look().unwrap_or_default())
    }

    /// Renders two exchanges of plain words to see what the template does with them. `None` if it refuses them.
    fn look(&self) -> Option<Probe> {
        let texts = [
            "first question",
            "first answer",
            "second question",
            "second answer",
        ];
        let roles = [Role::User, Role::Assistant];
        let turns: Vec<Turn> = texts
            .iter()
            .zip(roles.iter().cycle())
            .map(|(text, role)| Turn::new(*role, *text))
            .collect();
        let marks = Marks::unused(texts)?;
        let place = Place::default();
        let styles = [Style::Whole; 4];
        let follow = |count: usize, open: bool| {
            self.followed(&turns[..count], &styles[..count], &marks, open, &place)
        };
        let one = follow(2, false)?;
        let fault = (0..2)
            .find(|&number| one.texts[number].len() != 1)
            .map(|number| {
                format!(
                    "it writes the text of the {}'s turn {} times; expected once",
                    roles[number],
                    one.texts[number].len()
                )
            });
        if fault.is_some() {
            return Some(Probe { end: None, fault });
        }
        let text_end = one.texts[1][0].end;
        if let Some(span) = one.generation.iter().find(|span| span.end >= text_end) {
            let end = one.text[text_end..span.end].trim_end_matches(is_space);
            return Some(Probe {
                end: Some(end.to_owned()),
                fault: None,
            });
        }
        let (two, opened) = (follow(4, false), follow(2, true));
        let mut tails = vec![&one.text[text_end..]];
        if let Some(two) = &two {
            let end = two.texts[1].last()?.end;
            let next = two.texts[2].first()?.start;
            tails.push(two.text.get(end..next)?);
        }
        if let Some(opened) = &opened {
            tails.push(&opened.text[opened.texts[1].last()?.end..]);
        }
        Some(Probe {
            end: Some(end_of_turn(&tails).to_owned()),
            fault: None,
        })
    }

    fn generation(&self, turns: &[Turn], whole: &Rendered) -> Vec<Range<usize>> {
        let spans = union(whole.generation.clone());
        if self.learn == Learn::Every {
            return spans;
        }
        // What follows the last text that is not an answer.
        let asked = turns.iter().rposition(|turn| turn.role != Role::Assistant);
        let from = asked.and_then(|number| whole.texts[number].last());
        let from = from.map_or(0, |span| span.end);
        spans
            .into_iter()
            .filter(|span| span.start >= from)
            .collect()
    }
}

impl Template for ChatTemplate {
    fn render(&self, conversation: &Conversation, open: bool) -> Result<Vec<Piece>> {
        if let Some(fault) = &self.probe().fault {
            return Err(DataError::TemplateCheck {
                name: self.engine.name().to_owned(),
                message: fault.clone(),
            });
        }
        let turns = turns(conversation, open)?;
        let place = Place::from(&conversation.origin);
        let texts = turns.iter().map(|turn| turn.text.as_str());
        let marks = Marks::unused(texts).ok_or_else(|| DataError::TemplateCheck {
            name: self.engine.name().to_owned(),
            message: format!(
                "at {place} the texts hold nearly all of U+FDD0 to U+FDEF, which mark texts"
            ),
        })?;
        let whole = self.rendered(turns, &marks, open, &place)?;
        let learned = if open {
            Vec::new()
        } else if self.engine.has_generation {
            self.generation(turns, &whole)
        } else {
            union(self.derived(turns, &whole, &marks, &place)?)
        };
        let texts = union(whole.texts.into_iter().flatten().collect());
        Ok(pieces(&whole.text, &learned, &texts))
    }

    fn ends_with(&self) -> Option<&str> {
        let end = self.probe().end.as_deref()?;
        (!end.is_empty()).then_some(end)
    }
}

/// Cuts a text at the borders of both lists of spans.
fn pieces(text: &str, learned: &[Range<usize>], texts: &[Range<usize>]) -> Vec<Piece> {
    let borders = |spans: &[Range<usize>]| {
        let list = spans.iter().flat_map(|span| [span.start, span.end]);
        list.collect::<Vec<_>>()
    };
    let mut places = [vec![0, text.len()], borders(learned), borders(texts)].concat();
    places.sort_unstable();
    places.dedup();
    let inside = |spans: &[Range<usize>], place: usize| {
        let next = spans.partition_point(|span| span.end <= place);
        spans.get(next).is_some_and(|span| span.start <= place)
    };
    places
        .windows(2)
        .map(|place| Piece {
            text: text[place[0]..place[1]].to_owned(),
            learn: inside(learned, place[0]),
            source: if inside(texts, place[0]) {
                Source::Text
            } else {
                Source::Template
            },
        })
        .collect()
}

/// Whether a text has none of the characters that control tokens are made of.
fn harmless(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_alphanumeric() || is_space(c) || ".,;:!?'\"()-%$&+*/=".contains(c))
}

/// A message as transformers hands it to the template.
fn normalized(message: &Json) -> Json {
    let Json::Object(message) = message else {
        return message.clone();
    };
    let mut message: serde_json::Map<String, Json> = message
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let names = ["reasoning_content", "thinking", "reasoning"];
    if let Some(reasoning) = names.iter().find_map(|name| message.get(*name)).cloned() {
        message
            .entry("thinking")
            .or_insert_with(|| reasoning.clone());
        message.insert("reasoning_content".to_owned(), reasoning);
    }
    Json::Object(message)
}

/// The bytes of the texts in a value.
fn size(value: &Json) -> usize {
    match value {
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(size).sum(),
        Json::Object(entries) => entries
            .iter()
            .map(|(key, value)| key.len() + size(value))
            .sum(),
        _ => 8,
    }
}

//! Messages: single ones and mailboxes.

mod mailbox;
mod quotes;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mail_parser::{
    Address, HeaderName, HeaderValue, Message, MessageParser, MimeHeaders, PartType,
};
use serde_json::Value;

use super::guard::guarded;
use super::html::{Content, Html};
use super::lines::{Lines, records};
use super::packing::Packing;
use super::sniff::Format;
use super::source::{RECORD_LIMIT, Source};
use super::text::unix_lines;
use super::whole::checked;
use crate::document::{
    Document, Documents, Fields, Load, Origin, PlaceUnit, Read, Record, Records, documents,
};
use crate::error::{DataError, Place, Result};

const TIME_LIMIT: Duration = Duration::from_secs(9);
/// How many messages may be inside of one another, or beside one another inside of one.
const NESTED_LIMIT: usize = 500;

/// Loads `.eml` files, a message each, and `.mbox` files, a document per message, read one after the other.
///
/// The text is the plain text that the message holds; where there is none, that of its HTML, as Markdown. Attachments
/// are named in `attachments` and not opened, messages inside of the message included.
///
/// Quoted messages and signatures stay: what is an answer and what it answers to belong together, and there is no
/// certain sign of a quotation. [`Quotes::LeftOut`] takes out what looks like them; `left_out` then counts the lines.
///
/// Fields, where the message has them: `subject`, `author`, `to` and `cc` (`Name <address>`; a list if there are
/// several), `date` (with its zone), `id`, `in_reply_to`, `language`, `attachments`, and `encoding_problem` if some
/// bytes are not valid in the encoding that the message names: they stand as U+FFFD in the text.
///
/// Mailboxes are split at lines `From … hh:mm … yyyy`; in them `>From` at the beginning of a line is `From`. A message
/// may have 16 MiB, its attachments included, and 500 messages inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mail {
    quotes: Quotes,
}

/// What becomes of quoted messages and signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quotes {
    /// They stay in the text.
    #[default]
    Kept,
    /// Lines that begin with `>`, the line above that says who wrote them, all below a line such as
    /// `-----Original Message-----`, and the signature below a line `-- ` are left out, and counted.
    LeftOut,
}

impl Mail {
    /// What becomes of quoted messages and signatures.
    pub fn quotes(mut self, quotes: Quotes) -> Self {
        self.quotes = quotes;
        self
    }

    fn read(self, raw: &[u8], place: &Place) -> Result<Document> {
        let nested = nested(raw);
        if nested > NESTED_LIMIT {
            return Err(DataError::TooDeep {
                place: place.clone(),
                limit: NESTED_LIMIT,
            });
        }
        let (raw, at) = (raw.to_vec(), place.clone());
        guarded(place, "message", TIME_LIMIT, move || {
            self.document(&raw, &at)
        })
    }

    fn document(self, raw: &[u8], place: &Place) -> Result<Document> {
        let message = MessageParser::default().parse(raw);
        let message = message
            .filter(|message| begins_with_header(raw) && has_headers(message))
            .ok_or_else(|| DataError::Broken {
                place: place.clone(),
                format: "message",
                message: "it has no header".into(),
                hint: "A message begins with lines such as \"Subject: …\"",
            })?;
        let mut fields = fields(&message);
        let mut text = body(&message, place)?;
        let problem = message.parts.iter().any(|part| part.is_encoding_problem);
        if problem || text.contains(char::REPLACEMENT_CHARACTER) {
            fields.insert("encoding_problem".into(), true.into());
        }
        if self.quotes == Quotes::LeftOut {
            let (kept, left_out) = quotes::leave_out(&text);
            text = kept;
            if left_out > 0 {
                fields.insert("left_out".into(), left_out.into());
            }
        }
        Ok(Document {
            text,
            fields,
            origin: Origin::of(&place.path, place.unit, place.line),
        })
    }
}

impl Load for Mail {
    fn extensions(&self) -> &[&str] {
        &["eml", "mbox"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let mail = *self;
        let stem = Packing::stem(path);
        if stem
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("mbox"))
        {
            let read: Read =
                Arc::new(move |raw: &[u8], place: &Place| mail.read(&mailbox::message(raw), place));
            let source = Source::bytes(path, |_| Ok(()))?;
            return Ok(records(mailbox::Mailbox::new(Lines::new(source), read)));
        }
        let raw = checked(path, Format::Message, RECORD_LIMIT as u64)?;
        if raw.trim_ascii().is_empty() {
            return Ok(Box::new(std::iter::once(Ok(Record::blank()))));
        }
        let read: Read = Arc::new(move |raw: &[u8], place: &Place| mail.read(raw, place));
        let place = Place::of(path, PlaceUnit::Message, 1);
        Ok(Box::new(std::iter::once(Ok(Record::later(
            raw, place, read,
        )))))
    }
}

/// How many messages or lists of parts are said to be inside. The parser's tree of them is taken down by recursion.
fn nested(raw: &[u8]) -> usize {
    let is = |window: &[u8], name: &[u8]| window.eq_ignore_ascii_case(name);
    raw.windows(10)
        .filter(|window| {
            is(window, b"message/rf") || is(window, b"multipart/") || is(window, b"message/gl")
        })
        .count()
}

/// Whether the first line may be one of a header: a name of letters, digits and marks such as `-`, and a colon.
///
/// RFC 5322, 3.6.8, allows any ASCII character but spaces and the colon in a name; no header that is in use has brackets
/// or quotes. Some messages begin with the line of a mailbox.
fn begins_with_header(raw: &[u8]) -> bool {
    let line = raw.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let marks = b"!#$%&'*+-./^_`|~";
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || marks.contains(byte);
    let name = line.iter().take_while(|byte| in_name(byte)).count();
    let behind = line[name..].trim_ascii_start();
    (name > 0 && behind.starts_with(b":"))
        || line.starts_with(b"From ")
        || line.starts_with(b">From ")
}

fn has_headers(message: &Message<'_>) -> bool {
    message
        .headers()
        .iter()
        .any(|header| !matches!(header.value, HeaderValue::Empty))
}

fn fields(message: &Message<'_>) -> Fields {
    let mut fields = Fields::new();
    let mut add = |name: &str, value: Option<Value>| {
        fields.extend(value.map(|value| (name.to_string(), value)));
    };
    let text = |text: &str| {
        let text = text.trim();
        (!text.is_empty()).then(|| Value::from(text))
    };
    add("subject", message.subject().and_then(text));
    add(
        "author",
        message.from().or_else(|| message.sender()).and_then(people),
    );
    add("to", message.to().and_then(people));
    add("cc", message.cc().and_then(people));
    let date = message.date().filter(|date| date.is_valid());
    add("date", date.map(|date| date.to_rfc3339().into()));
    add("id", message.message_id().and_then(text));
    add("in_reply_to", texts(message.in_reply_to()));
    let language = message.header(HeaderName::ContentLanguage);
    add("language", language.and_then(texts));
    let attachments: Vec<Value> = message.attachments().map(attachment).collect();
    add(
        "attachments",
        (!attachments.is_empty()).then(|| attachments.into()),
    );
    fields
}

/// The name of an attachment; that of its type if it has none.
fn attachment(part: &mail_parser::MessagePart<'_>) -> Value {
    if let Some(name) = part.attachment_name() {
        return name.into();
    }
    if let Some(subject) = part.message().and_then(Message::subject) {
        return subject.into();
    }
    let kind = part
        .content_type()
        .map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("*")));
    kind.unwrap_or_else(|| "an attachment".into()).into()
}

/// `Name <address>` of each, as a list if there are several.
fn people(address: &Address<'_>) -> Option<Value> {
    let people = address.iter().filter_map(|person| {
        let name = person
            .name
            .as_deref()
            .map(str::trim)
            .filter(|name| !name.is_empty());
        match (name, person.address.as_deref()) {
            (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
            (name, address) => name.or(address).map(str::to_owned),
        }
    });
    one_or_list(people.map(Value::from).collect())
}

fn texts(value: &HeaderValue<'_>) -> Option<Value> {
    let texts = value.as_text().map(|text| vec![text.into()]);
    let texts = texts.or_else(|| {
        Some(
            value
                .as_text_list()?
                .iter()
                .map(|text| text.as_ref().into())
                .collect(),
        )
    });
    one_or_list(texts.unwrap_or_default())
}

fn one_or_list(mut values: Vec<Value>) -> Option<Value> {
    match values.len() {
        0 => None,
        1 => values.pop(),
        _ => Some(values.into()),
    }
}

/// The texts of a message, one after the other.
fn body(message: &Message<'_>, place: &Place) -> Result<String> {
    let mut texts = Vec::new();
    for part in message.text_bodies() {
        let text = match &part.body {
            PartType::Text(text) => unix_lines(text)
                .trim_end()
                .trim_start_matches('\n')
                .to_string(),
            PartType::Html(html) => {
                let page = Html::default().content(Content::Whole);
                page.read(html.to_string(), None, &place.path)?.text
            }
            _ => continue,
        };
        if !text.is_empty() {
            texts.push(text);
        }
    }
    Ok(texts.join("\n\n"))
}

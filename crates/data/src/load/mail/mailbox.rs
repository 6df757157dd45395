//! Mailboxes: many messages in one file, each below a line `From …`.
//!
//! Split here and not by `mail_parser`, whose reader holds a message of any length, and does not tell where it began.

use crate::document::PlaceUnit;
use crate::document::{Raw, Read, Record};
use crate::error::{DataError, Place, Result};
use crate::load::lines::{Cut, Line, Lines};
use crate::load::source::Source;
use crate::load::text::too_long;

/// Splits a file into messages.
pub(super) struct Mailbox {
    lines: Lines,
    /// The line `From …` of the next message.
    next: Option<Line>,
    count: u64,
    read: Read,
}

impl Mailbox {
    pub(super) fn new(lines: Lines, read: Read) -> Self {
        Self {
            lines,
            next: None,
            count: 0,
            read,
        }
    }
}

impl Cut for Mailbox {
    fn cut(&mut self) -> Result<Option<Record>> {
        let mut message = self.next.take();
        while message.is_none() {
            match self.lines.next()? {
                None => return Ok(None),
                Some(line) if line.blank => {}
                Some(line) if begins(line.raw.bytes()) => message = Some(line),
                Some(_) => return Err(self.no_mailbox()),
            }
        }
        let Some(mut message) = message else {
            return Ok(None);
        };
        while let Some(line) = self.lines.next()? {
            if begins(line.raw.bytes()) {
                self.next = Some(line);
                break;
            }
            message.append(line);
        }
        self.count += 1;
        let place = Place::of(self.lines.source.path(), PlaceUnit::Message, self.count);
        Ok(Some(match message.raw {
            Raw::Bytes(raw) => Record::later(raw, place, self.read.clone()),
            raw => Record::broken(raw, too_long(place, "message")),
        }))
    }

    fn source(&self) -> &Source {
        &self.lines.source
    }
}

impl Mailbox {
    fn no_mailbox(&self) -> DataError {
        DataError::WrongFormat {
            place: Place::file(self.lines.source.path()),
            found: "other data",
            expected: "a mailbox, whose first line is \"From …\"",
            hint: "A single message is to be named .eml".into(),
        }
    }
}

/// Whether a line is the one above a message: `From sender Tue Mar 5 08:09:10 2024`.
///
/// The time and the year are asked for, since not every program quotes lines of a text that begin with `From `.
fn begins(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else {
        return false;
    };
    let digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
    let time = rest
        .windows(5)
        .any(|w| w[2] == b':' && digits(&w[..2]) && digits(&w[3..]));
    let year = rest
        .split(|byte| !byte.is_ascii_alphanumeric())
        .any(|word| word.len() == 4 && digits(word));
    time && year
}

/// The bytes of a message: without the line above it, and one `>` less before each quoted `From `.
pub(super) fn message(raw: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(raw.len());
    for line in raw.split_inclusive(|byte| *byte == b'\n').skip(1) {
        let marks = line.iter().take_while(|byte| **byte == b'>').count();
        let quoted = marks > 0 && line[marks..].starts_with(b"From ");
        message.extend_from_slice(&line[usize::from(quoted)..]);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_above_messages_are_told_from_texts() {
        let cases = [
            ("From ada@example.org Tue Mar  5 08:09:10 2024\n", true),
            ("From MAILER-DAEMON Tue Mar 5 08:09 2024 +0100\r\n", true),
            ("From here on everything is better.\n", false),
            ("From 2024 on.\n", false),
            (">From a Tue Mar 5 08:09:10 2024\n", false),
            ("From: a Tue Mar 5 08:09:10 2024\n", false),
            ("From ", false),
        ];
        for (line, expected) in cases {
            assert_eq!(begins(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn quoted_lines_lose_one_mark() {
        let raw = b"From a\nSubject: x\n\n>From b\n>>From c\n> From d\nFrom e\n>From";
        assert_eq!(
            message(raw),
            b"Subject: x\n\nFrom b\n>From c\n> From d\nFrom e\n>From"
        );
    }
}

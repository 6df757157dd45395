//! Places in files, and untrusted text in messages.

use std::fmt;
use std::path::Path;

use crate::document::{Origin, PlaceUnit, SharedPath};

/// How many characters of untrusted text an error shows.
const SHOWN: usize = 200;

/// A place in a file: the whole file, a line of it, or a column of a line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Place {
    /// The file; empty if the text came from no file.
    pub path: SharedPath,
    /// Line (or row, page or whatever `unit` says) from 1; 0 means the whole file.
    pub line: u64,
    /// Column from 1, in characters; 0 means the whole line.
    pub column: u64,
    /// What `line` counts.
    pub unit: PlaceUnit,
}

impl Place {
    /// The whole file.
    pub fn file(path: impl Into<SharedPath>) -> Self {
        Self::at(path, 0, 0)
    }

    /// A column of a line, both from 1.
    pub fn at(path: impl Into<SharedPath>, line: u64, column: u64) -> Self {
        Self {
            path: path.into(),
            line,
            column,
            unit: PlaceUnit::Line,
        }
    }

    /// A page, row or other place of a file, from 1.
    pub fn of(path: impl Into<SharedPath>, unit: PlaceUnit, place: u64) -> Self {
        Self {
            path: path.into(),
            line: place,
            column: 0,
            unit,
        }
    }
}

impl From<&Origin> for Place {
    fn from(origin: &Origin) -> Self {
        Self {
            path: origin.path.clone(),
            line: origin.place,
            column: 0,
            unit: origin.unit,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_path(&self.path, f)?;
        match (self.unit, self.line) {
            (_, 0) => {}
            (PlaceUnit::Line, line) => write!(f, ":{line}")?,
            (unit, place) => write!(f, ", {} {place}", unit.name())?,
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// Writes a path with control characters escaped, so that a file's name cannot forge lines of a log.
fn show_path(path: &Path, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use fmt::Write as _;

    if path.as_os_str().is_empty() {
        return f.write_str("input");
    }
    for character in path.to_string_lossy().chars() {
        if character.is_control() {
            write!(f, "{}", character.escape_default())?;
        } else {
            f.write_char(character)?;
        }
    }
    Ok(())
}

/// Untrusted text for a message: in quotes, escaped, and cut to 200 characters.
pub fn quoted(text: &str) -> String {
    let shown = escaped(text);
    format!("\"{}\"", shown.replace('"', "\\\""))
}

/// Untrusted text for a message: escaped, and cut to 200 characters.
pub fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        match character {
            _ if count == SHOWN => {
                shown.push('…');
                break;
            }
            '"' | '\'' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_text_is_escaped_and_cut() {
        assert_eq!(quoted("a\n\u{1b}[31m\"b"), "\"a\\n\\u{1b}[31m\\\"b\"");
        assert_eq!(quoted(&"é".repeat(500)).chars().count(), 203);
    }

    #[test]
    fn a_place_shows_what_it_knows() {
        assert_eq!(Place::at("a.jsonl", 37, 14).to_string(), "a.jsonl:37:14");
        assert_eq!(Place::at("a.jsonl", 37, 0).to_string(), "a.jsonl:37");
        let page = Place::of("a.pdf", PlaceUnit::Page, 3);
        assert_eq!(page.to_string(), "a.pdf, page 3");
        assert_eq!(Place::file("a\nb").to_string(), "a\\nb");
        assert_eq!(Place::default().to_string(), "input");
    }
}

//! SRT and `WebVTT`, which are cues of lines below a line with an arrow.

use std::path::Path;

use super::cue::{Cue, Item, Line, Piece};
use super::tags;
use crate::error::{DataError, Place, quoted};

const ARROW: &str = "-->";

/// The cues of an SRT file.
pub(super) fn srt(text: &str, path: &Path) -> Vec<Item> {
    Blocks::of(text, path, false).items()
}

/// The cues of a `WebVTT` file; its notes, styles and regions are passed over.
pub(super) fn vtt(text: &str, path: &Path) -> Vec<Item> {
    Blocks::of(text, path, true).items()
}

/// The language that the header of a `WebVTT` file says.
pub(super) fn header(text: &str, path: &Path) -> Result<Option<String>, DataError> {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let rest = first.strip_prefix("WEBVTT");
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return Err(DataError::Broken {
            place: Place::at(path, 1, 0),
            format: "WebVTT",
            message: format!("it begins with {}; expected WEBVTT", quoted(first)),
            hint: "If it is SRT, rename it to .srt",
        });
    }
    let header = lines.take_while(|line| !line.is_empty() && !line.contains(ARROW));
    let mut languages = header.filter_map(|line| line.strip_prefix("Language:"));
    Ok(languages.next().map(|code| code.trim().to_owned()))
}

struct Blocks<'a> {
    lines: Vec<&'a str>,
    path: &'a Path,
    vtt: bool,
    /// The lines with arrows.
    arrows: Vec<usize>,
    /// The first cue has a number, and so they all do.
    numbered: bool,
}

impl<'a> Blocks<'a> {
    fn of(text: &'a str, path: &'a Path, vtt: bool) -> Self {
        let lines: Vec<&str> = text.split('\n').collect();
        let arrows: Vec<usize> = (0..lines.len())
            .filter(|at| lines[*at].contains(ARROW))
            .collect();
        let first = arrows.first().and_then(|at| at.checked_sub(1));
        let numbered = first.is_some_and(|at| is_number(lines[at]));
        Self {
            lines,
            path,
            vtt,
            arrows,
            numbered,
        }
    }

    fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        let begin = self
            .arrows
            .first()
            .map_or(self.lines.len(), |first| self.head(*first, 0));
        let stray = self.lines[..begin]
            .iter()
            .position(|line| !line.trim().is_empty());
        if let Some(stray) = stray.filter(|_| !self.vtt) {
            let found = format!("found {} before the first cue", quoted(self.lines[stray]));
            items.push(Err(self.broken(stray, found)));
        }
        for (index, at) in self.arrows.iter().enumerate() {
            let next = self.arrows.get(index + 1);
            let end = next.map_or(self.lines.len(), |next| self.head(*next, at + 1));
            items.push(self.cue(*at, end));
        }
        items
    }

    /// The first line of the cue whose arrow is on a line: that one, or the number or name above it.
    fn head(&self, arrow: usize, from: usize) -> usize {
        let Some(above) = arrow.checked_sub(1).filter(|above| *above >= from) else {
            return arrow;
        };
        let free = above == from || self.lines[above - 1].trim().is_empty();
        let name = if self.vtt {
            free && !self.lines[above].trim().is_empty()
        } else {
            is_number(self.lines[above]) && (free || self.numbered)
        };
        if name { above } else { arrow }
    }

    fn cue(&self, at: usize, end: usize) -> Item {
        let Some((start, stop)) = times(self.lines[at]) else {
            let found = format!("found {} as times", quoted(self.lines[at].trim()));
            return Err(self.broken(at, found));
        };
        let mut body = &self.lines[at + 1..end];
        if self.vtt {
            // What stands below the empty line is a note or a style; a line of spaces is one of the cue.
            let blank = body.iter().position(|line| line.is_empty());
            body = &body[..blank.unwrap_or(body.len())];
        }
        let lines = if self.vtt {
            tags::vtt(&body.join("\n"))
        } else {
            body.iter().map(|line| plain(line)).collect()
        };
        let cue = Cue {
            place: at as u64 + 1,
            start,
            end: stop.max(start),
            lines,
        };
        Ok(cue.tidy())
    }

    fn broken(&self, line: usize, message: String) -> DataError {
        DataError::Broken {
            place: Place::at(self.path, line as u64 + 1, 0),
            format: "subtitles",
            message,
            hint: "A cue begins with its times, such as 00:01:02,500 --> 00:01:04,000",
        }
    }
}

fn plain(line: &str) -> Line {
    Line {
        speaker: None,
        pieces: vec![Piece {
            start: None,
            text: tags::srt(line),
        }],
    }
}

fn is_number(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())
}

/// The times around an arrow.
fn times(line: &str) -> Option<(u64, u64)> {
    let (start, rest) = line.split_once(ARROW)?;
    // Behind the end there may be settings.
    let end = rest.split_whitespace().next()?;
    Some((time(start.trim())?, time(end)?))
}

/// `01:02:03,400`, `02:03.4` or `02:03`, in milliseconds.
pub(super) fn time(text: &str) -> Option<u64> {
    let (clock, fraction) = match text.split_once([',', '.']) {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let number = |digits: &str, most: usize| {
        let good =
            (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| good)
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes, seconds] => (number(hours, 6)?, number(minutes, 2)?, number(seconds, 2)?),
        [minutes, seconds] => (0, number(minutes, 2)?, number(seconds, 2)?),
        _ => return None,
    };
    let milliseconds = match fraction {
        Some(digits) => number(digits, 3)? * [100, 10, 1][digits.len() - 1],
        None => 0,
    };
    let good = minutes < 60 && seconds < 60;
    good.then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_or_refused() {
        let cases = [
            ("00:00:01,500", Some(1500)),
            ("00:00:01.5", Some(1500)),
            ("1:02:03,04", Some(3_723_040)),
            ("02:03.400", Some(123_400)),
            ("02:03", Some(123_000)),
            ("100:00:00.000", Some(360_000_000)),
            ("99:99:99,000", None),
            ("-00:00:01,000", None),
            ("00:00:01,1234", None),
            ("99999999999999999999:00:00,000", None),
            ("00:00:0１,000", None),
            ("1", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(time(text), expected, "{text}");
        }
    }
}

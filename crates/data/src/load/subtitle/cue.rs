//! Cues: what is shown at once.

use crate::error::DataError;

/// A cue, or what is wrong with it.
pub(super) type Item = Result<Cue, DataError>;

/// What is shown at once. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cue {
    pub(super) place: u64,
    pub(super) start: u64,
    /// Not before the start.
    pub(super) end: u64,
    pub(super) lines: Vec<Line>,
}

/// A line, or the part of one that a speaker says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    pub(super) speaker: Option<String>,
    pub(super) pieces: Vec<Piece>,
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// When it is said, if the file tells.
    pub(super) start: Option<u64>,
    pub(super) text: String,
}

impl Line {
    /// The line with the white space around it.
    pub(super) fn raw(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| piece.text.as_str())
            .collect()
    }

    pub(super) fn text(&self) -> String {
        self.raw().trim().to_owned()
    }

    fn is_blank(&self) -> bool {
        self.pieces.iter().all(|piece| piece.text.trim().is_empty())
    }
}

impl Cue {
    /// Removes lines without text.
    pub(super) fn tidy(mut self) -> Self {
        self.lines.retain(|line| !line.is_blank());
        self
    }

    /// Removes notes of sounds, and counts them.
    pub(super) fn take_notes(&mut self) -> u64 {
        let mut taken = 0;
        for line in &mut self.lines {
            for piece in &mut line.pieces {
                taken += take_bracketed(&mut piece.text);
            }
        }
        self.lines.retain(|line| {
            let text = line.text();
            let note =
                (text.starts_with('(') && text.ends_with(')') && text.matches('(').count() == 1)
                    || text.starts_with(['♪', '♫']);
            taken += u64::from(note);
            !note && !text.is_empty()
        });
        taken
    }
}

/// Removes `[Music]` and the like from a text. Brackets around no word, such as those for one that was left out, stay.
fn take_bracketed(text: &mut String) -> u64 {
    let mut taken = 0;
    let mut kept = String::new();
    let mut rest = text.as_str();
    while let Some((before, opened)) = rest.split_once('[') {
        let Some((inside, after)) = opened.split_once(']') else {
            break;
        };
        kept.push_str(before);
        if inside.contains(char::is_alphabetic) {
            taken += 1;
        } else {
            kept.push_str(&rest[before.len()..rest.len() - after.len()]);
        }
        rest = after;
    }
    kept.push_str(rest);
    *text = kept;
    taken
}

/// Removes the lines that captions repeat as they roll up the screen, if the file's captions roll; returns how many
/// lines.
///
/// In rolling captions most cues begin with the line that the one before ended with. In others this happens where
/// people repeat themselves, and must stay.
pub(super) fn unroll(cues: &mut [Cue]) -> u64 {
    let shown: Vec<Vec<String>> = cues
        .iter()
        .map(|cue| cue.lines.iter().map(Line::text).collect())
        .collect();
    let repeated: Vec<usize> = shown
        .windows(2)
        .map(|pair| overlap(&pair[0], &pair[1]))
        .collect();
    let rolling = repeated.iter().filter(|count| **count > 0).count();
    if repeated.len() < 2 || rolling * 2 <= repeated.len() {
        return 0;
    }
    for (cue, count) in cues.iter_mut().skip(1).zip(&repeated) {
        cue.lines.drain(..*count);
    }
    repeated.into_iter().map(|count| count as u64).sum()
}

/// How many lines at the end of one cue stand at the beginning of the next.
fn overlap(before: &[String], after: &[String]) -> usize {
    // More lines than these do not fit on a screen, and comparing all would take the square of their number.
    let most = before.len().min(after.len()).min(8);
    let found = (1..=most)
        .rev()
        .find(|count| before[before.len() - count..] == after[..*count]);
    found.unwrap_or(0)
}

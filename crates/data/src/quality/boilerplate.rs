//! Lines that belong to a page's frame and not to its text.

use std::collections::HashSet;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tempfile::SpooledTempFile;
use xxhash_rust::xxh3::xxh3_64;

use super::sample::Sample;
use super::spool::failed;
use crate::error::Result;

/// What frames of web pages say, in lower case.
const PHRASES: [&str; 18] = [
    "accept all cookies",
    "accept cookies",
    "all rights reserved",
    "back to top",
    "by continuing to use this site",
    "click here to",
    "cookie policy",
    "cookie settings",
    "enable javascript",
    "log in to your account",
    "privacy policy",
    "share on facebook",
    "share on twitter",
    "sign up for our newsletter",
    "skip to content",
    "subscribe to our",
    "terms of service",
    "we use cookies",
];

/// The longest line that is taken for a frame's, in bytes: a paragraph that mentions a cookie policy is text.
const LINE: usize = 200;

/// When a line is boilerplate, and how much of it is too much.
///
/// A line is boilerplate if it says what frames say ("all rights reserved"), or if it stands in many rows. A row of a
/// single line has no frame: if it recurs, it is a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Boilerplate {
    /// In how many different rows a line must stand. Default 10.
    pub rows: usize,
    /// The greatest share of a row's characters in such lines. Default 0.3.
    pub share: f64,
}

impl Default for Boilerplate {
    fn default() -> Self {
        Self {
            rows: 10,
            share: 0.3,
        }
    }
}

/// The lines that stand in many rows.
#[derive(Debug, Clone)]
pub struct Frames {
    repeated: HashSet<u64>,
    settings: Boilerplate,
}

impl Boilerplate {
    /// Counts in how many rows each line stands.
    pub fn frames(&self, rows: &[Sample<'_>]) -> Frames {
        let hashes = rows.par_iter().flat_map_iter(|row| line_hashes(&row.text));
        let mut repeated = HashSet::new();
        self.add_repeated(hashes.collect(), &mut repeated);
        Frames {
            repeated,
            settings: *self,
        }
    }

    /// Adds the hashes that are there often enough.
    fn add_repeated(&self, mut hashes: Vec<u64>, repeated: &mut HashSet<u64>) {
        hashes.par_sort_unstable();
        let often = hashes.chunk_by(|left, right| left == right);
        let often = often.filter(|same| same.len() >= self.rows);
        repeated.extend(often.map(|same| same[0]));
    }
}

/// The hashes of the different lines of a text; none if it has a single line.
pub(crate) fn line_hashes(text: &str) -> Vec<u64> {
    let mut hashes: Vec<u64> = lines(text).map(hash).collect();
    if hashes.len() < 2 {
        return Vec::new();
    }
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// Counts lines of more rows than fit into memory: their hashes lie in a temporary file, and are counted part by part.
pub(crate) struct LineCounts {
    file: BufWriter<SpooledTempFile>,
    lines: u64,
}

impl LineCounts {
    /// How many hashes are counted at a time: 32 MB of them.
    const AT_ONCE: u64 = 4 << 20;

    pub(crate) fn new() -> Self {
        Self {
            file: BufWriter::new(tempfile::spooled_tempfile(4 << 20)),
            lines: 0,
        }
    }

    /// Adds the hashes of a row's lines.
    pub(crate) fn add(&mut self, hashes: &[u64]) -> Result<()> {
        for hash in hashes {
            let written = self.file.write_all(&hash.to_le_bytes());
            written.map_err(|source| failed("write", source))?;
        }
        self.lines += hashes.len() as u64;
        Ok(())
    }

    /// The lines that stand in many rows.
    pub(crate) fn frames(self, settings: &Boilerplate) -> Result<Frames> {
        let file = self.file.into_inner();
        let mut file = file.map_err(|error| failed("write", error.into_error()))?;
        let parts = self.lines.div_ceil(Self::AT_ONCE);
        let mut repeated = HashSet::new();
        for part in 0..parts {
            let read = part_of(&mut file, self.lines, (part, parts));
            let hashes = read.map_err(|source| failed("read", source))?;
            settings.add_repeated(hashes, &mut repeated);
        }
        Ok(Frames {
            repeated,
            settings: *settings,
        })
    }
}

/// The hashes of one of so many parts, as the remainder tells.
fn part_of(
    file: &mut SpooledTempFile,
    lines: u64,
    (part, parts): (u64, u64),
) -> io::Result<Vec<u64>> {
    file.rewind()?;
    let mut file = BufReader::new(file);
    let (mut hashes, mut bytes) = (Vec::new(), [0; 8]);
    for _ in 0..lines {
        file.read_exact(&mut bytes)?;
        let hash = u64::from_le_bytes(bytes);
        if hash % parts == part {
            hashes.push(hash);
        }
    }
    Ok(hashes)
}

impl Frames {
    /// Whether a line is boilerplate.
    pub fn has(&self, line: &str) -> bool {
        let line = line.trim();
        if self.repeated.contains(&hash(line)) {
            return true;
        }
        if line.len() > LINE {
            return false;
        }
        let lower = line.to_lowercase();
        PHRASES.iter().any(|phrase| lower.contains(phrase))
    }

    /// The share of a text's characters that stand in boilerplate lines, from 0 to 1.
    pub fn share(&self, text: &str) -> f64 {
        let (mut all, mut inside, mut count) = (0_usize, 0_usize, 0);
        for line in lines(text) {
            let length = line.chars().count();
            count += 1;
            all += length;
            if self.has(line) {
                inside += length;
            }
        }
        if count < 2 {
            return 0.0;
        }
        inside as f64 / all as f64
    }

    /// Why a text has too much boilerplate, if it has.
    pub fn fault(&self, text: &str) -> Option<String> {
        let share = self.share(text);
        (share > self.settings.share).then(|| {
            format!(
                "{:.0} % of the characters stand in boilerplate lines, expected at most {:.0} %",
                share * 100.0,
                self.settings.share * 100.0
            )
        })
    }

    /// The text without its boilerplate lines.
    pub fn strip(&self, text: &str) -> String {
        if lines(text).count() < 2 {
            return text.to_owned();
        }
        text.split_inclusive('\n')
            .filter(|line| line.trim().is_empty() || !self.has(line))
            .collect()
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn hash(line: &str) -> u64 {
    xxh3_64(line.as_bytes())
}

//! Lines that belong to a page's frame and not to its text.

use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::sample::Sample;

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
    repeated: HashMap<u64, u64>,
    settings: Boilerplate,
}

impl Boilerplate {
    /// Counts in how many rows each line stands.
    pub fn frames(&self, rows: &[Sample<'_>]) -> Frames {
        let lines: Vec<Vec<u64>> = rows
            .par_iter()
            .map(|sample| {
                let mut lines: Vec<u64> = lines(&sample.text).map(hash).collect();
                if lines.len() < 2 {
                    return Vec::new();
                }
                lines.sort_unstable();
                lines.dedup();
                lines
            })
            .collect();
        let mut repeated: HashMap<u64, u64> = HashMap::new();
        for line in lines.into_iter().flatten() {
            *repeated.entry(line).or_default() += 1;
        }
        repeated.retain(|_, count| *count >= self.rows as u64);
        Frames {
            repeated,
            settings: *self,
        }
    }
}

impl Frames {
    /// Whether a line is boilerplate.
    pub fn has(&self, line: &str) -> bool {
        let line = line.trim();
        if self.repeated.contains_key(&hash(line)) {
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

//! What is held of every row while a data set is inspected.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::super::boilerplate::LineCounts;
use super::super::disagreement::Told;
use super::super::faults::Faults;
use super::super::funnel::{Funnel, Reason};
use super::super::length::Histogram;
use super::super::prints::Prints;
use super::super::report::DataReport;
use super::super::rows::Rows;
use super::look::{Looked, Looker};
use crate::encode::EncodeReport;
use crate::error::Result;

/// How many rows are looked at in parallel before their counts are added up.
pub(super) const CHUNK: usize = 1_024;

/// For each row a few numbers, and no text.
pub(super) struct Survey {
    pub(super) prints: Prints,
    pub(super) told: Vec<Told>,
    pub(super) faults: Vec<Faults>,
    /// Whether a row has several lines.
    pub(super) lined: Vec<bool>,
    pub(super) lines: LineCounts,
    /// In characters, words and tokens. Lengths stop at 2³² - 1.
    lengths: [Vec<u32>; 3],
    encoding: EncodeReport,
}

impl Survey {
    /// Looks at all rows, and gives the parts of the report that are sums over them.
    pub(super) fn of(looker: &Looker<'_>, rows: &dyn Rows) -> Result<(Self, DataReport)> {
        let bands = if looker.compares() {
            looker.sketch.bands()
        } else {
            0
        };
        let mut survey = Self {
            prints: Prints::new(bands),
            told: Vec::new(),
            faults: Vec::new(),
            lined: Vec::new(),
            lines: LineCounts::new(),
            lengths: Default::default(),
            encoding: EncodeReport::default(),
        };
        let mut report = DataReport {
            funnel: Funnel::of(rows.len() as u64),
            looked_for: looker.reasons.clone(),
            overlaps: looker.items.counts.clone(),
            ..DataReport::default()
        };
        for name in looker.against.names() {
            report.overlaps.benchmarks.insert(name.clone(), 0);
        }
        for start in (0..rows.len()).step_by(CHUNK) {
            let end = rows.len().min(start + CHUNK);
            let looked: Vec<Result<Looked>> = (start..end)
                .into_par_iter()
                .map(|row| Ok(looker.look(&*rows.example(row)?)))
                .collect();
            for looked in looked {
                survey.add(looked?, looker, &mut report)?;
            }
        }
        let [characters, words, tokens] = &mut survey.lengths;
        report.characters = histogram(characters);
        report.words = histogram(words);
        if looker.encoder.is_some() {
            report.tokens = Some(histogram(tokens));
            report.encoding = Some(std::mem::take(&mut survey.encoding));
        }
        Ok((survey, report))
    }

    fn add(&mut self, looked: Looked, looker: &Looker<'_>, report: &mut DataReport) -> Result<()> {
        let mut faults = Faults::default();
        looked
            .faults
            .keys()
            .for_each(|&reason| faults.insert(reason));
        self.faults.push(faults);
        self.prints.push(&looked.print);
        self.told.push(looked.told);
        self.lined.push(!looked.lines.is_empty());
        self.lines.add(&looked.lines)?;
        let short = |length: u64| u32::try_from(length).unwrap_or(u32::MAX);
        self.lengths[0].push(short(looked.measured.characters as u64));
        self.lengths[1].push(short(looked.measured.words as u64));
        if let Some(encoded) = &looked.encoded {
            self.lengths[2].push(short(encoded.report.longest));
            self.encoding.add(&encoded.report);
        }
        if looker.makes(Reason::Language) {
            let language = report.languages.entry(looked.language.to_owned());
            *language.or_default() += 1;
        }
        if looker.makes(Reason::Debris) {
            report.debris += looked.debris;
        }
        for (kind, count) in looked.sensitive {
            *report.sensitive.entry(kind).or_default() += count;
        }
        let overlaps = looked.overlaps.iter();
        let names: BTreeSet<&str> = overlaps
            .map(|found| looker.against.name(found.item))
            .collect();
        for name in names {
            *report
                .overlaps
                .benchmarks
                .entry(name.to_owned())
                .or_default() += 1;
        }
        Ok(())
    }
}

/// The lengths are not needed any more.
fn histogram(lengths: &mut Vec<u32>) -> Histogram {
    Histogram::of(std::mem::take(lengths).into_iter().map(u64::from))
}

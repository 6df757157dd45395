//! Which rows are dropped, and what the report shows of them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::disagreement::Conflict;
use super::super::encoded::ShownRow;
use super::super::funnel::{Example, Found, Reason};
use super::super::report::{DataReport, LeakedPair};
use super::super::rows::Rows;
use super::super::sample::{Sample, readable};
use super::super::words::{jaccard, shingles};
use super::compare::Compared;
use super::look::{Looked, Looker};
use super::survey::Survey;
use super::{Inspected, Inspection};
use crate::error::Result;

impl Inspection {
    /// How many tokens of a row are shown.
    const TOKENS: usize = 300;

    pub(super) fn conclude(
        &self,
        rows: &dyn Rows,
        looker: &Looker<'_>,
        compared: &Compared,
        survey: Survey,
        mut report: DataReport,
    ) -> Result<Inspected> {
        let mut dropped = Vec::with_capacity(rows.len());
        let mut examples: BTreeMap<usize, BTreeSet<Reason>> = BTreeMap::new();
        for (row, faults) in survey.faults.iter().enumerate() {
            let reason = faults.first_of(&self.drop);
            for fault in faults.iter() {
                let found: &mut Found = report.findings.entry(fault).or_default();
                found.rows += 1;
                found.dropped += u64::from(reason == Some(fault));
                if found.rows <= self.examples as u64 {
                    examples.entry(row).or_default().insert(fault);
                }
            }
            if let Some(reason) = reason {
                report.funnel.drop_row(reason.name());
            }
            dropped.push(reason);
        }
        for (row, reasons) in examples {
            self.show_example(rows, looker, compared, (row, &reasons), &mut report)?;
        }
        report.overlaps.found.truncate(self.examples);
        self.show_conflicts(rows, looker, compared, &mut report)?;
        let inspected = Inspected {
            report,
            dropped,
            faults: survey.faults,
        };
        self.show_tokens(rows, looker, inspected)
    }

    /// Reads a row again to tell what exactly is wrong with it.
    fn show_example(
        &self,
        rows: &dyn Rows,
        looker: &Looker<'_>,
        compared: &Compared,
        (row, reasons): (usize, &BTreeSet<Reason>),
        report: &mut DataReport,
    ) -> Result<()> {
        let example = rows.example(row)?;
        let sample = Sample::from(&*example);
        let mut looked = looker.look(&example);
        let frames = compared.frames.as_ref();
        let faults = &mut looked.faults;
        if let Some(fault) = frames.and_then(|frames| frames.fault(&sample.text)) {
            faults.insert(Reason::Boilerplate, fault);
        }
        if let Some(of) = compared.repeats[row].of() {
            let of_sample = rows.example(of)?;
            let set = |text: &str| shingles(text, self.duplicates.words);
            let similarity = jaccard(&set(&sample.text), &set(&Sample::from(&*of_sample).text));
            let origin = rows.origin(of);
            faults.insert(Reason::ExactDuplicate, format!("of {origin}"));
            let detail = format!("of {origin}, similarity {similarity:.2}");
            faults.insert(Reason::NearDuplicate, detail);
        }
        let mut conflicts = compared.disagreements.iter();
        if let Some(found) = conflicts.find(|found| found.rows.binary_search(&row).is_ok()) {
            let detail = format!("{} different outcomes", found.different);
            faults.insert(Reason::Disagreement, detail);
        }
        for reason in reasons {
            let found = report.findings.entry(*reason).or_default();
            found.examples.push(Example {
                origin: readable(sample.origin),
                detail: looked.faults.get(reason).cloned().unwrap_or_default(),
                excerpt: sample.excerpt(&looker.masks),
            });
        }
        show_shared(looker, &sample, looked, (row, reasons), report);
        Ok(())
    }

    /// The first conflicts with their texts.
    fn show_conflicts(
        &self,
        rows: &dyn Rows,
        looker: &Looker<'_>,
        compared: &Compared,
        report: &mut DataReport,
    ) -> Result<()> {
        for found in compared.disagreements.iter().take(self.examples) {
            // Of very many rows that contradict each other the first few thousand tell enough.
            let seen = found.rows.iter().take(4_096);
            let examples: Vec<_> = seen.map(|&row| rows.example(row)).collect::<Result<_>>()?;
            let samples = examples.iter().map(|example| Ok(Sample::from(&**example)));
            let mut conflict = Conflict::of(found, samples, &looker.masks)?;
            conflict.rows.truncate(self.examples);
            let outcomes = conflict.outcomes.into_iter();
            conflict.outcomes = outcomes.take(self.examples).collect();
            report.conflicts.push(conflict);
        }
        Ok(())
    }

    /// A few rows that stay, spread over the data, token by token.
    fn show_tokens(
        &self,
        rows: &dyn Rows,
        looker: &Looker<'_>,
        mut inspected: Inspected,
    ) -> Result<Inspected> {
        let Some(encoder) = looker.encoder.filter(|_| self.shown > 0) else {
            return Ok(inspected);
        };
        let kept = inspected.report.funnel.kept as usize;
        let step = kept.div_ceil(self.shown).max(1);
        let shown: Vec<usize> = inspected.kept().step_by(step).collect();
        for row in shown {
            let row = ShownRow::of(encoder, &*rows.example(row)?, Self::TOKENS);
            inspected.report.shown.extend(row);
        }
        Ok(inspected)
    }
}

/// What a row shares with test data and benchmarks.
fn show_shared(
    looker: &Looker<'_>,
    sample: &Sample<'_>,
    looked: Looked,
    (row, reasons): (usize, &BTreeSet<Reason>),
    report: &mut DataReport,
) {
    let masks = &looker.masks;
    if let Some(leak) = looked.leak.filter(|_| reasons.contains(&Reason::Leak)) {
        let test = &looker.tests.rows()[leak.test];
        report.leaks.push(LeakedPair {
            row: readable(sample.origin),
            test: readable(test.origin),
            exact: leak.exact,
            similarity: leak.similarity,
            row_text: sample.excerpt(masks),
            test_text: test.excerpt(masks),
        });
    }
    if reasons.contains(&Reason::Contaminated) {
        for mut overlap in looked.overlaps {
            overlap.row = row;
            let benchmark = looker.against.name(overlap.item);
            benchmark.clone_into(&mut overlap.benchmark);
            let item = &looker.items.rows()[overlap.item];
            for (run, whole) in [
                (&mut overlap.row_text, &sample.text),
                (&mut overlap.item_text, &item.text),
            ] {
                // The run is a part of the text.
                let start = whole.find(&**run).unwrap_or(0);
                *run = masks.mask_part(whole, &(start..start + run.len()));
            }
            report.overlaps.found.push(overlap);
        }
    }
}

//! Rows against each other.

use rayon::prelude::*;

use super::super::boilerplate::{Frames, LineCounts};
use super::super::disagreement::{Disagreement, Told, disagreements};
use super::super::diversity::Group;
use super::super::duplicates::{Repeat, equals, grouped};
use super::super::funnel::Reason;
use super::super::report::DataReport;
use super::super::rows::{Reread, Rows};
use super::super::sample::Sample;
use super::super::words::shingles;
use super::Inspection;
use super::look::Looker;
use super::survey::Survey;
use crate::error::Result;

/// What comparing found, by the numbers of rows.
pub(super) struct Compared {
    pub(super) repeats: Vec<Repeat>,
    pub(super) disagreements: Vec<Disagreement>,
    /// Lines of frames, if they are looked for.
    pub(super) frames: Option<Frames>,
}

impl Inspection {
    pub(super) fn compare(
        &self,
        rows: &dyn Rows,
        looker: &Looker<'_>,
        survey: &mut Survey,
        report: &mut DataReport,
    ) -> Result<Compared> {
        let frames = framed(rows, looker, survey)?;
        let reread = Reread {
            origin: &|row| rows.origin(row),
            sample: &|row, look| {
                look(&Sample::from(&*rows.example(row)?));
                Ok(())
            },
        };
        let repeats = self.duplicates(looker, survey, &reread)?;
        let clusters = grouped(repeats.iter().map(|repeat| repeat.of()));
        report.clusters = clusters.len() as u64;
        for cluster in clusters.iter().take(self.examples) {
            report.largest_clusters.push(Group {
                rows: cluster.len() as u64,
                excerpt: reread.see(cluster[0], |row| row.excerpt(&looker.masks))?,
            });
        }
        let mut found = Vec::new();
        if looker.makes(Reason::Disagreement) {
            let labeled = |&row: &usize| matches!(survey.told[row], Told::Label(_));
            let labeled = clusters
                .into_iter()
                .map(|cluster| cluster.into_iter().filter(labeled).collect());
            found = disagreements(&survey.told, labeled);
            for row in found.iter().flat_map(|found| &found.rows) {
                survey.faults[*row].insert(Reason::Disagreement);
            }
        }
        let (texts, told) = (survey.prints.texts(), &survey.told);
        report.diversity = self.diversity.measure_by(texts, told, &reread)?;
        Ok(Compared {
            repeats,
            disagreements: found,
            frames,
        })
    }

    /// What repeats another row.
    fn duplicates(
        &self,
        looker: &Looker<'_>,
        survey: &mut Survey,
        reread: &Reread<'_>,
    ) -> Result<Vec<Repeat>> {
        let repeats = if looker.compares() {
            let set = |row| reread.see(row, |row| shingles(&row.text, self.duplicates.words));
            let origin = |row| (reread.origin)(row);
            self.duplicates.repeats(&survey.prints, origin, set)?
        } else {
            equals(&survey.prints, reread.origin)
        };
        for (faults, repeat) in survey.faults.iter_mut().zip(&repeats) {
            let reason = match repeat {
                Repeat::Nothing => continue,
                Repeat::Exact(_) => Reason::ExactDuplicate,
                Repeat::Near(_) => Reason::NearDuplicate,
            };
            if looker.makes(reason) {
                faults.insert(reason);
            }
        }
        Ok(repeats)
    }
}

/// Marks rows of which too much is a page's frame. Only rows of several lines are read again.
fn framed(rows: &dyn Rows, looker: &Looker<'_>, survey: &mut Survey) -> Result<Option<Frames>> {
    if !looker.makes(Reason::Boilerplate) {
        return Ok(None);
    }
    let lines = std::mem::replace(&mut survey.lines, LineCounts::new());
    let frames = lines.frames(&looker.settings.boilerplate)?;
    let marked = survey.faults.par_iter_mut().zip(&survey.lined);
    marked.enumerate().try_for_each(|(row, (faults, lined))| {
        if *lined
            && frames
                .fault(&Sample::from(&*rows.example(row)?).text)
                .is_some()
        {
            faults.insert(Reason::Boilerplate);
        }
        Ok(())
    })?;
    Ok(Some(frames))
}

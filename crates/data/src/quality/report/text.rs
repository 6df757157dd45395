//! The report as text for a terminal.

use std::collections::BTreeMap;
use std::fmt;

use super::super::contamination::Overlap;
use super::{DataReport, Histogram, Reason};
use crate::error::{escaped, quoted};

/// How many groups of rows that are alike are shown; a page has more room.
const GROUPS: usize = 5;

impl fmt::Display for DataReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.funnel)?;
        line(f, "broken records", &self.broken)?;
        if let Some(kept) = &self.kept {
            writeln!(
                f,
                "{}: {} rows that stay; in {} of them {} places are masked",
                escaped(&kept.path),
                kept.rows,
                kept.masked_rows,
                kept.masked
            )?;
        }
        let lengths = [
            ("characters", Some(&self.characters)),
            ("words", Some(&self.words)),
            ("tokens", self.tokens.as_ref()),
        ];
        for (unit, histogram) in lengths {
            if let Some(histogram) = histogram {
                let Histogram {
                    least,
                    median,
                    most,
                    sum,
                    ..
                } = histogram;
                writeln!(
                    f,
                    "length in {unit}: {least} to {most}, median {median}, in all {sum}"
                )?;
            }
        }
        if let Some(encoding) = &self.encoding {
            writeln!(f, "encoding: {encoding}")?;
        }
        line(f, "languages", &self.languages)?;
        let kinds = self.sensitive.iter();
        let kinds = kinds.map(|(kind, count)| (kind.placeholder().to_owned(), *count));
        line(f, "personal data and secrets", &kinds.collect())?;
        let diversity = &self.diversity;
        writeln!(
            f,
            "diversity: {} different of {} words ({:.3}), entropy of one, two and three words {:.2}, {:.2} and {:.2} bits",
            diversity.types,
            diversity.words,
            diversity.type_token_ratio(),
            diversity.entropy[0],
            diversity.entropy[1],
            diversity.entropy[2]
        )?;
        writeln!(
            f,
            "groups of rows that are alike: {} with {} of {} rows; clusters of duplicates: {}",
            diversity.groups, diversity.grouped, diversity.rows, self.clusters
        )?;
        for group in diversity.largest.iter().take(GROUPS) {
            writeln!(f, "  {} rows like: {}", group.rows, escaped(&group.excerpt))?;
        }
        if diversity.labels > 0 {
            let labels = diversity.frequent.iter();
            let labels = labels.map(|label| (escaped(&label.label), label.rows));
            line(f, "labels", &labels.collect())?;
            writeln!(
                f,
                "  {} labels of {} rows, the most frequent {:.1} times the rarest, balance {:.2}",
                diversity.labels, diversity.labeled, diversity.imbalance, diversity.balance
            )?;
        }
        self.faults(f)?;
        self.unfound(f)?;
        self.tokens(f)
    }
}

impl DataReport {
    fn faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (reason, found) in &self.findings {
            writeln!(
                f,
                "{reason}: {} rows, {} dropped",
                found.rows, found.dropped
            )?;
            for example in &found.examples {
                let excerpt = escaped(&example.excerpt);
                writeln!(f, "  {}: {}: {excerpt}", example.origin, example.detail)?;
            }
        }
        for conflict in &self.conflicts {
            writeln!(f, "different outcomes for: {}", escaped(&conflict.asked))?;
            for (outcome, rows) in &conflict.outcomes {
                writeln!(f, "  {rows} × {}", escaped(outcome))?;
            }
        }
        for overlap in &self.overlaps.found {
            writeln!(
                f,
                "{} and {}{} share {} words: {}",
                overlap.row_origin,
                benchmark(overlap),
                overlap.item_origin,
                overlap.words,
                escaped(&overlap.row_text)
            )?;
        }
        line(f, "rows with items of", &self.overlaps.benchmarks)?;
        if self.overlaps.too_short > 0 {
            writeln!(
                f,
                "{} items were too short to be searched for",
                self.overlaps.too_short
            )?;
        }
        Ok(())
    }

    /// What was not found, and what was not looked for.
    fn unfound(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || Reason::ALL.into_iter();
        let clean = all().filter(|reason| {
            self.looked_for.contains(reason) && !self.findings.contains_key(reason)
        });
        let skipped = all().filter(|reason| !self.looked_for.contains(reason));
        let lines: [(&str, Vec<&str>); 2] = [
            ("not found", clean.map(Reason::name).collect()),
            ("not looked for", skipped.map(Reason::name).collect()),
        ];
        for (what, reasons) in lines {
            if !reasons.is_empty() {
                writeln!(f, "{what}: {}", reasons.join(", "))?;
            }
        }
        Ok(())
    }

    /// Rows as the model sees them, in runs of what is learned and what is not.
    fn tokens(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.shown.is_empty() {
            writeln!(f, "rows as the model sees them, + is learned:")?;
        }
        for row in &self.shown {
            write!(f, "  {}", row.origin)?;
            if !row.note.is_empty() {
                write!(f, " ({})", escaped(&row.note))?;
            }
            writeln!(f)?;
            for (text, learned) in row.runs() {
                let mark = if learned { '+' } else { ' ' };
                writeln!(f, "  {mark} {}", quoted(&text))?;
            }
            if row.left_out > 0 {
                writeln!(f, "    {} more tokens", row.left_out)?;
            }
        }
        Ok(())
    }
}

fn benchmark(overlap: &Overlap) -> String {
    match overlap.benchmark.as_str() {
        "" => String::new(),
        name => format!("{}, ", escaped(name)),
    }
}

/// Counts on one line; nothing if there are none.
fn line(f: &mut fmt::Formatter<'_>, name: &str, counts: &BTreeMap<String, u64>) -> fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = counts
        .iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    writeln!(f, "{name}: {}", shown.join(", "))
}

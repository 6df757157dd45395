//! Reports from runs and analyses.

use super::{
    Change, Entry, ErrorRow, Example, ExampleGroup, Mark, MetricRow, Model, Output, Report,
    Section, Training,
};
use crate::{
    Analysis, Classes, Difference, Flow, Metric, Result, Run,
    analysis::{Judged, RIGHT},
    metric::{Better, Confusion},
};

/// How many examples of a kind are shown.
const SHOWN: usize = 5;

impl Report {
    /// An empty report.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// A report about the last of some runs of one task over the same items: its metrics and error classes beside those
    /// of the others, and its worst answers. With several runs also which class became which between the last two, and
    /// some answers that were wrong in the one and are right in the other.
    ///
    /// `metrics` are those of the task ([`Task::metrics`](crate::Task::metrics)).
    ///
    /// # Errors
    /// As [`compare`](Report::compare); whatever the analysis returns.
    pub fn of_runs(
        title: impl Into<String>,
        runs: &[&Run],
        metrics: &[Box<dyn Metric>],
        classes: &Classes,
    ) -> Result<Self> {
        let analyses = runs
            .iter()
            .map(|run| classes.analyze(&run.model, &run.outcomes))
            .collect::<Result<Vec<_>>>()?;
        let analyses: Vec<&Analysis> = analyses.iter().collect();
        let report = Self::new(title).compare(runs, metrics)?.errors(&analyses);
        let last_two = &analyses[analyses.len().saturating_sub(2)..];
        let (report, last) = match *last_two {
            [before, after] => (report.mended(before, after)?, after),
            [only] => (report, only),
            _ => return Ok(report),
        };
        Ok(report.examples(
            format!("The worst answers: {}", last.model),
            "Those least like their references.",
            last_two,
            &last.worst(SHOWN),
        ))
    }

    /// Adds the flow between two analyses, and answers that it mended.
    fn mended(self, before: &Analysis, after: &Analysis) -> Result<Self> {
        let flow = Flow::between(before, after)?;
        let fixed = flow.fixed_items();
        let some: Vec<usize> = (0..SHOWN.min(fixed.len()))
            .map(|number| fixed[number * fixed.len() / SHOWN.min(fixed.len())])
            .collect();
        let note = format!(
            "Wrong from {}, right from {}: {} of {}, evenly spread over the data.",
            before.model,
            after.model,
            some.len(),
            fixed.len()
        );
        Ok(self
            .flow(flow)
            .examples("Mended", note, &[before, after], &some))
    }

    /// Sets the line under the title.
    pub fn subtitle(mut self, subtitle: impl Into<String>) -> Self {
        self.subtitle = subtitle.into();
        self
    }

    /// Adds a column, or says what the column of this name is. Columns also come by themselves with
    /// [`compare`](Report::compare) and [`errors`](Report::errors).
    pub fn model(mut self, name: impl Into<String>, detail: impl Into<String>) -> Self {
        let column = self.column(&name.into());
        self.models[column].detail = detail.into();
        self
    }

    /// Adds the metrics of runs of one task over the same items, one run per model. The last run is compared, item by
    /// item, with the best of the others in each metric.
    ///
    /// `metrics` are those of the task ([`Task::metrics`](crate::Task::metrics)).
    ///
    /// # Errors
    /// [`Unmatched`](crate::EvalError::Unmatched) if the runs do not hold the same items; whatever a metric returns.
    pub fn compare(mut self, runs: &[&Run], metrics: &[Box<dyn Metric>]) -> Result<Self> {
        let columns: Vec<_> = runs.iter().map(|run| self.column(&run.model)).collect();
        for metric in metrics {
            let mut row = MetricRow {
                name: metric.name().to_owned(),
                task: runs.first().map(|run| run.task.clone()).unwrap_or_default(),
                better: metric.better(),
                unit: metric.unit(),
                values: vec![None; self.models.len()],
                change: None,
            };
            for (run, &column) in runs.iter().zip(&columns) {
                let outcomes: Vec<_> = run.outcomes.iter().collect();
                let known = run.estimate(metric.name());
                row.values[column] = Some(known.map_or_else(|| metric.measure(&outcomes), Ok)?);
            }
            if let Some((last, others)) = runs.split_last()
                && let Some(best) = best(&row, &columns[..others.len()])
            {
                let difference =
                    Difference::of(metric.as_ref(), &others[best].outcomes, &last.outcomes)?;
                row.change = Some(Change {
                    from: columns[best],
                    to: columns[others.len()],
                    difference,
                });
            }
            self.metrics.push(row);
        }
        self.fill();
        Ok(self)
    }

    /// Adds the error classes of analyses, one per model.
    pub fn errors(mut self, analyses: &[&Analysis]) -> Self {
        for analysis in analyses {
            let column = self.column(&analysis.model);
            self.fill();
            let right = ("no error class holds", RIGHT, analysis.right);
            let totals = analysis.totals.iter();
            let rows =
                totals.map(|total| (total.meaning.as_str(), total.name.as_str(), total.share));
            for (meaning, name, share) in std::iter::once(right).chain(rows) {
                let row = self.error_row(name, meaning);
                self.errors[row].shares[column] = Some(share);
            }
        }
        self
    }

    /// Sets the flow of the error classes.
    pub fn flow(mut self, flow: Flow) -> Self {
        self.flow = Some(flow);
        self
    }

    /// Sets which label became which in a run.
    ///
    /// # Errors
    /// [`NoOutcomes`](crate::EvalError::NoOutcomes) for a run of nothing.
    pub fn confusion(mut self, run: &Run) -> Result<Self> {
        let outcomes: Vec<_> = run.outcomes.iter().collect();
        self.confusion = Some(Confusion::of(&outcomes)?);
        Ok(self)
    }

    /// Adds a group of examples: the items at `indices`, with the answers of all analyses, which hold the same items in
    /// the same order. Indices past the end are passed over, and a group of nothing is left out.
    pub fn examples(
        mut self,
        title: impl Into<String>,
        note: impl Into<String>,
        analyses: &[&Analysis],
        indices: &[usize],
    ) -> Self {
        let columns: Vec<_> = analyses
            .iter()
            .map(|analysis| self.column(&analysis.model))
            .collect();
        let example = |&index: &usize| {
            let judged: Vec<_> = analyses
                .iter()
                .map(|analysis| analysis.items.get(index))
                .collect::<Option<_>>()?;
            let first: &Judged = judged.first()?;
            Some(Example {
                origin: first.outcome.origin.to_string(),
                input: first.outcome.input.clone(),
                reference: first.outcome.reference().to_owned(),
                outputs: judged
                    .iter()
                    .zip(&columns)
                    .map(|(item, &column)| output(item, column))
                    .collect(),
            })
        };
        let items: Vec<_> = indices.iter().filter_map(example).collect();
        if !items.is_empty() {
            self.examples.push(ExampleGroup {
                title: title.into(),
                note: note.into(),
                items,
            });
        }
        self.fill();
        self
    }

    /// Sets the curves of the training run.
    pub fn training(mut self, training: Training) -> Self {
        self.training = Some(training);
        self
    }

    /// Adds a count of the data.
    pub fn count(
        mut self,
        name: impl Into<String>,
        value: impl std::fmt::Display,
        note: impl Into<String>,
    ) -> Self {
        self.data.push(Entry {
            name: name.into(),
            value: value.to_string(),
            note: note.into(),
        });
        self
    }

    /// Adds a section of the configuration.
    pub fn section<N: Into<String>, V: std::fmt::Display>(
        mut self,
        title: impl Into<String>,
        entries: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let entry = |(name, value): (N, V)| Entry {
            name: name.into(),
            value: value.to_string(),
            note: String::new(),
        };
        self.configuration.push(Section {
            title: title.into(),
            entries: entries.into_iter().map(entry).collect(),
        });
        self
    }

    /// Adds a command that makes this report again.
    pub fn reproduce(mut self, command: impl Into<String>) -> Self {
        self.reproduce.push(command.into());
        self
    }

    /// Adds a remark on what the figures do not say.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The column of the model of this name, made if there is none.
    pub(crate) fn column(&mut self, name: &str) -> usize {
        self.models
            .iter()
            .position(|model| model.name == name)
            .unwrap_or_else(|| {
                self.models.push(Model {
                    name: name.to_owned(),
                    detail: String::new(),
                });
                self.models.len() - 1
            })
    }

    /// The row of the error class of this name, made if there is none.
    fn error_row(&mut self, name: &str, meaning: &str) -> usize {
        self.errors
            .iter()
            .position(|row| row.name == name)
            .unwrap_or_else(|| {
                self.errors.push(ErrorRow {
                    name: name.to_owned(),
                    meaning: meaning.to_owned(),
                    shares: vec![None; self.models.len()],
                });
                self.errors.len() - 1
            })
    }

    /// Gives every row a place for every column.
    pub(crate) fn fill(&mut self) {
        let columns = self.models.len();
        self.metrics
            .iter_mut()
            .for_each(|row| row.values.resize(columns, None));
        self.errors
            .iter_mut()
            .for_each(|row| row.shares.resize(columns, None));
    }
}

/// The index into `columns` of the one with the best value.
fn best(row: &MetricRow, columns: &[usize]) -> Option<usize> {
    let value =
        |index: &usize| row.values[columns[*index]].map_or(f64::NAN, |estimate| estimate.value);
    (0..columns.len()).min_by(|a, b| match row.better {
        Better::Higher => value(b).total_cmp(&value(a)),
        Better::Lower => value(a).total_cmp(&value(b)),
    })
}

fn output(item: &Judged, model: usize) -> Output {
    let marks = item.errors.iter().flat_map(|(_, findings)| findings);
    Output {
        model,
        text: item.outcome.output.clone(),
        similarity: Some(item.similarity),
        classes: item.errors.iter().map(|(name, _)| name.clone()).collect(),
        marks: marks
            .map(|finding| Mark {
                span: finding.span.clone(),
                detail: if finding.detail.is_empty() {
                    &finding.rule
                } else {
                    &finding.detail
                }
                .clone(),
            })
            .collect(),
    }
}

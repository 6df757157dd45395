//! Reports from results alone.

use super::{Leak, Results};
use crate::report::{Entry, MetricRow, Section};
use crate::suite::benchmark::metrics_of;
use crate::suite::definition::Definition;
use crate::{Estimate, Metric, Report, Result, Run};

/// How many rows of a task that stand in training data are shown.
const SHOWN: usize = 5;

impl Results {
    /// A report of several models on the same tasks: every figure of each, and how the last model compares, row by row,
    /// with the best of the others. With the base before it, that shows what a model has forgotten.
    ///
    /// # Errors
    /// If two models were asked other rows of a task; if a task's definition does not read any more.
    pub fn report(title: impl Into<String>, results: &[&Self]) -> Result<Report> {
        let mut report = Report::new(title);
        let Some(last) = results.last() else {
            return Ok(report);
        };
        for one in results {
            report.column(&one.model);
        }
        let runs: Vec<Vec<Run>> = results.iter().map(|one| one.runs()).collect();
        for (task, info) in &last.tasks {
            let of_task: Vec<&Run> = runs
                .iter()
                .flatten()
                .filter(|run| run.task == *task)
                .collect();
            let metrics = metrics_of(&Definition::of(task, info.definition.clone())?)?;
            let metrics: Vec<_> = metrics
                .into_iter()
                .map(|metric| Box::new(metric) as Box<dyn Metric>)
                .collect();
            report = report.compare(&of_task, &metrics)?;
        }
        for group in last.groups.keys() {
            for (metric, figure) in last.results.get(group).into_iter().flatten() {
                let value = |one: &&Self| {
                    Some(
                        one.results
                            .get(group)?
                            .get(metric)?
                            .measured(metric)
                            .estimate,
                    )
                };
                report.metrics.push(MetricRow {
                    name: metric.clone(),
                    task: group.clone(),
                    better: figure.better,
                    unit: figure.unit,
                    values: results.iter().map(value).collect(),
                    change: None,
                });
            }
        }
        for (task, leaks) in &last.leaks {
            for (metric, figure) in &leaks.clean {
                report.metrics.push(MetricRow {
                    name: format!("{metric}, clean rows"),
                    task: task.clone(),
                    better: figure.better,
                    unit: figure.unit,
                    values: results.iter().map(|one| clean(one, task, metric)).collect(),
                    change: None,
                });
            }
        }
        report.fill();
        report.configuration.extend(last.calibrated());
        report.configuration.extend(last.leaked());
        report.configuration.push(last.configured());
        Ok(report.summarise())
    }

    /// How sure the model is of its choices, and whether it goes by their length.
    fn calibrated(&self) -> Option<Section> {
        let entry = |task: &String| {
            Some(Entry {
                name: task.clone(),
                value: self.calibration(task)?.to_string(),
                note: String::new(),
            })
        };
        section(
            "Calibration and length of choices",
            self.tasks.keys().filter_map(entry),
        )
    }

    /// The rows of benchmarks that stand in training data.
    fn leaked(&self) -> Option<Section> {
        let entries = self.leaks.iter().flat_map(|(task, leaks)| {
            let counts = format!(
                "{} of {} rows stand in the training data",
                leaks.found.len(),
                leaks.searched
            );
            let note = format!("{} too short for a run of words", leaks.too_short);
            let head = Entry {
                name: task.clone(),
                value: counts,
                note,
            };
            let leak = |leak: &Leak| Entry {
                name: format!("{task}, row {}", leak.index),
                value: if leak.text.is_empty() {
                    "a near duplicate".to_owned()
                } else {
                    leak.text.clone()
                },
                note: format!("{} ({:.0} % of it)", leak.training, 100.0 * leak.share),
            };
            let some = leaks.found.iter().take(SHOWN).map(leak);
            [head].into_iter().chain(some).collect::<Vec<_>>()
        });
        section("Benchmarks in the training data", entries)
    }

    /// How the model was asked, and which tasks.
    fn configured(&self) -> Section {
        let entry = |name: &str, value: String, note: String| Entry {
            name: name.to_owned(),
            value,
            note,
        };
        let settings = self.configuration.iter();
        let settings = settings.map(|(name, value)| entry(name, value.to_string(), String::new()));
        let tasks = self.tasks.iter().map(|(name, task)| {
            let value = format!("{} rows, {} shots", task.n, task.shots);
            entry(
                name,
                value,
                format!("version {}, revision {}", task.version, task.revision),
            )
        });
        Section {
            title: "Benchmarks".to_owned(),
            entries: settings.chain(tasks).collect(),
        }
    }
}

fn section(title: &str, entries: impl Iterator<Item = Entry>) -> Option<Section> {
    let entries: Vec<_> = entries.collect();
    (!entries.is_empty()).then(|| Section {
        title: title.to_owned(),
        entries,
    })
}

fn clean(results: &Results, task: &str, metric: &str) -> Option<Estimate> {
    let figure = results.leaks.get(task)?.clean.get(metric)?;
    Some(figure.measured(metric).estimate)
}

//! Reports from results alone.

use super::Results;
use crate::report::{Entry, MetricRow, Section};
use crate::suite::benchmark::metrics_of;
use crate::suite::definition::Definition;
use crate::{Metric, Report, Result, Run};

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
        report.fill();
        report.configuration.push(last.configured());
        Ok(report.summarise())
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

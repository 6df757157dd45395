//! The report in the terminal.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use unicode_width::UnicodeWidthStr;

use super::{
    Entry, Example, MetricRow, Report,
    figures::{arrow, change, change_interval, counted, grouped, interval, share, value},
    learning::{formula, heading, lines, trust, unfitted, verdict},
    table::Table,
};
use crate::{
    Estimate, Flow,
    learning_curve::LearningCurve,
    metric::{Confusion, Unit},
    text::{markdown, one_line, shorten, visible},
};

/// How many examples of a group are shown.
const EXAMPLES: usize = 3;
/// How much of a text is shown in an example, in characters.
const EXCERPT: usize = 240;

impl fmt::Display for Report {
    /// Tables for the terminal; with `{:#}`, Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_title(f, &self.title)?;
        for line in [&self.subtitle, &self.summary.headline]
            .into_iter()
            .filter(|line| !line.is_empty())
        {
            writeln!(
                f,
                "{}{}",
                line_for(f, line),
                if f.alternate() { "\n" } else { "" }
            )?;
        }
        let bullet = if f.alternate() { "-" } else { "•" };
        for point in &self.summary.points {
            writeln!(f, "{bullet} {}", line_for(f, point))?;
        }
        self.write_metrics(f)?;
        self.write_errors(f)?;
        if let Some(flow) = &self.flow {
            write_flow(f, flow)?;
        }
        if let Some(confusion) = &self.confusion {
            write_confusion(f, confusion)?;
        }
        self.write_examples(f)?;
        if let Some(curve) = &self.learning_curve {
            write_learning(f, curve)?;
        }
        self.write_entries(f)
    }
}

impl Report {
    fn write_metrics(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.metrics.is_empty() {
            return Ok(());
        }
        let names = self.models.iter().map(|model| model.name.as_str());
        let mut table = Table::new(["metric"].into_iter().chain(names).chain(["change", "n"]));
        let tasks: BTreeSet<&str> = self.metrics.iter().map(|row| row.task.as_str()).collect();
        for row in &self.metrics {
            let cells = row.values.iter().map(|estimate| {
                estimate.map_or_else(
                    || "—".to_owned(),
                    |estimate| value(estimate.value, row.unit),
                )
            });
            let count = row
                .values
                .iter()
                .flatten()
                .map(|estimate| estimate.count)
                .max()
                .unwrap_or(0);
            let task = if tasks.len() > 1 {
                format!("{}: ", row.task)
            } else {
                String::new()
            };
            let name = [format!("{task}{} {}", row.name, arrow(row.better))];
            let tail = [changed(row), grouped(count as i64)];
            table.row(name.into_iter().chain(cells).chain(tail));
            let bounds = row.values.iter().map(|estimate| {
                estimate.map_or_else(String::new, |estimate| interval(estimate, row.unit))
            });
            let bound = row
                .change
                .as_ref()
                .and_then(|change| change_interval(change.difference.change, row.unit));
            table.row(
                [String::new()]
                    .into_iter()
                    .chain(bounds)
                    .chain([bound.unwrap_or_default(), String::new()]),
            );
        }
        let title =
            "Metrics, with 95% intervals; the change is against the best other model, item by item";
        write_table(f, title, &table)
    }

    fn write_errors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.errors.is_empty() {
            return Ok(());
        }
        let names = self.models.iter().map(|model| model.name.as_str());
        let mut table = Table::new(["error class"].into_iter().chain(names));
        for row in &self.errors {
            let cells = row.shares.iter().map(|estimate| match estimate {
                Some(estimate) => {
                    let count = (estimate.value * estimate.count as f64).round() as i64;
                    format!("{} ({})", share(estimate.value), grouped(count))
                }
                None => "—".to_owned(),
            });
            table.row([row.name.clone()].into_iter().chain(cells));
        }
        let count = self
            .errors
            .iter()
            .flat_map(|row| &row.shares)
            .flatten()
            .map(|share| share.count)
            .max();
        let count = counted(count.unwrap_or(0), "answer");
        let title = format!("Errors: share of {count} for which a class holds; several may hold");
        write_table(f, &title, &table)
    }

    fn write_examples(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in self.examples.iter().filter(|group| !group.items.is_empty()) {
            write_heading(f, &group.title)?;
            for example in group.items.iter().take(EXAMPLES) {
                let mut text = String::new();
                self.write_example(&mut text, example)?;
                write_fenced(f, &text)?;
            }
        }
        Ok(())
    }

    fn write_example(&self, f: &mut String, example: &Example) -> fmt::Result {
        let shown = |text: &str| visible(&shorten(text.trim(), EXCERPT)).replace('\n', "\n      ");
        writeln!(
            f,
            "\n  {}\n    ? {}",
            one_line(&example.origin),
            shown(&example.input)
        )?;
        writeln!(f, "    = {}", shown(&example.reference))?;
        for output in &example.outputs {
            let model = self
                .models
                .get(output.model)
                .map_or("another model", |model| model.name.as_str());
            let classes = output.classes.join(", ");
            let classes = if classes.is_empty() {
                String::new()
            } else {
                format!(" [{classes}]")
            };
            writeln!(
                f,
                "    {}{}: {}",
                one_line(model),
                one_line(&classes),
                shown(&output.text)
            )?;
        }
        Ok(())
    }

    fn write_entries(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = ("Data", self.data.as_slice());
        let sections = self
            .configuration
            .iter()
            .map(|section| (section.title.as_str(), section.entries.as_slice()));
        for (title, entries) in [data]
            .into_iter()
            .chain(sections)
            .filter(|(_, entries)| !entries.is_empty())
        {
            write_heading(f, title)?;
            let bullet = if f.alternate() { "-" } else { " " };
            for Entry { name, value, note } in entries {
                let note = if note.is_empty() {
                    String::new()
                } else {
                    format!("  ({})", line_for(f, note))
                };
                let (name, value) = (line_for(f, name), line_for(f, value));
                writeln!(f, "{bullet} {name}: {value}{note}")?;
            }
        }
        if !self.reproduce.is_empty() {
            write_heading(f, "To make this report again")?;
        }
        for command in &self.reproduce {
            // Four spaces make code of it in Markdown.
            let indent = if f.alternate() { "    " } else { "  " };
            writeln!(f, "{indent}{}", one_line(command))?;
        }
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        for note in &self.notes {
            writeln!(f, "Note: {}", line_for(f, note))?;
        }
        Ok(())
    }
}

fn write_title(f: &mut fmt::Formatter<'_>, title: &str) -> fmt::Result {
    if f.alternate() {
        return writeln!(f, "# {}\n", markdown(title));
    }
    let title = one_line(title);
    writeln!(f, "{title}\n{}", "═".repeat(title.width()))
}

fn write_heading(f: &mut fmt::Formatter<'_>, title: &str) -> fmt::Result {
    if f.alternate() {
        return writeln!(f, "\n## {}\n", markdown(title));
    }
    writeln!(f, "\n{}", one_line(title))
}

fn write_table(f: &mut fmt::Formatter<'_>, title: &str, table: &Table) -> fmt::Result {
    write_heading(f, title)?;
    fmt::Display::fmt(table, f)?;
    writeln!(f)
}

/// A text that keeps its lines: in Markdown between fences that it does not hold.
fn write_fenced(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if !f.alternate() {
        return f.write_str(text);
    }
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    writeln!(f, "{fence}text\n{}\n{fence}\n", text.trim_matches('\n'))
}

/// A line of text in the form that is written.
fn line_for(f: &fmt::Formatter<'_>, text: &str) -> String {
    if f.alternate() {
        markdown(text)
    } else {
        one_line(text)
    }
}

/// The change of a metric.
fn changed(row: &MetricRow) -> String {
    row.change.as_ref().map_or_else(String::new, |compared| {
        change(compared.difference.change.value, row.unit)
    })
}

fn write_flow(f: &mut fmt::Formatter<'_>, flow: &Flow) -> fmt::Result {
    let all = || 0..flow.classes.len();
    let used: Vec<usize> = all()
        .filter(|&class| all().any(|other| flow.count(class, other) + flow.count(other, class) > 0))
        .collect();
    let mut table = Table::new(
        ["from ↓ to →"]
            .into_iter()
            .chain(used.iter().map(|&class| flow.classes[class].as_str())),
    );
    for &from in &used {
        let cells = used.iter().map(|&to| match flow.count(from, to) {
            0 => "·".to_owned(),
            count => grouped(count as i64),
        });
        table.row([flow.classes[from].clone()].into_iter().chain(cells));
    }
    let (before, after) = (one_line(&flow.before), one_line(&flow.after));
    write_table(
        f,
        &format!("Flow of the main error class from {before} to {after}"),
        &table,
    )
}

fn write_confusion(f: &mut fmt::Formatter<'_>, confusion: &Confusion) -> fmt::Result {
    let labels = confusion.labels.iter().map(String::as_str);
    let figures = ["recall", "precision", "F1", "n"];
    let header = ["is ↓ given →"].into_iter().chain(labels).chain(figures);
    let mut table = Table::new(header);
    let shown = |estimate: Estimate| {
        let bounds = interval(estimate, Unit::Share);
        format!("{} ({bounds})", share(estimate.value))
    };
    let shown = |estimate: Option<Estimate>| estimate.map_or_else(|| "—".to_owned(), shown);
    for (reference, class) in confusion.classes().into_iter().enumerate() {
        let counts =
            (0..confusion.labels.len()).map(|output| match confusion.count(reference, output) {
                0 => "·".to_owned(),
                count => grouped(count as i64),
            });
        let figures = [
            shown(class.recall),
            shown(class.precision),
            share(class.f1),
            grouped(class.count as i64),
        ];
        table.row([class.label].into_iter().chain(counts).chain(figures));
    }
    let title = "Which label became which, with 95% intervals of recall and precision";
    write_table(f, title, &table)
}

fn write_learning(f: &mut fmt::Formatter<'_>, curve: &LearningCurve) -> fmt::Result {
    let fit = curve.fit();
    let mut table = Table::new([
        "training rows",
        &heading(curve),
        "seeds",
        "law",
        "95% interval",
    ]);
    for line in lines(curve, fit.as_ref()) {
        table.row([
            line.rows,
            line.measured,
            line.seeds,
            line.law,
            line.interval,
        ]);
    }
    let items = counted(curve.items, "held-out item");
    write_table(f, &format!("Learning curve, over the same {items}"), &table)?;
    let lines = match fit {
        Ok(fit) => vec![formula(curve, &fit), verdict(curve, &fit), trust(&fit)],
        Err(error) => vec![unfitted(&error)],
    };
    // A paragraph each in Markdown.
    let end = if f.alternate() { "\n" } else { "" };
    lines
        .iter()
        .try_for_each(|line| writeln!(f, "{}{end}", line_for(f, line)))
}

//! Questions with answers, and plain text.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use finetune::eval::analysis::{Classes, Vocabulary};
use finetune::eval::local::Local;
use finetune::eval::task::{LanguageModeling, Prompting, QuestionAnswering, TextForm};
use finetune::eval::{Report, Run, Task, evaluate};
use finetune::prelude::*;

#[derive(Args)]
#[command(next_help_heading = "Questions")]
pub(crate) struct Flags {
    /// A folder of another model to compare with, usually the base: the report then shows what changed.
    #[arg(long)]
    before: Option<PathBuf>,
    /// The names of the fields of questions: `prompt=question,completion=answer`; detected without it, or with `auto`.
    #[arg(long)]
    map: Option<String>,
    /// Measure the perplexity of plain text instead of asking questions.
    #[arg(long)]
    text: bool,
    /// chat (the model's own), plain, alpaca, question-answer or custom:PATTERN.
    #[arg(long, default_value = "chat")]
    pub(super) template: String,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    format: Format,
    /// The most tokens of an answer.
    #[arg(long, default_value_t = 128)]
    tokens: usize,
}

/// How a report is printed.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// As tables for the terminal.
    Terminal,
    /// As Markdown.
    Markdown,
}

pub(super) fn run(flags: &super::Flags) -> Result<(), Failure> {
    let own = &flags.questions;
    let [model] = flags.model.as_slice() else {
        return Err("--model: expected one folder; several can be named with --tasks, and one more as --before".into());
    };
    let (mut documents, counts) = program::loaders().load_all(&flags.data, &OnError::Stop)?;
    println!("{counts}");
    let task: Box<dyn Task> = if own.text {
        Box::new(LanguageModeling::new("text"))
    } else {
        let mapping: AnyChat = program::mapping(&flags.data, own.map.as_deref())?;
        let shots: Vec<_> = documents
            .drain(..flags.shots.unwrap_or(0).min(documents.len()))
            .collect();
        let prompting = match mapping.examples(&shots)? {
            shots if shots.is_empty() => Prompting::template(),
            // Answers may have several paragraphs; only the next question ends one.
            shots => Prompting::Text(TextForm {
                shots,
                stop: vec!["\nQuestion:".to_owned()],
                ..TextForm::question_answer()
            }),
        };
        let task = QuestionAnswering::new("questions", mapping);
        Box::new(task.prompting(prompting).max_tokens(own.tokens))
    };

    let device = device(flags.device.as_deref())?;
    let ask = |name: &str, model: &Path, adapter: Option<&Path>| -> Result<Run, Failure> {
        let local = Local::of(&program::open(model)?, adapter, &own.template, &device)?;
        Ok(evaluate(name, &local, task.as_ref(), &documents)?)
    };
    let before = own.before.as_deref();
    let before = before
        .map(|folder| ask("before", folder, None))
        .transpose()?;
    let run = ask("model", model, flags.adapter.as_deref())?;

    let runs: Vec<&Run> = before.iter().chain([&run]).collect();
    let name = flags.adapter.as_ref().unwrap_or(model).display();
    let title = format!("Evaluation of {name}");
    let report = if own.text {
        Report::new(title).compare(&runs, &task.metrics())?
    } else {
        let vocabulary = Vocabulary::of_outcomes(&run.outcomes).with_common_english();
        Report::of_runs(
            title,
            &runs,
            &task.metrics(),
            &Classes::standard(vocabulary),
        )?
    };
    let report = report.summarise();
    match own.format {
        Format::Terminal => println!("{report}"),
        Format::Markdown => println!("{report:#}"),
    }
    if let Some(path) = &flags.output {
        report.write(path)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

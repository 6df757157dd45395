//! Judges a model on questions with answers, or on plain text.
//!
//!     cargo run --release --example evaluate -- --model runs/quickstart/model --data runs/quickstart/test.jsonl --output report.html

use std::path::{Path, PathBuf};

use clap::Parser;
use finetune::eval::analysis::{Classes, Vocabulary};
use finetune::eval::local::Local;
use finetune::eval::task::{LanguageModeling, Prompting, QuestionAnswering, TextForm};
use finetune::eval::{Report, Run, Task, evaluate};
use finetune::prelude::*;

/// Judge a model on questions with answers, or on plain text.
#[derive(Parser)]
struct Flags {
    /// A Hugging Face folder.
    #[arg(long, value_parser = program::model)]
    model: PathBuf,
    /// A folder with an adapter in PEFT's layout.
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// A folder of another model to compare with, usually the base: the report then shows what changed.
    #[arg(long)]
    before: Option<PathBuf>,
    /// Files of conversations or pairs; with `--text`, of texts.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// The names of the fields of questions: `prompt=question,completion=answer`; detected without it, or with `auto`.
    #[arg(long)]
    map: Option<String>,
    /// Measure the perplexity of plain text instead of asking questions.
    #[arg(long)]
    text: bool,
    /// chat (the model's own), plain, alpaca, question-answer or custom:PATTERN.
    #[arg(long, default_value = "chat")]
    template: String,
    /// Solved examples from the data before every question, as plain text; they are not asked.
    #[arg(long, default_value_t = 0)]
    shots: usize,
    /// The most tokens of an answer.
    #[arg(long, default_value_t = 128)]
    tokens: usize,
    /// Where to write the report, by its ending .html, .json or .txt; it is printed in any case.
    #[arg(long)]
    output: Option<PathBuf>,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    device: Option<String>,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    let (mut documents, counts) = program::loaders().load_all(&flags.data, &OnError::Stop)?;
    println!("{counts}");
    let task: Box<dyn Task> = if flags.text {
        Box::new(LanguageModeling::new("text"))
    } else {
        let mapping: AnyChat = program::mapping(&flags.data, flags.map.as_deref())?;
        let shots: Vec<_> = documents
            .drain(..flags.shots.min(documents.len()))
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
        Box::new(task.prompting(prompting).max_tokens(flags.tokens))
    };

    let device = device(flags.device.as_deref())?;
    let ask = |name: &str, model: &Path, adapter: Option<&Path>| -> Result<Run, Failure> {
        let local = Local::of(&program::open(model)?, adapter, &flags.template, &device)?;
        Ok(evaluate(name, &local, task.as_ref(), &documents)?)
    };
    let before = flags.before.as_deref();
    let before = before
        .map(|folder| ask("before", folder, None))
        .transpose()?;
    let run = ask("model", &flags.model, flags.adapter.as_deref())?;

    let runs: Vec<&Run> = before.iter().chain([&run]).collect();
    let name = flags.adapter.as_ref().unwrap_or(&flags.model).display();
    let title = format!("Evaluation of {name}");
    let report = if flags.text {
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
    println!("{report}");
    if let Some(path) = &flags.output {
        report.write(path)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

//! Judges a model on questions with answers, or on plain text.
//!
//!     cargo run --release --example evaluate -- --model FOLDER --data test.jsonl --output report.html

use std::path::PathBuf;

use clap::Parser;
use finetune::eval::analysis::{Classes, Vocabulary};
use finetune::eval::local::Local;
use finetune::eval::task::{LanguageModeling, Prompting, QuestionAnswering};
use finetune::eval::{Report, Task, evaluate};
use finetune::prelude::*;

/// Judge a model on questions with answers, or on plain text.
#[derive(Parser)]
struct Flags {
    /// A Hugging Face folder.
    #[arg(long)]
    model: PathBuf,
    /// A folder with an adapter in PEFT's layout.
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// Files of conversations or pairs; with `--text`, of texts.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Measure the perplexity of plain text instead of asking questions.
    #[arg(long)]
    text: bool,
    /// chat (the model's own), plain, alpaca or question-answer.
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = Flags::parse();
    let device = device(flags.device.as_deref())?;
    let checkpoint = Checkpoint::open(&flags.model)?;
    let mut model = checkpoint.causal_lm(&device)?;
    if let Some(folder) = &flags.adapter {
        model = lora::load(model, checkpoint.architecture(), folder)?;
    }
    let tokenizer = Tokenizer::open(&flags.model)?;
    let template = Templates::default().get(&flags.template, &tokenizer)?;
    let local = Local::new(model, Encoder::new(tokenizer, template));
    let (mut documents, counts) = Loaders::default().load_all(&flags.data, &OnError::Stop)?;
    println!("{counts}");
    let name = flags.model.display().to_string();
    let task: Box<dyn Task> = if flags.text {
        Box::new(LanguageModeling::new("text"))
    } else {
        let shots = documents
            .drain(..flags.shots.min(documents.len()))
            .map(|document| AnyChat::default().example(document))
            .collect::<Result<Vec<_>, _>>()?;
        let prompting = if shots.is_empty() {
            Prompting::template()
        } else {
            Prompting::few_shot(shots)
        };
        Box::new(
            QuestionAnswering::new("questions", AnyChat::default())
                .prompting(prompting)
                .max_tokens(flags.tokens),
        )
    };
    let run = evaluate(&name, &local, task.as_ref(), &documents)?;
    let mut report =
        Report::new(format!("Evaluation of {name}")).compare(&[&run], &task.metrics())?;
    if !flags.text {
        let references = run
            .outcomes
            .iter()
            .flat_map(|outcome| [outcome.reference(), outcome.input.as_str()]);
        let vocabulary = Vocabulary::of_texts(references).with_common_english();
        let analysis = Classes::standard(vocabulary).analyze(&name, &run.outcomes)?;
        report = report.errors(&[&analysis]);
    }
    println!("{report}");
    if let Some(path) = &flags.output {
        report.write(path)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

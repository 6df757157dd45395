//! Says what is wrong with a model's outputs, what changed, where the errors are, and what to collect next.
//!
//!     cargo run --release --example analyze -- --after tuned.jsonl --before base.jsonl --items test.jsonl --training train.jsonl --output analysis
//!
//! Outputs are a run of evaluation as JSON, or lines of `{"input", "reference", "output"}` from any system. Nothing is
//! asked of a model.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use finetune::data::Document;
use finetune::eval::analysis::{
    Definition, Knowledge, Row, RowLoss, Slicer, Suspicion, Vocabulary,
};
use finetune::eval::{Classes, Flow, Outcome};
use finetune::prelude::*;
use serde_json::json;

/// Say what is wrong with a model's outputs, and what to collect next.
#[derive(Parser)]
struct Flags {
    /// The outputs: a run as JSON, or JSON lines with input, reference and output.
    #[arg(long)]
    after: PathBuf,
    /// The outputs of another model on the same items, usually the base: shows what changed.
    #[arg(long)]
    before: Option<PathBuf>,
    /// The documents that the items were made of, by whose fields they are cut into slices.
    #[arg(long, num_args = 1..)]
    items: Vec<PathBuf>,
    /// The field of the items that holds the text that answers must keep to.
    #[arg(long, requires = "items")]
    context: Option<String>,
    /// The training data: questions with answers.
    #[arg(long, num_args = 1..)]
    training: Vec<PathBuf>,
    /// Losses of the training rows after training, in their order: JSON lines of {origin, loss, tokens}.
    #[arg(long, requires = "training")]
    losses: Option<PathBuf>,
    /// A JSON file of further error classes, weightier than the usual ones.
    #[arg(long)]
    classes: Option<PathBuf>,
    /// A word list of correct spellings, one per line.
    #[arg(long)]
    words: Option<PathBuf>,
    /// The folder for analysis.json, and collect.json and collect.jsonl for the generator (the example `synthesize`).
    #[arg(long)]
    output: Option<PathBuf>,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    let items = documents(&flags.items)?;
    let after = outcomes(&flags.after, &items)?;
    let classes = classes(&flags, &after, &items)?;
    let after = classes.analyze(name(&flags.after), &after)?;
    println!("{after}");
    let mut written = json!({"after": after});
    if let Some(path) = &flags.before {
        let before = classes.analyze(name(path), &outcomes(path, &items)?)?;
        let flow = Flow::between(&before, &after)?;
        println!("{before}\n{flow}");
        written["before"] = json!(before);
        written["flow"] = json!(flow);
    }

    let training = documents(&flags.training)?;
    let chats = if training.is_empty() {
        Vec::new()
    } else {
        program::mapping::<AnyChat, _>(&flags.training, None)?.examples(&training)?
    };
    let rows = chats.iter().zip(&training);
    let rows: Vec<Row<'_>> = rows
        .map(|(chat, document)| Row::from(chat).with_fields(document))
        .collect();
    let slicer = Slicer::new(&after).all(&items, &rows)?;
    let slices = slicer.test()?;
    let collection = slicer.collect(&slices, &rows);
    println!("{slices}\n{collection}");
    written["slices"] = json!(slices);
    written["collection"] = json!(collection);
    if let Some(path) = &flags.losses {
        let suspects = Suspicion::default().find(&rows, &RowLoss::open(path)?)?;
        println!("{suspects}");
        written["suspects"] = json!(suspects);
    }

    if let Some(folder) = &flags.output {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("analysis.json"), serde_json::to_vec(&written)?)?;
        if !collection.needs.is_empty() {
            collection.write(folder.join("collect"))?;
        }
        println!("wrote {}", folder.display());
    }
    Ok(())
}

fn classes(flags: &Flags, outcomes: &[Outcome], items: &[Document]) -> Result<Classes, Failure> {
    let mut vocabulary = Vocabulary::of_outcomes(outcomes).with_common_english();
    if let Some(path) = &flags.words {
        vocabulary.add_list(path)?;
    }
    let context = |item: &Document| {
        let text = item.fields.get(flags.context.as_ref()?)?.as_str()?;
        Some((item.origin.clone(), text.to_owned()))
    };
    let knowledge = Knowledge::from(vocabulary).contexts(items.iter().filter_map(context));
    let mut definitions = match &flags.classes {
        Some(path) => Definition::open(path)?,
        None => Vec::new(),
    };
    definitions.extend(Definition::standard());
    Ok(Classes::defined(&definitions, &knowledge)?)
}

fn outcomes(path: &Path, items: &[Document]) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Outcome::open(path)?;
    if !items.is_empty() {
        Outcome::place(&mut outcomes, items)?;
    }
    Ok(outcomes)
}

fn documents(paths: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    Ok(program::loaders().load_all(paths, &OnError::Stop)?.0)
}

fn name(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

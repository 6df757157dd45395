//! Makes data of documents by asking a model: one behind an OpenAI-compatible endpoint, or one of ours.
//!
//!     cargo run --release --features api --example synthesize -- --endpoint http://localhost:8080/v1 --model NAME --make pairs --output pairs.jsonl docs/guide.md
//!     cargo run --release --features api --example synthesize -- --model FOLDER --make harder --output harder.jsonl pairs.jsonl
//!     cargo run --release --example finetune -- --model examples/assets/base --data pairs.jsonl --output tuned
//!
//! A run that was killed, or ended by its budget, goes on when it is started again: no answer is asked for twice.

use std::fs;
use std::path::{PathBuf, absolute};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use finetune::data::chunk::Chunker;
use finetune::data::synthesize::{Api, Ask, Budget, Price, Rates, Recipe, Retry, Synthesis, write};
use finetune::data::{DataError, Document};
use finetune::eval::local::Author;
use finetune::prelude::*;
use finetune::train::signal;

/// Make data of documents by asking a model.
#[derive(Parser)]
pub(crate) struct Flags {
    /// Documents: files, folders, or names of the hub or the web.
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// What is made.
    #[arg(long, value_enum, default_value_t = Make::Pairs)]
    make: Make,
    /// The prompt's template (Jinja) in place of the usual one; or a whole recipe, if the name ends with .json.
    #[arg(long, value_name = "FILE")]
    prompt: Option<PathBuf>,
    /// The file of the result, JSON lines. What an earlier run made is replaced, anything else is not.
    #[arg(long)]
    output: PathBuf,
    /// The folder of the answers, which a later run takes from there.
    #[arg(long, default_value = "runs/synthesize")]
    cache: PathBuf,

    /// The model: its name at the endpoint; without one, a Hugging Face folder or a name such as `hf://owner/name`.
    #[arg(long)]
    model: String,
    /// What stands before `/chat/completions`, such as `http://localhost:8080/v1`.
    #[arg(long, value_name = "URL", value_parser = program::address)]
    endpoint: Option<String>,
    /// The environment variable that holds the endpoint's key. The key is neither shown nor written anywhere.
    #[arg(long, value_name = "VARIABLE", requires = "endpoint")]
    key_from: Option<String>,
    /// How long one answer of the endpoint may take, in seconds.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// A folder with an adapter in PEFT's layout, for a model of ours.
    #[arg(long, conflicts_with = "endpoint")]
    adapter: Option<PathBuf>,
    /// The template of a model of ours: chat (its own), plain, alpaca, question-answer or custom:PATTERN.
    #[arg(long, default_value = "chat")]
    template: String,
    /// The device of a model of ours: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    device: Option<String>,

    /// What becomes of a record that cannot be read: stop, skip or quarantine=FILE.
    #[arg(long, default_value = "stop")]
    on_error: OnError,
    /// The field that holds the text of each record; without it, a record without a text is shown as JSON.
    #[arg(long)]
    field: Option<String>,
    /// The names of the fields of pairs, for `--make questions`; detected without it.
    #[arg(long, default_value = "")]
    map: AnyChat,
    /// Longer documents are asked about in chunks of at most so many characters.
    #[arg(long, default_value_t = 4000)]
    chunk: usize,
    /// With how many characters of its predecessor a chunk begins, at most.
    #[arg(long, default_value_t = 0)]
    overlap: usize,
    /// Ask about the first so many texts only.
    #[arg(long)]
    limit: Option<usize>,

    /// What the data shall aim at; may be given several times, and each text is asked about with each.
    #[arg(long, value_name = "TEXT")]
    aim: Vec<String>,
    /// How many items each prompt asks for.
    #[arg(long, default_value_t = 3)]
    count: u32,
    /// How many times each prompt is asked, with another chance each time.
    #[arg(long, default_value_t = 1)]
    draws: u32,
    /// How much is left to chance; 0 takes the likeliest token.
    #[arg(long, default_value_t = 0.7, allow_negative_numbers = true)]
    temperature: f64,
    /// The most tokens of an answer.
    #[arg(long, default_value_t = 1024)]
    max_tokens: u32,
    /// Fixes what is left to chance.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// How many requests are on their way at once.
    #[arg(long, default_value_t = 4)]
    threads: usize,
    /// The most requests per minute.
    #[arg(long)]
    requests_per_minute: Option<u32>,
    /// The most tokens per minute.
    #[arg(long)]
    tokens_per_minute: Option<u32>,
    /// How many times a request is sent that has no answer.
    #[arg(long, default_value_t = 6)]
    tries: u32,
    /// The most tokens that the run may take, of prompts and answers together.
    #[arg(long)]
    budget_tokens: Option<u64>,
    /// The most that the run may cost, in the currency of the prices.
    #[arg(long, allow_negative_numbers = true)]
    budget_cost: Option<f64>,
    /// What a million tokens of prompts cost.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    price_prompt: f64,
    /// What a million tokens of answers cost.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    price_answer: f64,
}

/// What can be made.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Make {
    /// Questions that a text answers, with their answers.
    Pairs,
    /// A text in other words, to pretrain on.
    Paraphrases,
    /// The question of a pair in other words, with the same answer.
    Questions,
    /// Harder variants of a task, with their solutions.
    Harder,
    /// Prompts with a good answer and a worse one.
    Preferences,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    // The first signal lets what is on its way come in.
    run(&flags, signal::flag()?)
}

/// Makes the data, until all is asked or the flag is set.
pub(crate) fn run(flags: &Flags, stop: Arc<AtomicBool>) -> Result<(), Failure> {
    let recipe = recipe(flags)?;
    apart(flags)?;
    replaceable(flags)?;
    let model = model(flags)?;
    let mut sources = sources(flags)?;
    sources.truncate(flags.limit.unwrap_or(usize::MAX));
    fs::create_dir_all(&flags.cache)
        .map_err(|error| format!("{}: {error}", flags.cache.display()))?;
    let synthesis = program::asked(synthesis(flags, recipe)).stop_flag(stop);
    let (made, counts) = synthesis.run(&*model, &sources)?;
    println!("{counts}");
    if made.is_empty() {
        return Err("no data was made, and nothing is written".into());
    }
    let rows = made.len();
    write(&flags.output, made)?;
    println!("{}: {rows} rows", flags.output.display());
    Ok(())
}

fn recipe(flags: &Flags) -> Result<Recipe, DataError> {
    let recipe = Recipe::named(match flags.make {
        Make::Pairs => "question-answers",
        Make::Paraphrases => "paraphrases",
        Make::Questions => "questions",
        Make::Harder => "harder",
        Make::Preferences => "preferences",
    })?;
    match &flags.prompt {
        None => Ok(recipe),
        Some(path) if path.extension().is_some_and(|ending| ending == "json") => Recipe::open(path),
        Some(path) => recipe.template_from(path),
    }
}

/// Refuses results among the inputs: the next run would ask about them too.
fn apart(flags: &Flags) -> Result<(), Failure> {
    for (name, place) in [("output", &flags.output), ("cache", &flags.cache)] {
        for input in &flags.inputs {
            if absolute(place)?.starts_with(absolute(input)?) {
                let (place, input) = (place.display(), input.display());
                return Err(format!(
                    "{place}: lies in {input}, which is read; choose another --{name}"
                )
                .into());
            }
        }
    }
    Ok(())
}

/// Refuses an output that holds something which no run of this program made, before anything is paid for.
fn replaceable(flags: &Flags) -> Result<(), Failure> {
    let path = &flags.output;
    let refuse = |why: &str| {
        let path = path.display();
        Err(format!("{path}: {why}; choose another --output").into())
    };
    if path.extension().is_none_or(|ending| ending != "jsonl") {
        return refuse("the result is JSON lines; expected a name that ends with .jsonl");
    }
    if !path.exists() {
        return Ok(());
    }
    let first = Loaders::default().load(path).ok();
    match first.and_then(|mut records| records.next()) {
        Some(Ok(record)) if record.fields.contains_key("synthesis") => Ok(()),
        _ => refuse("was not made here"),
    }
}

/// The texts to ask about: documents, the long ones in chunks; or pairs.
fn sources(flags: &Flags) -> Result<Vec<Document>, Failure> {
    let loaders = program::loaders();
    if flags.make == Make::Questions {
        let mapping = Pairs(flags.map.clone());
        let (pairs, counts) = loaders.examples(&flags.inputs, &flags.on_error, &mapping)?;
        println!("{counts}");
        return Ok(pairs);
    }
    let (documents, counts) = loaders.load_all(&flags.inputs, &flags.on_error)?;
    println!("{counts}");
    let chunker = Chunker::characters(flags.chunk).overlap(flags.overlap);
    let chunker = match &flags.field {
        Some(field) => chunker.field(field),
        None => chunker,
    };
    let (count, mut blank, mut sources) = (documents.len(), 0, Vec::new());
    for document in documents {
        let record = flags.field.is_none() && document.text.trim().is_empty();
        if record && !document.fields.is_empty() {
            sources.push(document);
            continue;
        }
        let chunks = chunker.chunks(&document)?;
        blank += usize::from(chunks.is_empty());
        sources.extend(chunks.into_iter().map(|chunk| shown(chunk, flags)));
    }
    let texts = sources.len();
    println!("{texts} texts in {count} documents, {blank} without a text");
    Ok(sources)
}

/// The chunk with its field as its text.
fn shown(mut chunk: Document, flags: &Flags) -> Document {
    let field = flags.field.as_ref();
    if let Some(text) = field.and_then(|name| chunk.fields.get(name)?.as_str()) {
        chunk.text = text.to_owned();
    }
    chunk
}

/// Records of one question with one answer, under the names `prompt` and `completion`.
struct Pairs(AnyChat);

impl Mapping for Pairs {
    type Example = Document;

    fn example(&self, document: Document) -> Result<Document, DataError> {
        let chat = self.0.example(document)?;
        let roles: Vec<Role> = chat.turns.iter().map(|turn| turn.role).collect();
        if roles != [Role::User, Role::Assistant] {
            return Err(DataError::RoleOrder {
                place: (&chat.origin).into(),
                turn: roles.len().min(3),
                found: format!("a chat of {} turns", roles.len()),
                expected: "one question of the user and one answer of the assistant",
            });
        }
        let texts = chat.turns.into_iter().map(|turn| turn.text.into());
        let names = ["prompt", "completion"].map(String::from);
        Ok(Document {
            text: String::new(),
            fields: names.into_iter().zip(texts).collect(),
            origin: chat.origin,
        })
    }
}

/// Who is asked.
fn model(flags: &Flags) -> Result<Box<dyn Ask>, Failure> {
    if let Some(url) = &flags.endpoint {
        let api = Api::new(url, &flags.model).timeout(Duration::from_secs(flags.timeout));
        return Ok(Box::new(match &flags.key_from {
            Some(variable) => api.key_from(variable)?,
            None => api,
        }));
    }
    let checkpoint = program::open(program::model(&flags.model)?)?;
    let (adapter, device) = (flags.adapter.as_deref(), device(flags.device.as_deref())?);
    let author = Author::of(&checkpoint, adapter, &flags.template, &device)?;
    Ok(Box::new(author.named(match adapter {
        Some(adapter) => format!("{} + {}", flags.model, adapter.display()),
        None => flags.model.clone(),
    })))
}

fn synthesis(flags: &Flags, recipe: Recipe) -> Synthesis {
    Synthesis::new(recipe)
        .seeds(flags.aim.iter().map(String::as_str))
        .count(flags.count)
        .draws(flags.draws)
        .temperature(flags.temperature)
        .max_tokens(flags.max_tokens)
        .seed(flags.seed)
        .threads(flags.threads)
        .rates(Rates {
            requests: flags.requests_per_minute,
            tokens: flags.tokens_per_minute,
        })
        .retry(Retry {
            tries: flags.tries,
            ..Retry::default()
        })
        .budget(Budget {
            tokens: flags.budget_tokens,
            cost: flags.budget_cost,
            price: Price {
                prompt: flags.price_prompt,
                completion: flags.price_answer,
            },
        })
        .cache(flags.cache.join("answers.jsonl"))
}

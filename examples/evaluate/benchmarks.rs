//! Benchmarks, as lm-evaluation-harness puts them.

use std::path::{Path, PathBuf};

use clap::Args;
#[cfg(feature = "api")]
use finetune::eval::Endpoint;
use finetune::eval::local::{Local, Long};
use finetune::eval::suite::{Benchmark, Cached, Form, Results, Rows, Setup, Suite, identity};
use finetune::eval::{Evaluation, LanguageModel, Run};
use finetune::prelude::*;

#[derive(Args)]
#[command(next_help_heading = "Benchmarks")]
pub(crate) struct Flags {
    /// Names of tasks, groups or tags, or files of tasks in the harness's form: `arc_easy,mmlu,mine.yaml`.
    #[arg(long, value_delimiter = ',')]
    pub(super) tasks: Vec<String>,
    /// How many rows of each task are asked: the first ones.
    #[arg(long)]
    limit: Option<usize>,
    /// Ask through the model's chat template.
    #[arg(long)]
    chat: bool,
    /// With `--chat`: solved examples as turns of their own.
    #[arg(long, requires = "chat")]
    turns: bool,
    /// A system prompt, before each task's description.
    #[arg(long)]
    system: Option<String>,
    /// The seed with which solved examples are drawn.
    #[arg(long, default_value_t = 1234)]
    seed: u64,
    /// The most tokens that the model reads at once; what its configuration says by default. Longer contexts lose their
    /// beginnings.
    #[arg(long)]
    length: Option<usize>,
    /// Where to write a report of all models, by its ending .html, .json, .md or .txt: the last is compared with the others,
    /// row by row. `--model BASE TUNED` shows what the tuned model has forgotten.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Files of training data, in which the rows of the benchmarks are looked for: the results then say which stand
    /// there, and what the figures are without them.
    #[arg(long, num_args = 1..)]
    train: Vec<PathBuf>,
    /// A folder in which answers are kept, so that an interrupted evaluation goes on where it was.
    #[arg(long)]
    cache: Option<PathBuf>,
}

pub(super) fn run(flags: &super::Flags) -> Result<(), Failure> {
    let own = &flags.benchmarks;
    let [folder] = flags.data.as_slice() else {
        return Err("--data: expected one folder, which holds <task>/<split>.jsonl".into());
    };
    let form = if own.chat {
        Form::Chat { turns: own.turns }
    } else {
        Form::Text
    };
    let setup = Setup {
        shots: flags.shots,
        limit: own.limit,
        form,
        system: own.system.clone(),
        seed: own.seed,
    };
    let selection = Suite::standard().select(&own.tasks)?;
    let rows = Rows::new(folder, program::loaders());
    // All rows are read and all prompts made before a model is opened, so that what is wrong is said at once.
    let open = |task| Benchmark::open(task, &rows, &setup);
    let benchmarks: Vec<_> = selection
        .tasks
        .into_iter()
        .map(open)
        .collect::<Result<_, _>>()?;
    let training = match own.train.as_slice() {
        [] => Vec::new(),
        files => program::loaders().load_all(files, &OnError::Stop)?.0,
    };
    let judge = |answering: &Answering, output: Option<PathBuf>| -> Result<Results, Failure> {
        let runs = benchmarks.iter().map(|benchmark| answering.run(benchmark));
        let runs: Vec<Run> = runs.collect::<Result<_, _>>()?;
        let pairs: Vec<_> = benchmarks.iter().zip(&runs).collect();
        let results = Results::new(&answering.name, &setup, &pairs, &selection.groups);
        let mut results = answering.engine.configure(results);
        if !training.is_empty() {
            results = results.against(&training)?;
        }
        println!("{results}");
        if let Some(note) = answering.engine.note() {
            println!("{note}");
        }
        if let Some(path) = output {
            results.write(&path)?;
            println!("wrote {}", path.display());
        }
        Ok(results)
    };
    let mut all = Vec::new();
    if let Some(url) = &flags.endpoint.endpoint {
        all.push(judge(&Answering::at(flags, url)?, flags.output.clone())?);
    } else {
        for model in &flags.model {
            let output = flags.output.as_deref();
            let output = output.map(|path| path_of(path, model, flags.model.len()));
            all.push(judge(&Answering::open(flags, model)?, output)?);
        }
    }
    if let Some(path) = &own.report {
        let all: Vec<&Results> = all.iter().collect();
        Results::report("Benchmarks", &all)?.write(path)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// A model, and where its answers are kept.
struct Answering {
    name: String,
    engine: Engine,
    cache: Option<(PathBuf, String)>,
}

/// What answers.
enum Engine {
    Local(Box<Local>),
    #[cfg(feature = "api")]
    Endpoint {
        url: String,
        endpoint: Box<Endpoint>,
    },
}

impl Engine {
    fn model(&self) -> &dyn LanguageModel {
        match self {
            Self::Local(local) => &**local,
            #[cfg(feature = "api")]
            Self::Endpoint { endpoint, .. } => &**endpoint,
        }
    }

    /// What a reader of the results has to know.
    fn note(&self) -> Option<String> {
        match self {
            Self::Local(local) if local.cut() > 0 => Some(format!(
                "{} prompts were longer than {} tokens and lost their beginnings",
                local.cut(),
                local.longest()
            )),
            _ => None,
        }
    }

    /// Says in the results how the model was asked.
    fn configure(&self, results: Results) -> Results {
        match self {
            Self::Local(local) => results
                .configure("length", local.longest())
                .configure("cut", local.cut()),
            #[cfg(feature = "api")]
            Self::Endpoint { url, .. } => results.configure("endpoint", url.as_str()),
        }
    }
}

impl Answering {
    /// A model in a folder.
    fn open(flags: &super::Flags, model: &Path) -> Result<Self, Failure> {
        let device = device(flags.device.as_deref())?;
        let adapter = flags.adapter.as_deref();
        // Texts need no template, and many a base model has none.
        let template = if flags.benchmarks.chat {
            flags.questions.template.as_str()
        } else {
            "plain"
        };
        let mut local =
            Local::of(&program::open(model)?, adapter, template, &device)?.long(Long::CutLeft);
        if let Some(length) = flags.benchmarks.length {
            local = local.length(length);
        }
        let length = local.longest();
        let cache = match &flags.benchmarks.cache {
            None => None,
            Some(folder) => {
                let folders: Vec<&Path> = [model].into_iter().chain(adapter).collect();
                let identity = format!("{} {template} {length}", identity(&folders)?);
                Some((folder.clone(), identity))
            }
        };
        Ok(Self {
            name: adapter.unwrap_or(model).display().to_string(),
            engine: Engine::Local(Box::new(local)),
            cache,
        })
    }

    /// A model behind an address.
    #[cfg(feature = "api")]
    fn at(flags: &super::Flags, url: &str) -> Result<Self, Failure> {
        let endpoint = super::endpoint::open(&flags.endpoint, url)?;
        let cache = flags.benchmarks.cache.clone();
        Ok(Self {
            name: endpoint.model().to_owned(),
            cache: cache.map(|folder| (folder, endpoint.identity())),
            engine: Engine::Endpoint {
                url: url.to_owned(),
                endpoint: Box::new(endpoint),
            },
        })
    }

    #[cfg(not(feature = "api"))]
    fn at(_: &super::Flags, url: &str) -> Result<Self, Failure> {
        Err(format!(
            "{url}: this program was built without the feature api; build it with --features api"
        )
        .into())
    }

    fn run(&self, benchmark: &Benchmark) -> Result<Run, Failure> {
        let task = benchmark.definition().task.as_str();
        let evaluation = || {
            Evaluation::default()
                .chunk(64)
                .progress(program::evaluated(task))
        };
        let (model, documents) = (self.engine.model(), benchmark.documents());
        Ok(match &self.cache {
            None => evaluation().run(&self.name, model, benchmark, documents)?,
            Some((folder, identity)) => {
                let cached = Cached::open(model, identity, folder)?;
                evaluation().run(&self.name, &cached, benchmark, documents)?
            }
        })
    }
}

/// The file of a model's results; of several models, each has its own, named after its folder.
fn path_of(path: &Path, model: &Path, models: usize) -> PathBuf {
    if models == 1 {
        return path.to_owned();
    }
    let name = model
        .file_name()
        .map_or_else(|| "model".into(), |name| name.to_string_lossy());
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path
        .extension()
        .map_or_else(|| "json".into(), |ending| ending.to_string_lossy());
    path.with_file_name(format!("{stem}-{name}.{ending}"))
}

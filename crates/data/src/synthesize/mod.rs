//! New data from documents, written by a model.
//!
//! ```text
//! documents × seeds × draws ──Recipe──▶ prompts ──Ask──▶ answers ──Shape──▶ documents with their provenance
//! ```
//!
//! A [`Recipe`] says what is asked for, an [`Ask`] answers: a service (`Api`, with the feature `api`), a model of this
//! project (`finetune::eval::local::Author`) or any of yours. A [`Synthesis`] does the rest. Answers are kept in a file,
//! so that a run that was stopped goes on where it was; limits on pace, tokens and cost are kept; an answer that does not
//! have the form asked for is asked for again, and at last counted. The documents come in the order of their sources,
//! whatever the number of threads, and neither time nor chance stands in them: a second run over the same cache gives the
//! same bytes.
//!
//! For data that is made of hand-written facts without a model, see [`generate`](crate::generate).

#[cfg(feature = "api")]
mod api;
mod ask;
mod budget;
mod cache;
mod counts;
mod pace;
mod recipe;
mod run;
#[cfg(feature = "api")]
mod service;
mod shape;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::Value;

#[cfg(feature = "api")]
pub use api::Api;
pub use ask::{Answer, Ask, Ended, Refusal, Request, Usage};
pub use budget::{Budget, Price};
pub use counts::Counts;
pub use pace::{Rates, Retry};
pub use recipe::Recipe;
#[cfg(feature = "api")]
pub use service::Service;
pub use shape::Shape;

use crate::document::Document;
use crate::draft::Draft;
use crate::error::{DataError, Result};
use crate::parts::{line, record};

/// How data is made of documents.
///
/// ```
/// use finetune_data::synthesize::{Answer, Ask, Ended, Recipe, Refusal, Request, Synthesis};
/// use finetune_data::{Document, Origin};
///
/// struct Echo;
/// impl Ask for Echo {
///     fn model(&self) -> &str {
///         "echo"
///     }
///     fn ask(&self, request: &Request) -> Result<Answer, Refusal> {
///         assert!(request.prompt.contains("Water boils"));
///         let text = r#"{"pairs": [{"question": "What boils?", "answer": "Water."}]}"#.into();
///         Ok(Answer { text, ended: Ended::Stop, usage: None })
///     }
/// }
///
/// # fn main() -> finetune_data::Result<()> {
/// let document = Document {
///     text: "Water boils.".into(),
///     fields: Default::default(),
///     origin: Origin::new("a.txt", 7),
/// };
/// let synthesis = Synthesis::new(Recipe::named("question-answers")?).count(1);
/// let (made, counts) = synthesis.run(&Echo, &[document])?;
/// assert_eq!(made[0].fields["answer"], "Water.");
/// assert_eq!(made[0].fields["synthesis"]["source"], "a.txt:7");
/// assert_eq!((counts.prompts, counts.answered), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Synthesis {
    recipe: Recipe,
    seeds: Vec<Value>,
    draws: u32,
    count: u32,
    seed: u64,
    temperature: f64,
    max_tokens: u32,
    redraws: u32,
    threads: usize,
    rates: Rates,
    retry: Retry,
    budget: Budget,
    cache: Option<PathBuf>,
    stop: Option<Arc<AtomicBool>>,
    watch: Watch,
}

impl Synthesis {
    /// Asks with a recipe: for 3 items per prompt, once per document, at temperature 0.7, answers of at most 1024
    /// tokens, 4 requests at once; without limits on pace and budget, and without a cache.
    pub fn new(recipe: Recipe) -> Self {
        Self {
            recipe,
            seeds: Vec::new(),
            draws: 1,
            count: 3,
            seed: 0,
            temperature: 0.7,
            max_tokens: 1024,
            redraws: 2,
            threads: 4,
            rates: Rates::default(),
            retry: Retry::default(),
            budget: Budget::default(),
            cache: None,
            stop: None,
            watch: Watch::default(),
        }
    }

    /// Texts or values that vary the prompt (`{{ seed }}` in the template): each document is asked about with each.
    pub fn seeds(mut self, seeds: impl IntoIterator<Item = impl Into<Value>>) -> Self {
        self.seeds = seeds.into_iter().map(Into::into).collect();
        self
    }

    /// How many times each prompt is asked, with another chance each time; 1 by default.
    pub fn draws(mut self, draws: u32) -> Self {
        self.draws = draws;
        self
    }

    /// How many items a prompt asks for (`{{ count }}` in the template); 3 by default.
    pub fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// The seed of all chance: of the model's, as far as it heeds seeds, and of the waits between tries.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How much an answer is left to chance; 0.7 by default.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// The longest answer, in tokens; 1024 by default.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = tokens;
        self
    }

    /// How many times a prompt is asked again, with another chance, if its answer is invalid; 2 by default. At
    /// temperature 0 it is not: the answer would be the same.
    pub fn redraws(mut self, redraws: u32) -> Self {
        self.redraws = redraws;
        self
    }

    /// How many requests are on their way at once; 4 by default.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// How often the model may be asked.
    pub fn rates(mut self, rates: Rates) -> Self {
        self.rates = rates;
        self
    }

    /// How a request without an answer is repeated.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// What the run may take. Prompts that it does not allow are counted as failed by `budget`.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// The file of answers; it is made if it does not exist. The key of an answer is made of model, settings, prompt
    /// and chance, so a file can serve several recipes and models.
    pub fn cache(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache = Some(path.into());
        self
    }

    /// Ends the run early when the flag is set, as on a signal: what is on its way is waited for and kept, and prompts
    /// whose answers are not in the cache are counted as failed by `stopped`.
    pub fn stop_flag(mut self, flag: Arc<AtomicBool>) -> Self {
        self.stop = Some(flag);
        self
    }

    /// Calls `watch` whenever a prompt is done with, for a bar: one call after the other, of the threads that ask, which
    /// wait for it.
    pub fn watch(mut self, watch: impl Fn(Asking) + Send + Sync + 'static) -> Self {
        self.watch = Watch(Some(Arc::new(watch)));
        self
    }

    /// Makes data of documents: the fields of an answer's items, and one more, `synthesis`: the `recipe`, the `model`,
    /// the `source` (path and place) and the number of its `chunk`, the `seed` that varied the prompt, and the `chance`
    /// with which it was drawn. The origin is that of the source.
    ///
    /// # Errors
    ///
    /// If a setting or the recipe is at fault, before anything is asked; [`DataError::Service`] if the model would
    /// refuse any request, such as for want of a key; if the cache cannot be read or written. What was answered until
    /// then is in the cache.
    pub fn run(&self, model: &dyn Ask, documents: &[Document]) -> Result<(Vec<Document>, Counts)> {
        self.check()?;
        run::Run::new(self, model, documents)?.finish()
    }

    fn check(&self) -> Result<()> {
        let fault = |name: &str, found: String, expected: &str| {
            Err(DataError::Setting {
                name: format!("synthesis: {name}"),
                found,
                expected: expected.into(),
            })
        };
        for (name, number) in [
            ("threads", self.threads as u64),
            ("draws", self.draws.into()),
            ("count", self.count.into()),
            ("max_tokens", self.max_tokens.into()),
            ("retry.tries", self.retry.tries.into()),
            ("rates.requests", self.rates.requests.unwrap_or(1).into()),
            ("rates.tokens", self.rates.tokens.unwrap_or(1).into()),
        ] {
            if number == 0 {
                return fault(name, "0".into(), "at least 1");
            }
        }
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            return fault(
                "temperature",
                self.temperature.to_string(),
                "a number that is not negative",
            );
        }
        self.budget.check()
    }
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// Prompts that are done with, whether answered or not.
    pub done: u64,
    /// All prompts.
    pub total: u64,
}

/// Who is told how far a run has come.
#[derive(Clone, Default)]
struct Watch(Option<Arc<dyn Fn(Asking) + Send + Sync>>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}

/// Writes made documents as JSON lines, each with its provenance; the file is there whole or not at all.
///
/// # Errors
///
/// [`DataError::Io`] if it cannot be written.
pub fn write(path: impl AsRef<Path>, documents: impl IntoIterator<Item = Document>) -> Result<()> {
    let mut file = Draft::create(path.as_ref())?;
    for document in documents {
        let record = record(document)?;
        line(&record, &mut file).map_err(|error| file.failed(error))?;
    }
    file.finish()?;
    Ok(())
}

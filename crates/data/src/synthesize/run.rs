//! One run: prompts to answers by several threads, answers to documents in order.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::ask::{Answer, Ask, Refusal, Request, Usage};
use super::budget::{Ledger, most};
use super::cache::Cache;
use super::counts::{Counts, blame};
use super::pace::{Halt, Pace};
use super::recipe::{Invalid, PROVENANCE, Prompts};
use super::{Asking, Synthesis};
use crate::document::{Document, Fields};
use crate::error::{DataError, Result, quoted};

/// A run with all that its threads share.
pub(super) struct Run<'a> {
    settings: &'a Synthesis,
    model: &'a dyn Ask,
    documents: &'a [Document],
    prompts: Prompts<'a>,
    jobs: Vec<Job>,
    cache: Option<Cache>,
    pace: Pace,
    ledger: Ledger,
    halt: Halt,
    requests: AtomicU64,
}

/// A prompt to be asked.
#[derive(Debug, Clone, Copy)]
struct Job {
    document: usize,
    /// Which of the seeds varies the prompt.
    seed: Option<usize>,
    /// What the answer depends on, as a hash.
    key: u128,
}

/// What became of a prompt.
struct Outcome {
    records: Vec<Map<String, Value>>,
    /// The chance of the draw that was valid.
    chance: u32,
    /// Whether anything was asked for it in this run.
    asked: bool,
    /// The answers of this run that were invalid.
    invalid: Vec<Invalid>,
    failure: Option<(&'static str, String)>,
}

/// Why a prompt has no answer.
enum Fault {
    Failed(&'static str, String),
    Fatal(DataError),
    /// Another thread has stopped the run.
    Stopped,
}

impl<'a> Run<'a> {
    /// Renders every prompt once, so that a fault of the template is found before anything is paid for.
    pub(super) fn new(
        settings: &'a Synthesis,
        model: &'a dyn Ask,
        documents: &'a [Document],
    ) -> Result<Self> {
        let prompts = settings.recipe.compile()?;
        let seeds: Vec<Option<usize>> = match settings.seeds.len() {
            0 => vec![None],
            count => (0..count).map(Some).collect(),
        };
        let mut jobs = Vec::with_capacity(documents.len() * seeds.len() * settings.draws as usize);
        let mut seen: HashMap<u128, u64> = HashMap::new();
        for (index, document) in documents.iter().enumerate() {
            for seed in &seeds {
                let value = seed.map(|seed| &settings.seeds[seed]);
                let prompt = prompts.render(document, settings.count, value)?;
                let base = hash(&settings.identity(model, &prompt));
                for _ in 0..settings.draws {
                    // The same prompt again, whether of another draw or of an equal document, is another draw.
                    let draw = seen.entry(base).or_default();
                    let key = hash(&json!([base.to_string(), *draw]));
                    *draw += 1;
                    jobs.push(Job {
                        document: index,
                        seed: *seed,
                        key,
                    });
                }
            }
        }
        Ok(Self {
            settings,
            model,
            documents,
            prompts,
            jobs,
            cache: settings.cache.as_deref().map(Cache::open).transpose()?,
            pace: Pace::new(settings.rates),
            ledger: Ledger::new(settings.budget),
            halt: Halt::new(settings.stop.clone()),
            requests: AtomicU64::new(0),
        })
    }

    /// Asks, and gathers what came back in order.
    pub(super) fn finish(self) -> Result<(Vec<Document>, Counts)> {
        let next = AtomicUsize::new(0);
        let outcomes: Vec<Mutex<Option<Outcome>>> =
            self.jobs.iter().map(|_| Mutex::new(None)).collect();
        // The fault of the first prompt that has one, whichever thread met it.
        let fatal: Mutex<Option<(usize, DataError)>> = Mutex::new(None);
        let done = Mutex::new(0);
        let work = || {
            while !self.halt.is_stopped() {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = self.jobs.get(index) else {
                    return;
                };
                match self.outcome(*job) {
                    Ok(outcome) => {
                        *outcomes[index]
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                        self.tell(&done);
                    }
                    Err(error) => {
                        let mut fatal = fatal.lock().unwrap_or_else(PoisonError::into_inner);
                        if let Some(error) = error
                            && fatal.as_ref().is_none_or(|(first, _)| index < *first)
                        {
                            *fatal = Some((index, error));
                        }
                        self.halt.stop();
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.settings.threads.min(self.jobs.len()) {
                scope.spawn(work);
            }
        });
        if let Some((_, error)) = fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let outcomes = outcomes
            .into_iter()
            .filter_map(|outcome| outcome.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(self.gather(outcomes))
    }

    /// Tells that one more prompt is done with.
    fn tell(&self, done: &Mutex<u64>) {
        if let Some(watch) = &self.settings.watch.0 {
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            *done += 1;
            watch(Asking {
                done: *done,
                total: self.jobs.len() as u64,
            });
        }
    }

    fn gather(&self, outcomes: impl Iterator<Item = Outcome>) -> (Vec<Document>, Counts) {
        let usage = self.ledger.spent();
        let mut counts = Counts {
            prompts: self.jobs.len() as u64,
            requests: self.requests.load(Ordering::Relaxed),
            usage,
            cost: self.settings.budget.price.of(usage),
            ..Counts::default()
        };
        let mut made = Vec::new();
        for (job, outcome) in self.jobs.iter().zip(outcomes) {
            for invalid in &outcome.invalid {
                blame(&mut counts.invalid, invalid.reason, &invalid.message);
            }
            match &outcome.failure {
                Some((reason, message)) => blame(&mut counts.failed, reason, message),
                None if outcome.asked => counts.answered += 1,
                None => counts.cached += 1,
            }
            let chance = outcome.chance;
            made.extend(
                outcome
                    .records
                    .into_iter()
                    .map(|record| self.document(*job, chance, record)),
            );
        }
        counts.documents = made.len() as u64;
        (made, counts)
    }

    fn document(&self, job: Job, chance: u32, record: Map<String, Value>) -> Document {
        let source = &self.documents[job.document];
        let mut provenance = json!({
            "recipe": self.settings.recipe.name,
            "model": self.model.model(),
            "source": source.origin.to_string(),
            "chance": chance,
        });
        if let Some(number) = source
            .fields
            .get("chunk")
            .and_then(|lies| lies.get("number"))
        {
            provenance["chunk"] = number.clone();
        }
        if let Some(seed) = job.seed {
            provenance["seed"] = self.settings.seeds[seed].clone();
        }
        let keep = &self.settings.recipe.keep;
        let kept = keep
            .iter()
            .filter_map(|name| Some((name.clone(), source.fields.get(name)?.clone())));
        let mut fields: Fields = kept.chain(record).collect();
        fields.insert(PROVENANCE.into(), provenance);
        Document {
            text: String::new(),
            fields,
            origin: source.origin.clone(),
        }
    }

    /// Asks one prompt until its answer is valid. `Err(None)` if another thread has stopped the run.
    fn outcome(&self, job: Job) -> Result<Outcome, Option<DataError>> {
        let seed = job.seed.map(|seed| &self.settings.seeds[seed]);
        let document = &self.documents[job.document];
        let prompt = self
            .prompts
            .render(document, self.settings.count, seed)
            .map_err(Some)?;
        let mut outcome = Outcome {
            records: Vec::new(),
            chance: 0,
            asked: false,
            invalid: Vec::new(),
            failure: None,
        };
        // Where nothing is left to chance, the answer would be the same.
        let redraws = if self.settings.temperature > 0.0 {
            self.settings.redraws
        } else {
            0
        };
        for draw in 0..=redraws {
            let key = hash(&json!([job.key.to_string(), draw]));
            let request = Request {
                system: self.settings.recipe.system.clone(),
                prompt: prompt.clone(),
                max_tokens: self.settings.max_tokens,
                temperature: self.settings.temperature,
                // Many services take no greater seed.
                seed: (key as u32) >> 1,
            };
            let (answer, asked) = match self.answer(&request, key) {
                Ok(answer) => answer,
                Err(Fault::Failed(reason, message)) => {
                    outcome.failure = Some((reason, message));
                    return Ok(outcome);
                }
                Err(Fault::Fatal(error)) => return Err(Some(error)),
                Err(Fault::Stopped) => return Err(None),
            };
            outcome.asked |= asked;
            match self.settings.recipe.read(&answer) {
                Ok(records) => {
                    outcome.records = records;
                    outcome.chance = request.seed;
                    outcome.failure = None;
                    return Ok(outcome);
                }
                Err(invalid) => {
                    outcome.failure = Some((invalid.reason, invalid.message.clone()));
                    outcome.invalid.extend(asked.then_some(invalid));
                }
            }
        }
        Ok(outcome)
    }

    /// The answer to a request, and whether it was asked for in this run.
    fn answer(&self, request: &Request, key: u128) -> Result<(Answer, bool), Fault> {
        let name = format!("{key:032x}");
        if let Some(cache) = &self.cache
            && let Some(answer) = cache.get(&name).map_err(Fault::Fatal)?
        {
            return Ok((answer, false));
        }
        let answer = self.obtain(request, key)?;
        if let Some(cache) = &self.cache {
            cache.put(&name, &answer).map_err(Fault::Fatal)?;
        }
        Ok((answer, true))
    }

    /// Asks until there is an answer, at the pace and within the budget of the run.
    fn obtain(&self, request: &Request, key: u128) -> Result<Answer, Fault> {
        let most = most(request);
        // Services count the longest answer, and about four bytes of the prompt as a token.
        let tokens = most.prompt / 4 + most.completion;
        let mut tried = 0;
        loop {
            if self.halt.is_told() {
                return Err(self.halted());
            }
            if !self.ledger.reserve(most) {
                let message = "the budget does not allow another request".into();
                return Err(Fault::Failed("budget", message));
            }
            if !self.pace.admit(tokens, &self.halt) {
                self.ledger.settle(most, Usage::default());
                return Err(self.halted());
            }
            self.requests.fetch_add(1, Ordering::Relaxed);
            tried += 1;
            let refusal = match self.ask(request, most) {
                Ok(answer) => {
                    self.ledger.settle(most, answer.usage.unwrap_or(most));
                    return Ok(answer);
                }
                Err(refusal) => refusal,
            };
            let taken = if refusal.may_cost() {
                most
            } else {
                Usage::default()
            };
            self.ledger.settle(most, taken);
            self.wait(&refusal, key, tried)?;
        }
    }

    /// Asks once. A panic stops the other threads, which would wait for what is set aside here.
    fn ask(&self, request: &Request, most: Usage) -> Result<Answer, Refusal> {
        let asked = catch_unwind(AssertUnwindSafe(|| self.model.ask(request)));
        asked.unwrap_or_else(|panic| {
            self.ledger.settle(most, most);
            self.halt.stop();
            resume_unwind(panic)
        })
    }

    /// Waits before the next try, if there is to be one.
    fn wait(&self, refusal: &Refusal, key: u128, tried: u32) -> Result<(), Fault> {
        if let Refusal::Denied { message } = refusal {
            return Err(Fault::Fatal(DataError::Service {
                name: quoted(self.model.model()),
                message: message.clone(),
            }));
        }
        let pause = self
            .settings
            .retry
            .pause(refusal, self.settings.seed, key, tried);
        let wait = pause.map_err(|message| Fault::Failed(refusal.reason(), message))?;
        if let Refusal::Busy {
            after: Some(after), ..
        } = refusal
        {
            self.pace.hold(*after);
        }
        if self.halt.sleep(wait) {
            Ok(())
        } else {
            Err(self.halted())
        }
    }

    /// Why nothing more is asked.
    fn halted(&self) -> Fault {
        if self.halt.is_stopped() {
            return Fault::Stopped;
        }
        let message = "the run was told to end; the next one goes on here".into();
        Fault::Failed("stopped", message)
    }
}

impl Synthesis {
    /// All that an answer depends on but the draw.
    fn identity(&self, model: &dyn Ask, prompt: &str) -> Value {
        json!([
            model.model(),
            model.settings(),
            self.recipe.system,
            prompt,
            self.max_tokens,
            self.temperature,
            self.seed,
        ])
    }
}

/// The hash of a list, whose parts JSON keeps apart.
fn hash(parts: &Value) -> u128 {
    xxh3_128(parts.to_string().as_bytes())
}

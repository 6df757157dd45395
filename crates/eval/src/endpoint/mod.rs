//! Models behind an OpenAI-compatible endpoint.

mod echo;
mod place;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use finetune_data::synthesize::{Answer, Ended, Refusal, Retry, Service};
use finetune_data::{Conversation, Role, ToolUse, Turn};
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::text::excerpt;
use crate::{Context, Continuation, EvalError, Finish, Generation, LanguageModel, Prompt};
use crate::{Result, Score};

/// Where texts are continued and scored.
const TEXTS: &str = "/completions";
/// Where chats are answered.
const CHATS: &str = "/chat/completions";
/// The most stop texts that the protocol takes.
const STOPS: usize = 4;

/// A model behind a [`Service`] that speaks `OpenAI`'s protocol: `OpenAI`'s own, or a server such as `vLLM`,
/// llama-cpp-python or Ollama.
///
/// Texts are continued by `POST /completions`, conversations answered by `POST /chat/completions`, at temperature 0. The
/// first four stop texts of a prompt are sent, as many as the protocol takes; the answer is cut at all of them here. Its
/// number of tokens is what the service says, 0 if it says nothing.
///
/// Scores are taken as lm-evaluation-harness's `local-completions` takes them: context and continuation go as one text to
/// `POST /completions` with `echo` and `logprobs`, and the log-probabilities of the continuation's tokens are summed.
/// White space at the end of a context is scored with the continuation. Three things differ from the harness:
///
/// - It knows the model's tokenizer and parts the tokens by the number that the context has alone. Here they are parted
///   by the texts that the service gives for them; a token that holds the last characters of the context and the first
///   ones of the continuation is scored with the continuation. The two agree wherever no token lies across the border.
/// - It sends tokens, without BOS. A text is sent here, before which the service puts what its tokenizer puts, as
///   [`Local`](crate::local::Local) does.
/// - It cuts long documents into windows. [`rolling`](LanguageModel::rolling) sends each as a whole, and one that is
///   longer than the service takes is an error.
///
/// Services without `echo` (llama.cpp's own server, and those that only chat) answer prompts, and scores are an error that
/// says so. A conversation cannot be scored at all: the protocol has no way to ask for it.
///
/// ```no_run
/// use finetune_data::synthesize::Service;
/// use finetune_eval::{Continuation, Endpoint, LanguageModel};
///
/// let service = Service::new("http://localhost:8000/v1").key_from("SERVICE_KEY")?;
/// let model = Endpoint::new(service, "a-model").concurrency(8);
/// let scores = model.score(&[Continuation::new("The capital of France is", " Paris")])?;
/// # Ok::<(), finetune_eval::EvalError>(())
/// ```
pub struct Endpoint {
    service: Service,
    model: String,
    concurrency: usize,
    retry: Retry,
    seed: u32,
    beginning: String,
    continues: bool,
    fields: Map<String, Value>,
}

impl Endpoint {
    /// A model of a service by its name there, asked once at a time.
    pub fn new(service: Service, model: impl Into<String>) -> Self {
        Self {
            service,
            model: model.into(),
            concurrency: 1,
            retry: Retry::default(),
            seed: 1234,
            beginning: String::new(),
            continues: false,
            fields: Map::new(),
        }
    }

    /// How many requests are on their way at once; 1 by default. Answers do not depend on it, as far as the service's
    /// own do not.
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests.max(1);
        self
    }

    /// How a request without an answer is repeated.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The seed that is sent; 1234 by default, as in lm-evaluation-harness.
    pub fn seed(mut self, seed: u32) -> Self {
        self.seed = seed;
        self
    }

    /// The token that stands for the beginning of a document, as text: `<|endoftext|>`. It is sent before what has no
    /// context. Name it where the service puts no such token before a text by itself, since the first token of a text
    /// has no log-probability; none by default.
    pub fn beginning(mut self, token: impl Into<String>) -> Self {
        self.beginning = token.into();
        self
    }

    /// Whether the service goes on with an answer that has begun, told by `continue_final_message` as `vLLM` knows it;
    /// off by default, and such prompts are refused. A service that does not know the field would begin another answer.
    pub fn continues(mut self, continues: bool) -> Self {
        self.continues = continues;
        self
    }

    /// Adds a field to every request, such as `add_special_tokens`, or replaces one; null leaves it out.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// What tells the model from all others for [`Cached`](crate::suite::Cached): the service's address, the model's
    /// name, and the settings that answers depend on.
    pub fn identity(&self) -> String {
        let (url, model) = (self.service.url(""), &self.model);
        json!([
            url,
            model,
            self.seed,
            self.beginning,
            self.continues,
            self.fields
        ])
        .to_string()
    }

    /// The answers to all requests, in their order, or the error of the first that has one.
    fn in_order<Q: Sync, A: Send + Sync>(
        &self,
        requests: &[Q],
        ask: impl Fn(&Q) -> Result<A> + Sync,
    ) -> Result<Vec<A>> {
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let answers: Vec<OnceLock<Result<A>>> = requests.iter().map(|_| OnceLock::new()).collect();
        let work = || {
            // What was taken is asked to the end, so that the first error is the same for any number of threads.
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let (Some(request), Some(answer)) = (requests.get(index), answers.get(index))
                else {
                    return;
                };
                let found = answer.get_or_init(|| ask(request));
                failed.fetch_or(found.is_err(), Ordering::Relaxed);
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.concurrency.min(requests.len()) {
                scope.spawn(work);
            }
        });
        answers
            .into_iter()
            .map_while(OnceLock::into_inner)
            .collect()
    }

    /// The body of a request: its own fields, those that all have, and the user's.
    fn body(&self, own: &Value) -> Value {
        let mut body = json!({"model": self.model, "temperature": 0, "seed": self.seed});
        for fields in [own.as_object(), Some(&self.fields)].into_iter().flatten() {
            for (name, value) in fields {
                body[name] = value.clone();
            }
        }
        if let Some(body) = body.as_object_mut() {
            body.retain(|_, value| !value.is_null());
        }
        body
    }

    /// Sends a request until there is an answer of the protocol's form.
    fn post<A>(
        &self,
        path: &str,
        own: &Value,
        read: impl Fn(Value) -> Result<A, Refusal>,
    ) -> Result<A, Refusal> {
        let body = self.body(own);
        let request = xxh3_128(body.to_string().as_bytes());
        let ask = || read(self.service.post(path, &body)?);
        self.retry.repeat(request, ask)
    }

    fn error(&self, path: &str, message: impl Into<String>, asked: String) -> EvalError {
        EvalError::Endpoint {
            model: self.model.clone(),
            url: self.service.url(path),
            message: message.into(),
            asked,
        }
    }

    fn generation(&self, prompt: &Prompt) -> Result<Generation> {
        let (path, mut own) = match &prompt.context {
            Context::Text(text) if text.is_empty() => (TEXTS, json!({"prompt": self.beginning})),
            Context::Text(text) => (TEXTS, json!({"prompt": text})),
            Context::Conversation(conversation) => {
                (CHATS, json!({"messages": messages(conversation)?}))
            }
            Context::Begun {
                conversation,
                answer,
            } => (CHATS, self.begun(conversation, answer)?),
        };
        own["max_tokens"] = prompt.max_tokens.into();
        let stop = prompt.stop.iter().filter(|text| !text.is_empty());
        let stop: Vec<&String> = stop.take(STOPS).collect();
        if !stop.is_empty() {
            own["stop"] = json!(stop);
        }
        let answer = self.post(path, &own, |response| Answer::read(&response));
        let fault = |message: &str| self.error(path, message, prompt.context.shown());
        let answer = answer.map_err(|refusal| fault(refusal.message()))?;
        if answer.ended == Ended::Filter {
            return Err(fault("a filter of the service stopped the answer"));
        }
        let (text, stopped) = cut(&answer.text, &prompt.stop);
        let finished = match answer.ended {
            Ended::Length if !stopped => Finish::Length,
            _ => Finish::Stop,
        };
        Ok(Generation {
            text: text.to_owned(),
            finished,
            tokens: answer.usage.map_or(0, |usage| usage.completion as usize),
        })
    }

    /// The fields that ask to go on with an answer.
    fn begun(&self, conversation: &Conversation, answer: &str) -> Result<Value> {
        if !self.continues {
            return Err(EvalError::Setting {
                what: format!("the beginning {:?} of an answer", excerpt(answer)),
                reason: "the protocol does not say how a service goes on with it; if this one knows \
                         continue_final_message, as vLLM does, say so with Endpoint::continues, else ask in plain text"
                    .to_owned(),
            });
        }
        let mut messages = messages(conversation)?;
        messages.push(json!({"role": Role::Assistant.name(), "content": answer}));
        Ok(json!({
            "messages": messages,
            "continue_final_message": true,
            "add_generation_prompt": false,
        }))
    }
}

impl LanguageModel for Endpoint {
    /// As [`LanguageModel::score`].
    ///
    /// # Errors
    /// [`EvalError::Endpoint`] if the service fails, or gives no log-probabilities for what it is sent;
    /// [`EvalError::Setting`] for a conversation, and for a continuation without text.
    fn score(&self, requests: &[Continuation]) -> Result<Vec<Score>> {
        self.in_order(requests, |request| self.scored(request))
    }

    /// As [`LanguageModel::generate`].
    ///
    /// # Errors
    /// [`EvalError::Endpoint`] if the service fails or stops an answer by a filter; [`EvalError::Setting`] for an answer
    /// that has begun, without [`continues`](Endpoint::continues), and for turns with tools or thoughts.
    fn generate(&self, prompts: &[Prompt]) -> Result<Vec<Generation>> {
        self.in_order(prompts, |prompt| self.generation(prompt))
    }
}

/// The messages of a conversation.
fn messages(conversation: &Conversation) -> Result<Vec<Value>> {
    let plain = |turn: &Turn| turn.thought.is_none() && turn.tools == ToolUse::None;
    if !conversation.tools.is_empty() || !conversation.turns.iter().all(plain) {
        return Err(EvalError::Setting {
            what: format!("{}: the conversation", conversation.origin),
            reason: "it has tools or thoughts; an endpoint can be asked about plain turns only"
                .to_owned(),
        });
    }
    let message = |turn: &Turn| json!({"role": turn.role.name(), "content": turn.text});
    Ok(conversation.turns.iter().map(message).collect())
}

/// The text before the first of the stop texts, and whether there was one.
fn cut<'t>(text: &'t str, stops: &[String]) -> (&'t str, bool) {
    let stops = stops.iter().filter(|stop| !stop.is_empty());
    let first = stops.filter_map(|stop| text.find(stop.as_str())).min();
    first.map_or((text, false), |at| (&text[..at], true))
}

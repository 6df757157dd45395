//! Services that speak `OpenAI`'s protocol for chats.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::ask::{Answer, Ask, Refusal, Request};
use super::service::Service;
use crate::error::Result;

/// Where chats are asked for.
const PATH: &str = "/chat/completions";

/// A model behind `POST {base}/chat/completions` of a [`Service`].
///
/// ```no_run
/// use finetune_data::synthesize::Api;
///
/// let api = Api::new("https://api.example.com/v1", "a-model").key_from("EXAMPLE_API_KEY")?;
/// # Ok::<(), finetune_data::DataError>(())
/// ```
pub struct Api {
    service: Service,
    model: String,
    length_name: &'static str,
    extra: Map<String, Value>,
}

impl Api {
    /// A model of a service. `base` is what stands before `/chat/completions`.
    pub fn new(base: &str, model: &str) -> Self {
        Self {
            service: Service::new(base),
            model: model.into(),
            length_name: "max_tokens",
            extra: Map::new(),
        }
    }

    /// Sends the key that stands in an environment variable. It is never shown.
    ///
    /// # Errors
    ///
    /// As [`Service::key_from`].
    pub fn key_from(mut self, variable: &str) -> Result<Self> {
        self.service = self.service.key_from(variable)?;
        Ok(self)
    }

    /// How long one request may take, from its first byte to the last of its answer; 120 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.service = self.service.timeout(timeout);
        self
    }

    /// Sends the longest answer as `max_completion_tokens`, which newer models want, instead of `max_tokens`.
    pub fn completion_length(mut self) -> Self {
        self.length_name = "max_completion_tokens";
        self
    }

    /// Adds a field to every request, such as `top_p` or `response_format`.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    fn body(&self, request: &Request) -> Value {
        let mut messages = Vec::new();
        messages.extend(
            request
                .system
                .as_ref()
                .map(|text| json!({"role": "system", "content": text})),
        );
        messages.push(json!({"role": "user", "content": request.prompt}));
        let mut body = json!({
            "model": self.model,
            "messages": messages,
            "temperature": request.temperature,
            "seed": request.seed,
        });
        body[self.length_name] = request.max_tokens.into();
        for (name, value) in &self.extra {
            body[name] = value.clone();
        }
        body
    }
}

impl Ask for Api {
    fn model(&self) -> &str {
        &self.model
    }

    fn settings(&self) -> String {
        json!([self.service.url(PATH), self.extra]).to_string()
    }

    fn ask(&self, request: &Request) -> Result<Answer, Refusal> {
        Answer::read(&self.service.post(PATH, &self.body(request))?)
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("service", &self.service)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

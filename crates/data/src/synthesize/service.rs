//! A service that speaks `OpenAI`'s protocol, whatever is asked of it.

use std::env;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use ureq::{Agent, Timeout};

use super::ask::{Answer, Ended, Refusal, Usage};
use crate::calendar;
use crate::error::{DataError, Result, escaped, quoted};
use crate::load::parse::type_name;

/// The longest response, in bytes.
const RESPONSE: u64 = 16 << 20;

/// A service behind one address: `OpenAI`'s, or a server such as `vLLM`, llama.cpp or Ollama.
///
/// Redirects are not followed, since the key would go with them.
///
/// ```no_run
/// use finetune_data::synthesize::{Retry, Service};
/// use serde_json::json;
///
/// let service = Service::new("https://api.example.com/v1").key_from("EXAMPLE_API_KEY")?;
/// let body = json!({"model": "a-model", "prompt": "Once", "max_tokens": 5});
/// let response = Retry::default().repeat(0, || service.post("/completions", &body));
/// # Ok::<(), finetune_data::DataError>(())
/// ```
pub struct Service {
    base: String,
    key: Option<String>,
    timeout: Duration,
    agent: Agent,
}

impl Service {
    /// A service by what stands before the paths of its requests, such as `https://api.example.com/v1`.
    pub fn new(base: &str) -> Self {
        let timeout = Duration::from_mins(2);
        let base = base.trim_end_matches('/');
        Self {
            agent: agent(base, timeout),
            base: base.into(),
            key: None,
            timeout,
        }
    }

    /// Sends the key that stands in an environment variable. It is never shown.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if the variable is not set, empty, or not a line of ASCII.
    pub fn key_from(mut self, variable: &str) -> Result<Self> {
        let fault = |found: &str| DataError::Setting {
            name: format!("environment variable {}", quoted(variable)),
            found: found.into(),
            expected: "the key of the service. Set it".into(),
        };
        let key = env::var(variable).map_err(|error| match error {
            env::VarError::NotPresent => fault("nothing"),
            env::VarError::NotUnicode(_) => fault("bytes that are not UTF-8"),
        })?;
        let key = key.trim();
        if key.is_empty() {
            return Err(fault("an empty text"));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(fault("characters that no key has"));
        }
        self.key = Some(key.into());
        Ok(self)
    }

    /// How long one request may take, from its first byte to the last of its answer; 120 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.agent = agent(&self.base, timeout);
        self
    }

    /// The address of a path that begins with `/`; of the empty one, what stands before all paths.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends a request once.
    ///
    /// # Arguments
    /// - `path`: what follows the service's address, such as `/completions`
    ///
    /// # Returns
    /// The JSON of a response of a status in the 200s that reports no error.
    ///
    /// # Errors
    ///
    /// Why there is none, and whether it is of use to ask again. The key does not stand in it.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let mut call = self.agent.post(self.url(path));
        if let Some(key) = &self.key {
            call = call.header("authorization", format!("Bearer {key}"));
        }
        let mut response = call.send_json(body).map_err(|error| self.lost(&error))?;
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(String::from)
        };
        let status = response.status().as_u16();
        let (after, location) = (header("retry-after"), header("location"));
        let body = response
            .body_mut()
            .with_config()
            .limit(RESPONSE)
            .read_to_vec();
        if (200..300).contains(&status) {
            return self.parsed(&body.map_err(|error| self.lost(&error))?);
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let after = after.and_then(|text| retry_after(&text, now));
        // The status says enough, even if the rest is lost.
        let body = body.unwrap_or_default();
        Err(self.refused(status, after, location.as_deref(), &body))
    }

    fn parsed(&self, body: &[u8]) -> Result<Value, Refusal> {
        let value: Value = serde_json::from_slice(body).map_err(|error| Refusal::Unreadable {
            message: format!(
                "found \"{}\"; expected JSON: {error}",
                self.shown(&String::from_utf8_lossy(body))
            ),
        })?;
        // Some servers report an error with status 200.
        match value.get("error").filter(|error| !error.is_null()) {
            None => Ok(value),
            Some(error) => Err(Refusal::Failed {
                message: self.shown(&error.to_string()),
            }),
        }
    }

    /// What a service says, for a message: escaped, cut, and without the key, which some services repeat.
    fn shown(&self, text: &str) -> String {
        match &self.key {
            Some(key) => escaped(&text.replace(key.as_str(), "[key]")),
            None => escaped(text),
        }
    }

    /// Why there is no response, or only a part of one.
    fn lost(&self, error: &ureq::Error) -> Refusal {
        let message = self.shown(&error.to_string());
        match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed => Refusal::Failed {
                message: format!("cannot connect: {message}"),
            },
            ureq::Error::Timeout(_) => Refusal::Lost {
                message: format!("no answer in {} s", self.timeout.as_secs_f64()),
            },
            ureq::Error::BodyExceedsLimit(limit) => Refusal::Unreadable {
                message: format!("found a response of more than {limit} bytes; expected an answer"),
            },
            ureq::Error::Http(_)
            | ureq::Error::BadUri(_)
            | ureq::Error::InvalidProxyUrl
            | ureq::Error::Tls(_)
            | ureq::Error::Rustls(_)
            | ureq::Error::TlsRequired => Refusal::Denied { message },
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Refusal::Failed {
                    message: format!("cannot connect: {message}"),
                }
            }
            _ => Refusal::Lost { message },
        }
    }

    /// Why a response of another status is no answer.
    fn refused(
        &self,
        status: u16,
        after: Option<Duration>,
        location: Option<&str>,
        body: &[u8],
    ) -> Refusal {
        let body = String::from_utf8_lossy(body);
        let parsed: Value = serde_json::from_str(&body).unwrap_or_default();
        let error = parsed.get("error").unwrap_or(&parsed);
        let said = error
            .get("message")
            .and_then(Value::as_str)
            .or(error.as_str())
            .unwrap_or(&body);
        let message = format!("status {status}: {}", self.shown(said.trim()));
        let code =
            |name: &str| error.get(name).and_then(Value::as_str) == Some("insufficient_quota");
        match status {
            429 if code("code") || code("type") => Refusal::Denied { message },
            429 => Refusal::Busy { after, message },
            500..=599 if after.is_some() => Refusal::Busy { after, message },
            408 | 409 | 425 | 500..=599 => Refusal::Failed { message },
            401..=405 => Refusal::Denied { message },
            300..=399 => {
                let to = location.map_or("elsewhere".into(), |to| self.shown(to));
                let message =
                    format!("status {status}: the service redirects to {to}; name that address");
                Refusal::Denied { message }
            }
            _ => Refusal::Rejected { message },
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("base", &self.base)
            .field("key", &self.key.as_ref().map(|_| "[key]"))
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// The first answer in the response to a request for a chat or for the continuation of a text.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unreadable`] if there is none.
    pub fn read(response: &Value) -> Result<Self, Refusal> {
        let unreadable = |message: String| Refusal::Unreadable { message };
        let choice = response.get("choices").and_then(|choices| choices.get(0));
        let choice = choice.ok_or_else(|| unreadable("found no choices; expected one".into()))?;
        let ended = match choice.get("finish_reason").and_then(Value::as_str) {
            Some("length") => Ended::Length,
            Some("content_filter") => Ended::Filter,
            _ => Ended::Stop,
        };
        let (name, content) = match choice.get("message").filter(|message| !message.is_null()) {
            Some(message) => ("content", message.get("content")),
            None => ("text", choice.get("text")),
        };
        let text = match content {
            Some(Value::String(text)) => text.clone(),
            // What was filtered, or cut off while the model was thinking, may have no text at all.
            None | Some(Value::Null) if ended != Ended::Stop => String::new(),
            other => {
                let found = other.map_or("nothing", type_name);
                return Err(unreadable(format!(
                    "{name}: found {found}; expected a text"
                )));
            }
        };
        let tokens = |name: &str| response.get("usage")?.get(name)?.as_u64();
        let usage = match (tokens("prompt_tokens"), tokens("completion_tokens")) {
            (Some(prompt), Some(completion)) => Some(Usage { prompt, completion }),
            _ => None,
        };
        Ok(Self { text, ended, usage })
    }
}

fn agent(url: &str, timeout: Duration) -> Agent {
    let mut config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false);
    let host = url.split("://").nth(1).unwrap_or_default();
    if ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|name| host.starts_with(name))
    {
        // A proxy does not know this machine.
        config = config.proxy(None);
    }
    config.build().new_agent()
}

/// What a `Retry-After` header says: a number of seconds, or a date. `now` is in seconds since 1970.
fn retry_after(text: &str, now: u64) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let seconds = date(text)?.saturating_sub(now);
    Some(Duration::from_secs(seconds))
}

/// The seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
fn date(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = parts[..] else {
        return None;
    };
    let month = calendar::month(month)?;
    let (day, year): (u32, i64) = (day.parse().ok()?, year.parse().ok()?);
    let clock: Vec<u64> = time
        .split(':')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [hour, minute, second] = clock[..] else {
        return None;
    };
    if !(1970..10_000).contains(&year)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let days = u64::try_from(calendar::days(year, month, day)).ok()?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_as_seconds_and_as_dates() {
        let now = 784_111_777;
        for (text, expected) in [
            ("7", Some(7.0)),
            ("0.5", Some(0.5)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3.0)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0.0)),
            ("Thu, 29 Feb 1996 00:00:00 GMT", Some(41_440_223.0)),
            ("-1", None),
            ("nan", None),
            ("1e400", None),
            ("soon", None),
            ("Sun, 99 Nov 1994 08:49:40 GMT", None),
            ("Sun, 06 Nov 99999999999999999999 08:49:40 GMT", None),
            ("", None),
        ] {
            let expected = expected.map(Duration::from_secs_f64);
            assert_eq!(retry_after(text, now), expected, "{text}");
        }
    }
}

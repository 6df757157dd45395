//! Scores from texts that are repeated with their log-probabilities.

use finetune_data::synthesize::Refusal;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::place::{Places, places};
use super::{Endpoint, TEXTS};
use crate::text::{excerpt, one_line};
use crate::{Context, Continuation, EvalError, Result, Score};

/// What a service needs for scores.
const NEEDED: &str = "scores need a service that repeats a text with its log-probabilities (echo and logprobs of \
                      /completions), as vLLM and llama-cpp-python do; tasks of the kind generate_until do without them";

/// How much above 0 a log-probability may lie by rounding.
const ROUNDING: f64 = 1e-3;

/// A response, as far as it is read.
#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    /// Absent or of another form in services that cannot repeat a text.
    logprobs: Option<Value>,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: Option<usize>,
}

/// What is said of the tokens, one entry for each.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields of the protocol")]
struct Tokens {
    tokens: Vec<String>,
    token_logprobs: Vec<Option<f64>>,
    top_logprobs: Option<Vec<Option<Map<String, Value>>>>,
    text_offset: Option<Vec<usize>>,
}

impl Endpoint {
    pub(super) fn scored(&self, request: &Continuation) -> Result<Score> {
        let Context::Text(context) = &request.context else {
            return Err(EvalError::Setting {
                what: format!(
                    "the score of {:?} in a conversation",
                    excerpt(&request.text)
                ),
                reason: "an endpoint gives no log-probabilities of an answer that it did not write; ask in plain text, \
                         without the chat template"
                    .to_owned(),
            });
        };
        let kept = context.trim_end();
        let text = format!("{}{}", &context[kept.len()..], request.text);
        if text.is_empty() {
            return Err(EvalError::Setting {
                what: format!("continuation {text:?} of {:?}", excerpt(context)),
                reason: "it has no text; expected at least one token".to_owned(),
            });
        }
        let before = if kept.is_empty() {
            self.beginning.as_str()
        } else {
            kept
        };
        let asked = format!("{before}{text}");
        let score = || {
            let (tokens, written) = self.echo(&asked)?;
            let whole = tokens.score(&asked, before.len(), written);
            if before == kept {
                return whole;
            }
            // A service may show the beginning as another text than it was given.
            whole.or_else(|error| tokens.score(&text, 0, written).map_err(|_| error))
        };
        score().map_err(|message| self.error(TEXTS, message, asked.clone()))
    }

    /// The tokens of a text that is repeated, and how many of them were written after it, if that is said.
    fn echo(&self, text: &str) -> Result<(Tokens, Option<usize>), String> {
        let own = json!({"prompt": text, "max_tokens": 1, "logprobs": 1, "echo": true});
        let read = |response| match serde_json::from_value::<Response>(response) {
            Ok(response) if !response.choices.is_empty() => Ok(response),
            Ok(_) => Err("found no choices; expected one".to_owned()),
            Err(error) => Err(format!("found {}", shown(&error.to_string()))),
        };
        let read = |response| read(response).map_err(|message| Refusal::Unreadable { message });
        let response = self
            .post(TEXTS, &own, read)
            .map_err(|refusal| match refusal {
                Refusal::Rejected { message } => format!("{message}; {NEEDED}"),
                other => other.message().to_owned(),
            })?;
        let written = response.usage.and_then(|usage| usage.completion_tokens);
        let first = response.choices.into_iter().next();
        let logprobs = first
            .and_then(|choice| choice.logprobs)
            .ok_or_else(|| format!("found no log-probabilities; {NEEDED}"))?;
        let tokens: Tokens = serde_json::from_value(logprobs).map_err(|error| {
            let error = shown(&error.to_string());
            format!("the log-probabilities do not read: {error}; {NEEDED}")
        })?;
        let (count, numbers) = (tokens.tokens.len(), tokens.token_logprobs.len());
        if count == numbers {
            Ok((tokens, written))
        } else {
            Err(format!(
                "found {numbers} log-probabilities of {count} tokens; expected one of each"
            ))
        }
    }
}

impl Tokens {
    /// The score of what follows the first `border` bytes of `asked`. `written` tokens follow what was asked, as the
    /// service says.
    fn score(&self, asked: &str, border: usize, written: Option<usize>) -> Result<Score, String> {
        let places = self.places(asked, written).ok_or_else(|| {
            format!(
                "the {} tokens with log-probabilities, from \"{}\" to \"{}\", are not those of the text that was sent; {NEEDED}",
                self.tokens.len(),
                shown(self.tokens.first().map_or("", String::as_str)),
                shown(self.tokens.last().map_or("", String::as_str)),
            )
        })?;
        let offsets = self.text_offset.as_deref().unwrap_or_default();
        let from = places.first_after(border, offsets).ok_or_else(|| {
            "a character on each side of where the continuation begins has several tokens, and neither their texts nor \
             text_offset tell which begin it; expected offsets that count characters or bytes"
                .to_owned()
        })?;
        let mut score = Score {
            log_likelihood: 0.0,
            greedy: true,
            tokens: 0,
        };
        for index in from..places.count() {
            // What a service puts before a text of itself is no part of it.
            if index == 0 && places.is_before_text() {
                continue;
            }
            let (number, greedy) = self.token(index)?;
            score.log_likelihood += number;
            score.greedy &= greedy;
            score.tokens += 1;
        }
        if score.tokens == 0 {
            return Err("found no token of the continuation; expected at least one".to_owned());
        }
        Ok(score)
    }

    /// Where the tokens stand in the text, without those that the service has written after it. The first one may be a
    /// control token that the service puts before a text.
    fn places<'a>(&self, asked: &'a str, written: Option<usize>) -> Option<Places<'a>> {
        let said = written.unwrap_or(1);
        let unscored = self.token_logprobs.first() == Some(&None);
        let before = [0, 1].into_iter().take(1 + usize::from(unscored));
        before
            .flat_map(move |before| [(before, said), (before, usize::from(said == 0))])
            .find_map(|(before, written)| {
                let end = self.tokens.len().checked_sub(written)?;
                places(asked, &self.tokens[..end], before)
            })
    }

    /// The log-probability of a token, and whether it is the likeliest.
    fn token(&self, index: usize) -> Result<(f64, bool), String> {
        let token = shown(&self.tokens[index]);
        let Some(number) = self.token_logprobs[index] else {
            return Err(if index == 0 {
                format!(
                    "the first token, \"{token}\", has no log-probability; put the token that begins a document before \
                     it with Endpoint::beginning, such as \"<|endoftext|>\""
                )
            } else {
                format!("token {index}, \"{token}\", has no log-probability; expected a number")
            });
        };
        if !number.is_finite() || number > ROUNDING {
            return Err(format!(
                "token {index}, \"{token}\": found the log-probability {number}; expected a number that is not above 0"
            ));
        }
        let tops = self.top_logprobs.as_ref();
        let top = tops.and_then(|tops| {
            let top = tops.get(index)?.as_ref()?;
            top.values().filter_map(Value::as_f64).reduce(f64::max)
        });
        match top {
            Some(top) => Ok((number, number >= top)),
            None => Err(format!(
                "token {index}, \"{token}\", has no top_logprobs; expected the likeliest token. {NEEDED}"
            )),
        }
    }
}

/// What a service says, for a message.
fn shown(text: &str) -> String {
    one_line(&excerpt(text))
}

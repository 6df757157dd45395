//! From requests of strings to token ids.

use std::sync::atomic::Ordering;

use finetune_data::Conversation;
use finetune_data::template::{Piece, Source};

use super::{Local, Long};
use crate::{Context, Continuation, EvalError, Prompt, Result};

/// A forward pass: the last `targets.len()` tokens of `input` predict `targets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// What an encoder reads; empty for a causal model.
    pub(super) source: Vec<u32>,
    pub(super) input: Vec<u32>,
    pub(super) targets: Vec<u32>,
}

impl Local {
    /// The pass that scores a continuation.
    pub(super) fn continuation(&self, request: &Continuation) -> Result<Job> {
        if let Some(start) = self.model.start()? {
            return self.answer_to(request, start);
        }
        let (context, targets) = match &request.context {
            Context::Text(text) if text.is_empty() => self.after_nothing(&request.text)?,
            Context::Text(text) => self.after_text(text, &request.text)?,
            Context::Conversation(conversation) => {
                self.after_conversation(conversation, "", &request.text)?
            }
            Context::Begun {
                conversation,
                answer,
            } => self.after_conversation(conversation, answer, &request.text)?,
        };
        let context = if context.is_empty() {
            vec![self.beginning()?]
        } else {
            context
        };
        self.check_targets(request, &targets)?;
        let mut input = context;
        input.extend_from_slice(&targets[..targets.len() - 1]);
        if input.len() > self.length {
            if self.long == Long::Refuse {
                return Err(self.too_long(request, input.len() + 1));
            }
            self.cut_left(&mut input, self.length);
        }
        Ok(Job {
            source: Vec::new(),
            input,
            targets,
        })
    }

    /// The pass that scores what a decoder writes behind its start token, of a context that an encoder reads.
    fn answer_to(&self, request: &Continuation, start: u32) -> Result<Job> {
        let mut source = self.source(&request.context)?;
        let targets = self.encoder.tokenizer().encode(&request.text)?;
        self.check_targets(request, &targets)?;
        if source.len() > self.length {
            if self.long == Long::Refuse {
                return Err(self.too_long(request, source.len()));
            }
            self.cut_left(&mut source, self.length);
        }
        let mut input = vec![start];
        input.extend_from_slice(&targets[..targets.len() - 1]);
        Ok(Job {
            source,
            input,
            targets,
        })
    }

    /// Leaves the last `room` tokens, and counts that some were lost.
    fn cut_left(&self, tokens: &mut Vec<u32>, room: usize) {
        tokens.drain(..tokens.len() - room);
        self.cut.fetch_add(1, Ordering::Relaxed);
    }

    /// What an encoder reads of a context.
    fn source(&self, context: &Context) -> Result<Vec<u32>> {
        let tokenizer = self.encoder.tokenizer();
        let ids = match context {
            Context::Text(text) => tokenizer.encode_pair(text, None, None)?.ids,
            Context::Conversation(conversation) => self.encoder.source(conversation)?,
            Context::Begun { answer, .. } => {
                return Err(EvalError::Setting {
                    what: format!(
                        "the beginning {:?} of an answer",
                        crate::text::excerpt(answer)
                    ),
                    reason: "a model with an encoder begins its answers itself; leave it out"
                        .to_owned(),
                });
            }
        };
        if ids.is_empty() {
            return Ok(vec![self.beginning()?]);
        }
        Ok(ids)
    }

    fn check_targets(&self, request: &Continuation, targets: &[u32]) -> Result<()> {
        if targets.is_empty() {
            return Err(EvalError::Setting {
                what: format!("continuation {:?}", crate::text::excerpt(&request.text)),
                reason: "no token of its own after the context; expected at least one".to_owned(),
            });
        }
        if targets.len() > self.length {
            return Err(self.too_long(request, targets.len()));
        }
        Ok(())
    }

    fn too_long(&self, request: &Continuation, tokens: usize) -> EvalError {
        EvalError::TooLong {
            what: "continuation",
            text: request.text.clone(),
            tokens,
            limit: self.length,
        }
    }

    /// A continuation at the beginning of a document.
    fn after_nothing(&self, text: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let prefix = self.beginning()?;
        let mut targets = self.encoder.tokenizer().encode(text)?;
        if targets.first() == Some(&prefix) {
            targets.remove(0);
        }
        Ok((vec![prefix], targets))
    }

    /// A continuation of a text: both are tokenized together.
    fn after_text(&self, context: &str, text: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let kept = context.trim_end();
        let moved = &context[kept.len()..];
        if kept.is_empty() {
            return self.after_nothing(&format!("{moved}{text}"));
        }
        let context = self.text(kept)?;
        let mut whole = self.text(&format!("{kept}{moved}{text}"))?;
        let targets = whole.split_off(context.len().min(whole.len()));
        Ok((context, targets))
    }

    /// A continuation of a conversation whose answer has begun with `answer`: as with a text, what the template ends
    /// with in white space is scored with the continuation, and both are tokenized together.
    fn after_conversation(
        &self,
        conversation: &Conversation,
        answer: &str,
        text: &str,
    ) -> Result<(Vec<u32>, Vec<u32>)> {
        let tokenizer = self.encoder.tokenizer();
        let mut pieces = self.begun(conversation, answer)?;
        let moved = take_space(&mut pieces);
        let context = tokenizer.encode_pieces(&pieces)?.ids;
        pieces.push(Piece::literal(moved));
        pieces.push(Piece::text(text));
        let mut whole = tokenizer.encode_pieces(&pieces)?.ids;
        let targets = whole.split_off(context.len().min(whole.len()));
        Ok((context, targets))
    }

    /// A conversation up to where its answer goes on.
    fn begun(&self, conversation: &Conversation, answer: &str) -> Result<Vec<Piece>> {
        let mut pieces = self.encoder.template().render(conversation, true)?;
        if !answer.is_empty() {
            pieces.push(Piece::text(answer));
        }
        Ok(pieces)
    }

    /// The windows of a document: disjoint in what they predict, each with as much left context as fits.
    pub(super) fn windows(&self, document: &str) -> Result<Vec<Job>> {
        if self.model.start()?.is_some() {
            return Err(EvalError::Setting {
                what: "whole documents".to_owned(),
                reason: "a model with an encoder answers texts; only a causal model predicts one from its beginning".to_owned(),
            });
        }
        Ok(windows(
            &self.text(document)?,
            self.beginning()?,
            self.length,
        ))
    }

    /// The ids of a prompt.
    pub(super) fn prompt(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let answers = self.model.start()?.is_some();
        let mut ids = match &prompt.context {
            context if answers => self.source(context)?,
            Context::Text(text) => self.text(text)?,
            Context::Conversation(conversation) => self.encoder.prompt(conversation)?,
            Context::Begun {
                conversation,
                answer,
            } => {
                let pieces = self.begun(conversation, answer)?;
                self.encoder.tokenizer().encode_pieces(&pieces)?.ids
            }
        };
        if ids.is_empty() {
            ids.push(self.beginning()?);
        }
        let answer = if answers { 0 } else { prompt.max_tokens };
        let room = self.length.saturating_sub(answer).max(1);
        if ids.len() > room {
            if self.long == Long::Refuse || self.length <= answer {
                return Err(EvalError::TooLong {
                    what: "prompt",
                    text: prompt.context.shown(),
                    tokens: ids.len() + answer,
                    limit: self.length,
                });
            }
            self.cut_left(&mut ids, room);
        }
        Ok(ids)
    }

    /// A text with what the tokenizer puts before it.
    fn text(&self, text: &str) -> Result<Vec<u32>> {
        let tokenizer = self.encoder.tokenizer();
        let mut ids = tokenizer.prefix();
        ids.extend(tokenizer.encode(text)?);
        Ok(ids)
    }

    /// The token that stands for the beginning of a document: the tokenizer's own BOS token, else its own EOS token, else
    /// what the model's configuration calls so. (A configuration may name a BOS token that the tokenizer does not have as
    /// one; the harness does not take it either.)
    fn beginning(&self) -> Result<u32> {
        let tokenizer = self.encoder.tokenizer();
        let named = |wanted: &str| {
            let mut tokens = tokenizer.special_tokens();
            tokens
                .find(|(name, _)| *name == wanted)
                .and_then(|(_, token)| tokenizer.id(token))
        };
        let own = named("bos_token").or_else(|| named("eos_token"));
        own.or_else(|| tokenizer.bos()).or_else(|| tokenizer.eos()).ok_or_else(|| EvalError::Setting {
            what: tokenizer.path().display().to_string(),
            reason: "the tokenizer has neither a BOS nor an EOS token; one of them must stand for the beginning of a text"
                .to_owned(),
        })
    }
}

/// Takes the white space with which the pieces end from them.
fn take_space(pieces: &mut Vec<Piece>) -> String {
    let mut space = String::new();
    while let Some(last) = pieces.last_mut() {
        if !matches!(last.source, Source::Template | Source::Text) {
            break;
        }
        let moved = last.text.split_off(last.text.trim_end().len());
        space.insert_str(0, &moved);
        if !last.text.is_empty() {
            break;
        }
        pieces.pop();
    }
    space
}

/// Windows over `tokens`: the first predicts as many as fit after `beginning`, each following one as many new ones as
/// fit, with an input that is exactly `length` long (lm-evaluation-harness, `get_rolling_token_windows` with a context
/// of one token).
fn windows(tokens: &[u32], beginning: u32, length: usize) -> Vec<Job> {
    let mut found = Vec::new();
    let mut done = 0;
    while done < tokens.len() {
        let end = (done + length).min(tokens.len());
        let targets = tokens[done..end].to_vec();
        let input = if done == 0 {
            let mut input = vec![beginning];
            input.extend_from_slice(&tokens[..end - 1]);
            input
        } else {
            // Everything before `done` is at least `length` long, so the input never begins before the text.
            tokens[end - length - 1..end - 1].to_vec()
        };
        found.push(Job {
            source: Vec::new(),
            input,
            targets,
        });
        done = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn windows_are_those_of_the_harness() {
        let tokens: Vec<u32> = (0..13).collect();
        let found = windows(&tokens, 99, 4);
        let job = |input: &[u32], targets: &[u32]| Job {
            source: Vec::new(),
            input: input.to_vec(),
            targets: targets.to_vec(),
        };
        assert_eq!(
            found,
            [
                job(&[99, 0, 1, 2], &[0, 1, 2, 3]),
                job(&[3, 4, 5, 6], &[4, 5, 6, 7]),
                job(&[7, 8, 9, 10], &[8, 9, 10, 11]),
                job(&[8, 9, 10, 11], &[12]),
            ]
        );
    }

    proptest! {
        #[test]
        fn every_token_is_predicted_once(count in 0_u32..60, length in 1_usize..20) {
            let tokens: Vec<u32> = (0..count).collect();
            let windows = windows(&tokens, 1000, length);
            let predicted: Vec<u32> = windows.iter().flat_map(|job| job.targets.clone()).collect();
            prop_assert_eq!(predicted, tokens);
            for job in windows {
                prop_assert!(job.input.len() <= length && job.targets.len() <= job.input.len());
                // The token before each target stands where the target is predicted.
                let before = &job.input[job.input.len() - job.targets.len()..];
                for (before, target) in before.iter().zip(&job.targets) {
                    prop_assert!(*before == 1000 && *target == 0 || before + 1 == *target);
                }
            }
        }
    }
}

//! What may be written at all, and where.

use serde::{Deserialize, Serialize};

/// What may be written at all, and where. The default has no rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// The opposite of the repetition penalty, for tokens of the prompt: above 1 they become likelier. Default 1.
    pub encoder_repetition_penalty: f64,
    /// No run of so many tokens stands twice in a row. Default 0 (none).
    pub no_repeat_ngram_size: usize,
    /// No run of so many tokens of the prompt is written. Default 0 (none).
    pub encoder_no_repeat_ngram_size: usize,
    /// Runs of tokens that are not written. A single stop token among them is no such run.
    pub bad_words_ids: Vec<Vec<u32>>,
    /// No end before a row has so many tokens, what it opens with included. Default 0.
    pub min_length: usize,
    /// No end before so many tokens are written. Default 0.
    pub min_new_tokens: usize,
    /// What is written after a row's first token.
    pub forced_bos_token_id: Option<u32>,
    /// What may stand at the greatest length: one of these. Default: anything.
    pub forced_eos_token_id: Vec<u32>,
    /// From so many written tokens on, the logits of stop tokens grow by this factor with every token.
    pub exponential_decay_length_penalty: Option<(usize, f64)>,
    /// Tokens that are never written.
    pub suppress_tokens: Vec<u32>,
    /// Tokens that are not written first.
    pub begin_suppress_tokens: Vec<u32>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            encoder_repetition_penalty: 1.0,
            no_repeat_ngram_size: 0,
            encoder_no_repeat_ngram_size: 0,
            bad_words_ids: Vec::new(),
            min_length: 0,
            min_new_tokens: 0,
            forced_bos_token_id: None,
            forced_eos_token_id: Vec::new(),
            exponential_decay_length_penalty: None,
            suppress_tokens: Vec::new(),
            begin_suppress_tokens: Vec::new(),
        }
    }
}

impl Rules {
    /// What is wrong with the rules, one sentence each.
    pub(super) fn problems(&self, vocabulary: usize) -> Vec<String> {
        let mut found = Vec::new();
        let lists = [
            ("bad_words_ids", self.bad_words_ids.concat()),
            (
                "forced_bos_token_id",
                Vec::from_iter(self.forced_bos_token_id),
            ),
            ("forced_eos_token_id", self.forced_eos_token_id.clone()),
            ("suppress_tokens", self.suppress_tokens.clone()),
            ("begin_suppress_tokens", self.begin_suppress_tokens.clone()),
        ];
        for (name, ids) in lists {
            if let Some(id) = ids.iter().find(|id| **id as usize >= vocabulary) {
                found.push(format!(
                    "{name} names the token {id}; expected tokens below {vocabulary}"
                ));
            }
        }
        if self.bad_words_ids.iter().any(Vec::is_empty) {
            found.push("bad_words_ids holds an empty run; expected at least one token".to_owned());
        }
        if let Some((start, factor)) = self.exponential_decay_length_penalty
            && !(factor.is_finite() && factor > 0.0)
        {
            found.push(format!(
                "exponential_decay_length_penalty is ({start}, {factor}); expected a factor above 0"
            ));
        }
        found
    }
}

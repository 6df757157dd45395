//! How many texts are followed at once, and when that is enough.

use serde::{Deserialize, Serialize};

/// How many texts are followed at once, and when that is enough. The default is one: no search.
///
/// The search is that of transformers 5.23 (`GenerationMixin._beam_search`). The score of a text is the sum of its
/// tokens' log-probabilities after the rules, divided by its length, the stop token included, to the power of the
/// length penalty. Where tokens are drawn, continuations are drawn without replacement from the scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Beams {
    /// How many texts are followed. Default 1.
    pub count: usize,
    /// Above 0 longer texts are preferred, below 0 shorter ones. Default 1.
    pub length_penalty: f64,
    /// When a search with as many ended texts as beams is over. Default [`Early::Unlikely`].
    pub early_stopping: Early,
    /// Log-probabilities are made to sum to 1 again after the rules. Default no.
    pub renormalize_logits: bool,
}

/// When a search with as many ended texts as beams is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Early {
    /// At once (`true`).
    AtOnce,
    /// When the best text that goes on is worse, at the length that it has, than the worst that has ended (`false`).
    #[default]
    Unlikely,
    /// When no text that goes on can become better than the worst that has ended (`"never"`).
    Impossible,
}

impl Default for Beams {
    fn default() -> Self {
        Self {
            count: 1,
            length_penalty: 1.0,
            early_stopping: Early::default(),
            renormalize_logits: false,
        }
    }
}

impl Beams {
    /// What is wrong with the settings, one sentence each; empty when they can be used.
    ///
    /// # Arguments
    /// - `answers`: how many answers are wanted for each prompt
    /// - `greedy`: whether no token is drawn
    pub fn problems(&self, answers: usize, greedy: bool) -> Vec<String> {
        let mut found = Vec::new();
        if self.count == 0 {
            found.push("num_beams is 0; expected at least 1".to_owned());
        }
        if !self.length_penalty.is_finite() {
            let penalty = self.length_penalty;
            found.push(format!(
                "length_penalty is {penalty}; expected a finite number"
            ));
        }
        if answers == 0 {
            found.push("num_return_sequences is 0; expected at least 1".to_owned());
        }
        let most = if self.count == 1 && !greedy {
            usize::MAX
        } else {
            self.count.max(1)
        };
        if answers > most {
            found.push(format!(
                "num_return_sequences is {answers}; expected at most {most}, the number of beams, or a temperature above 0"
            ));
        }
        found
    }
}

//! Generation by a second stream of hidden states (Yang et al. 2019), as transformers has it for XLNet.
//!
//! Behind the text stands one open place, which no other place sees; the second stream asks what belongs there. The
//! tokens of the text see each other in both directions, so every new one changes all of them. The reference computes
//! the last two anew and keeps the others as they were when they were read; what it keeps, and how much, is its setting.

use burn::tensor::Tensor;

use super::autoregressive::last_of;
use crate::blueprint::{Predicts, Recall};
use crate::error::{ModelError, Result};
use crate::head::CausalLm;
use crate::noise::Noise;
use crate::part::stack::{Kept, View};
use crate::tokens::{Span, Tokens};

/// How many tokens of a text are read again with every new one.
const AGAIN: usize = 2;

/// A text that a model has read, by itself: how far a place sees may depend on how much is kept.
#[derive(Clone, Debug)]
pub(super) struct Within {
    text: Vec<u32>,
    kept: Kept,
    /// The number of places that are kept, before the last two tokens of the text; `None` where all of it is read.
    past: Option<usize>,
}

impl Within {
    /// # Errors
    /// When the model has settings with which no text can be continued.
    pub(super) fn new(model: &CausalLm, text: &[u32]) -> Result<Self> {
        let why = match model.predicts() {
            Predicts::Own(Recall::First(count)) => format!(
                "the model keeps the first {count} places of what it reads (reuse_len); generation with it is not built. \
                 Set reuse_len to null, or use_mems_eval to false"
            ),
            _ if model.stack.is_mirrored() => {
                "the second half of a batch reads backwards (bi_data); generation with it is not built. Set bi_data to \
                 false"
                    .to_owned()
            }
            _ => {
                return Ok(Self {
                    text: text.to_vec(),
                    kept: Kept::default(),
                    past: None,
                });
            }
        };
        Err(ModelError::Tokens { why })
    }

    /// The logits of what comes after the text, `[1, vocabulary]`.
    pub(super) fn logits(&mut self, model: &CausalLm) -> Result<Tensor<2>> {
        let read = self.unread(model)?.with_open_place();
        let x = model.asked(&read, &View::default(), Noise::off(), &mut self.kept);
        self.keep(model.predicts(), read.past + read.length());
        Ok(model.logits(last_of(x, &read)))
    }

    /// Adds a token.
    pub(super) fn extend(&mut self, id: u32) {
        self.text.push(id);
    }

    /// The tokens that are read now: all of the text, or its last two where the others are kept.
    fn unread(&self, model: &CausalLm) -> Result<Tokens> {
        let first = match self.past {
            None => 0,
            Some(_) => self.text.len() - AGAIN,
        };
        let tokens = Tokens::single(&self.text[first..], &model.device())?;
        let past = self.past.unwrap_or(0);
        let span = Span::new(0, (past + tokens.length()) as u32);
        Ok(Tokens {
            past,
            spans: [vec![span]].into(),
            ..tokens
        })
    }

    /// Forgets what the settings do not keep, the open place and the tokens that are read again.
    fn keep(&mut self, predicts: Predicts, places: usize) {
        let most = match predicts {
            Predicts::Own(Recall::Everything) => places,
            Predicts::Own(Recall::Latest(most)) => places.min(most),
            _ => {
                self.kept = Kept::default();
                return;
            }
        };
        let (first, count) = (places - most, most.saturating_sub(AGAIN));
        self.past = Some(count);
        match count {
            0 => self.kept = Kept::default(),
            _ => self.kept.change(|x| x.narrow(1, first, count)),
        }
    }
}

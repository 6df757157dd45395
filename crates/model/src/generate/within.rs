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
use crate::op::Hidden;
use crate::part::stack::{Kept, View};
use crate::tokens::{Side, Span, Tokens, int_tensor};

/// How many tokens of a text are read again with every new one.
const AGAIN: usize = 2;

/// Texts that a model has read, one in each row.
#[derive(Clone, Debug)]
pub(super) struct Within {
    texts: Vec<Vec<u32>>,
    kept: Kept,
    /// The number of places that are kept, before the last two tokens of each text; `None` where whole texts are read.
    past: Option<usize>,
}

impl Within {
    /// # Arguments
    /// - `texts`: none of them empty
    pub(super) fn new(texts: Vec<Vec<u32>>) -> Self {
        Self {
            texts,
            kept: Kept::default(),
            past: None,
        }
    }

    /// Refuses what no text can be continued with.
    pub(super) fn check(model: &CausalLm) -> Result<()> {
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
            _ => return Ok(()),
        };
        Err(ModelError::Tokens { why })
    }

    /// The logits of what comes after each text, `[rows, vocabulary]`.
    pub(super) fn logits(&mut self, model: &CausalLm) -> Result<Tensor<2>> {
        let read = self.unread(model)?.with_open_place();
        let view = View {
            hidden: model.stack.is_level().then(|| further(&read)),
            ..View::default()
        };
        let x = model.asked(&read, &view, Noise::off(), &mut self.kept);
        self.keep(model.predicts(), read.past + read.length());
        Ok(model.logits(last_of(x, &read)))
    }

    /// Adds a token to each text.
    pub(super) fn extend(&mut self, ids: &[u32]) {
        for (text, id) in self.texts.iter_mut().zip(ids) {
            text.push(*id);
        }
    }

    /// Keeps the given rows, in the given order; a row may be kept more than once or not at all.
    pub(super) fn select(&mut self, rows: &[u32]) {
        let texts = rows.iter().map(|row| self.texts[*row as usize].clone());
        self.texts = texts.collect();
        let rows: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
        self.kept.change(|x| {
            let of = int_tensor(rows.clone(), [rows.len()], &x.device());
            x.select(0, of)
        });
    }

    /// Adds the rows of others below. Where less is kept of one of them, its places lie before its text and are not seen.
    pub(super) fn join(&mut self, more: Self) {
        self.texts.extend(more.texts);
        match (self.past.unwrap_or(0), more.past.unwrap_or(0)) {
            (0, _) | (_, 0) => {}
            _ => self.kept.join(more.kept),
        }
        self.past = self.past.max(more.past);
    }

    /// The tokens that are read now: whole texts, or the last two of each where the others are kept.
    fn unread(&self, model: &CausalLm) -> Result<Tokens> {
        let end = |text: &Vec<u32>| text.len().saturating_sub(AGAIN);
        let from = |text: &Vec<u32>| match self.past {
            None => vec![text.clone()],
            Some(_) => vec![text[end(text)..].to_vec()],
        };
        let read: Vec<Vec<Vec<u32>>> = self.texts.iter().map(from).collect();
        let tokens = Tokens::new(&read, None, Side::Left, 0, &model.device())?;
        let past = self.past.unwrap_or(0);
        let all = past + tokens.length();
        let span = |text: &Vec<u32>| Span {
            start: all.saturating_sub(text.len()) as u32,
            end: all as u32,
        };
        Ok(Tokens {
            past,
            spans: self.texts.iter().map(|text| vec![span(text)]).collect(),
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

/// What lies further back from a place than what is kept lies from the first one that is read, where every token sees
/// equally far; for each row by itself.
fn further(read: &Tokens) -> Hidden {
    let (batch, length) = (read.batch(), read.length());
    let keys = read.past + length;
    let first = |row: &Vec<Span>| row.first().map_or(0, |span| span.start as usize);
    let row = |row: &Vec<Span>| {
        let first = first(row);
        (0..length).flat_map(move |place| (0..keys).map(move |key| key < first + place))
    };
    let pairs: Vec<bool> = read.spans.iter().flat_map(row).collect();
    Hidden::new(batch, length, keys, pairs)
}

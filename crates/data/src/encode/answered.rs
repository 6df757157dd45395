//! Texts with what is to be made of them, for models that read with an encoder and write with a decoder.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Dropped, EncodeReport, Encoded, Encoder, Truncation, untrainable};
use crate::document::Origin;
use crate::error::{Place, Result};
use crate::example::Conversation;

/// A text, and what is to be made of it, each between the tokenizer's special tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredRow {
    /// What the encoder reads: the conversation up to the answer, as the template renders it. Nothing of it is learned.
    pub source: Encoded,
    /// What the decoder writes, all of it learned: the answer, and the token that ends it. The token that a decoder begins
    /// with is the model's and not in it.
    pub answer: Encoded,
    /// The record.
    pub origin: Origin,
}

impl Encoder {
    /// A conversation's last answer, and what stands before it.
    ///
    /// Either may have as many tokens as the encoder allows ([`Encoder::length`]); see [`Encoder::answered_all`].
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`].
    pub fn answered(&self, conversation: &Conversation) -> Result<AnsweredRow> {
        let (row, report) = self.parts(conversation)?;
        row.map_err(|dropped| {
            let place = Place::from(&conversation.origin);
            match dropped {
                Dropped::TooLong => self.too_long(report.longest, place),
                Dropped::Untrainable => no_answer(place),
            }
        })
    }

    /// The same for many conversations: in parallel, in the order in which they came.
    ///
    /// Of a source that is too long `cut_right` takes the last tokens, `cut_left` and `cut_prompt` the first; of an
    /// answer only `cut_right` takes any. The tokenizer's special tokens stay.
    ///
    /// # Errors
    ///
    /// The first error of a conversation in their order, unless a policy drops the row instead.
    pub fn answered_all(
        &self,
        conversations: &[Conversation],
    ) -> Result<(Vec<AnsweredRow>, EncodeReport)> {
        let outcomes: Vec<Result<_>> = conversations
            .par_iter()
            .map(|conversation| self.parts(conversation))
            .collect();
        let mut rows = Vec::with_capacity(outcomes.len());
        let mut report = EncodeReport::default();
        for outcome in outcomes {
            let (row, mut counts) = outcome?;
            match row {
                Ok(row) => {
                    counts.kept = 1;
                    counts.tokens = (row.source.ids.len() + row.answer.ids.len()) as u64;
                    counts.learned = row.answer.ids.len() as u64;
                    rows.push(row);
                }
                Err(Dropped::TooLong) => counts.too_long = 1,
                Err(Dropped::Untrainable) => counts.untrainable = 1,
            }
            report.add(&counts);
        }
        Ok((rows, report))
    }

    /// What an encoder reads of a conversation that waits for an answer. A last answer is left out, nothing is cut.
    ///
    /// # Errors
    ///
    /// What the template or the tokenizer says.
    pub fn source(&self, conversation: &Conversation) -> Result<Vec<u32>> {
        let mut ids = self.prompt(conversation)?;
        ids.extend(self.tokenizer.suffix());
        Ok(ids)
    }

    fn parts(
        &self,
        conversation: &Conversation,
    ) -> Result<(Result<AnsweredRow, Dropped>, EncodeReport)> {
        let place = Place::from(&conversation.origin);
        let mut report = EncodeReport {
            rows: 1,
            ..EncodeReport::default()
        };
        let Some(answer) = conversation.answer() else {
            if self.untrainable == super::Untrainable::Drop {
                return Ok((Err(Dropped::Untrainable), report));
            }
            return Err(no_answer(place));
        };
        let answer = self.tokenizer.encode_pair(answer, None, None);
        let mut answer = answer.map_err(|error| error.at(place.clone()))?.ids;
        let mut after = self.tokenizer.suffix();
        // An answer that does not end teaches a decoder to go on for ever.
        if let (true, Some(eos)) = (after.is_empty(), self.tokenizer.eos()) {
            answer.push(eos);
            after.push(eos);
        }
        let mut source = self.source(conversation)?;
        report.longest = source.len().max(answer.len()) as u64;
        let left = matches!(self.truncation, Truncation::CutLeft | Truncation::CutPrompt);
        let right = self.truncation == Truncation::CutRight;
        let end = self.tokenizer.suffix().len();
        let fits = self.cut(&mut source, end, [left, right], &mut report)
            && self.cut(&mut answer, after.len(), [false, right], &mut report);
        if !fits && self.truncation == Truncation::Refuse {
            return Err(self.too_long(report.longest, place));
        }
        if !fits {
            return Ok((Err(Dropped::TooLong), report));
        }
        let row = |ids: Vec<u32>, learn| Encoded {
            learn: vec![learn; ids.len()],
            kinds: vec![0; ids.len()],
            ids,
        };
        Ok((
            Ok(AnsweredRow {
                source: row(source, false),
                answer: row(answer, true),
                origin: conversation.origin.clone(),
            }),
            report,
        ))
    }

    /// Cuts a text to the encoder's length; says whether it fits.
    ///
    /// # Arguments
    /// - `after`: how many special tokens end it
    /// - `left`, `right`: whether its first or its last tokens may go
    fn cut(
        &self,
        ids: &mut Vec<u32>,
        after: usize,
        [left, right]: [bool; 2],
        report: &mut EncodeReport,
    ) -> bool {
        let length = self.length.unwrap_or(usize::MAX);
        let excess = ids.len().saturating_sub(length);
        if excess == 0 {
            return true;
        }
        let before = self.tokenizer.prefix().len();
        let end = ids.len() - after;
        if !(left || right) || end < before + excess {
            return false;
        }
        let begin = if left { before } else { end - excess };
        ids.drain(begin..begin + excess);
        report.cut += 1;
        report.cut_tokens += excess as u64;
        true
    }
}

fn no_answer(place: Place) -> crate::error::DataError {
    let message = "the conversation has no answer at its end, from which a decoder could learn";
    untrainable(place, message.to_owned())
}

//! Encoding conversations and texts into token ids.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::document::Origin;
use crate::error::{DataError, Place, Result};
use crate::example::{Conversation, Labeled, PlainText};
use crate::template::{Piece, Template};
use crate::tokenizer::Tokenizer;

mod report;
mod truncation;

pub use report::EncodeReport;
pub use truncation::Truncation;

use truncation::Fit;

/// A row of tokens. The three lists have the same length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoded {
    /// The ids.
    pub ids: Vec<u32>,
    /// Whether a token is learned, that is, predicted from those before it.
    pub learn: Vec<bool>,
    /// The kind of a token (`token_type_ids`): 0, and 1 in the second text of a pair.
    pub kinds: Vec<u32>,
}

impl Encoded {
    /// How many tokens are learned and can be predicted. Nothing stands before a row's first token, so it never is.
    pub fn targets(&self) -> usize {
        self.learn.iter().skip(1).filter(|&&learn| learn).count()
    }
}

/// A row of tokens with the place that it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The tokens.
    pub encoded: Encoded,
    /// The record.
    pub origin: Origin,
}

/// What becomes of a row of which nothing would be learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Untrainable {
    /// It is an error.
    #[default]
    Refuse,
    /// It is dropped, and counted.
    Drop,
}

/// Encodes conversations with one tokenizer and one template: for training whole, for generation up to the answer.
///
/// ```no_run
/// use finetune_data::encode::{Encoder, Truncation};
/// use finetune_data::template::ChatTemplate;
/// use finetune_data::tokenizer::Tokenizer;
/// use finetune_data::Conversation;
///
/// let tokenizer = Tokenizer::open("model")?;
/// let template = ChatTemplate::of(&tokenizer)?;
/// let encoder = Encoder::new(tokenizer, Box::new(template)).length(1_024).truncation(Truncation::Drop);
/// let (rows, report) = encoder.encode_all(&[Conversation::pair("Why?", "Because.")])?;
/// println!("{report}");
/// for (text, learned) in encoder.show(&rows[0].encoded) {
///     println!("{} {text:?}", if learned { "+" } else { " " });
/// }
/// # Ok::<(), finetune_data::DataError>(())
/// ```
pub struct Encoder {
    tokenizer: Tokenizer,
    template: Box<dyn Template>,
    length: Option<usize>,
    truncation: Truncation,
    untrainable: Untrainable,
    context: usize,
}

/// Why an example gives no row.
enum Dropped {
    TooLong,
    Untrainable,
}

/// What became of an example.
struct Outcome {
    rows: Result<Vec<Row>, Dropped>,
    report: EncodeReport,
}

impl Encoder {
    /// An encoder without a limit of length.
    pub fn new(tokenizer: Tokenizer, template: Box<dyn Template>) -> Self {
        Self {
            tokenizer,
            template,
            length: None,
            truncation: Truncation::default(),
            untrainable: Untrainable::default(),
            context: 1,
        }
    }

    /// Sets the most tokens that a row may have.
    pub fn length(mut self, tokens: usize) -> Self {
        self.length = Some(tokens);
        self
    }

    /// Sets what becomes of longer rows; refusing them is the default.
    pub fn truncation(mut self, truncation: Truncation) -> Self {
        self.truncation = truncation;
        self
    }

    /// Sets what becomes of rows of which nothing would be learned; refusing them is the default.
    pub fn untrainable(mut self, untrainable: Untrainable) -> Self {
        self.untrainable = untrainable;
        self
    }

    /// Sets how many tokens a block of a long text repeats from the block before ([`Encoder::text`]); 1 is the
    /// default, the least with which every token is predicted from something.
    pub fn context(mut self, tokens: usize) -> Self {
        self.context = tokens;
        self
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The template.
    pub fn template(&self) -> &dyn Template {
        &*self.template
    }

    /// A conversation as a row for training.
    ///
    /// # Errors
    ///
    /// What the template or the tokenizer says; [`DataError::TooManyTokens`] if the row is too long and the policy
    /// does not cut it; [`DataError::NoTrainableTokens`] if nothing of it would be learned.
    pub fn encode(&self, conversation: &Conversation) -> Result<Encoded> {
        let (mut row, mut report) = self.whole(conversation)?;
        let place = Place::from(&conversation.origin);
        self.fit(&mut row, &mut report, &place)?
            .map_err(|dropped| match dropped {
                Dropped::TooLong => self.too_long(report.longest, place.clone()),
                Dropped::Untrainable => untrainable(place, "no answer is learned".to_owned()),
            })?;
        Ok(row)
    }

    /// Conversations as rows for training: in parallel, in the order in which they came.
    ///
    /// # Errors
    ///
    /// The first error of a conversation in their order, unless a policy drops the row instead.
    pub fn encode_all(&self, conversations: &[Conversation]) -> Result<(Vec<Row>, EncodeReport)> {
        let outcomes: Vec<Result<Outcome>> = conversations
            .par_iter()
            .map(|conversation| {
                let (mut encoded, mut report) = self.whole(conversation)?;
                let place = Place::from(&conversation.origin);
                let rows = self.fit(&mut encoded, &mut report, &place)?.map(|()| {
                    vec![Row {
                        encoded,
                        origin: conversation.origin.clone(),
                    }]
                });
                Ok(Outcome { rows, report })
            })
            .collect();
        Self::collect(outcomes)
    }

    /// The ids up to where the answer begins, for generation. A last answer of the conversation is left out, and
    /// nothing is cut.
    ///
    /// # Errors
    ///
    /// What the template or the tokenizer says.
    pub fn prompt(&self, conversation: &Conversation) -> Result<Vec<u32>> {
        let pieces = self.template.render(conversation, true)?;
        let encoded = self.tokenizer.encode_pieces(&pieces);
        let encoded = encoded.map_err(|error| error.at(Place::from(&conversation.origin)))?;
        Ok(encoded.ids)
    }

    /// Texts for pretraining: each as a whole, with what the tokenizer puts before it and the EOS token after it, cut
    /// into blocks of the encoder's length. The rest of a text is a shorter block. Everything is learned, but for the
    /// tokens that a block repeats from the block before ([`Encoder::context`]).
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if a block is not longer than its context; what the tokenizer says.
    pub fn text(&self, texts: &[PlainText]) -> Result<(Vec<Row>, EncodeReport)> {
        if let Some(length) = self.length.filter(|&length| length <= self.context) {
            return Err(DataError::Setting {
                name: "context".to_owned(),
                found: self.context.to_string(),
                expected: format!("less than the length, {length}"),
            });
        }
        let outcomes: Vec<Result<Outcome>> = texts
            .par_iter()
            .map(|text| {
                let pieces = [
                    Piece::begin().learned(),
                    Piece::text(&text.text).learned(),
                    Piece::end(),
                ];
                let (whole, report) = self.tokens(&pieces, &text.origin)?;
                let rows = blocks(&whole, self.length.unwrap_or(usize::MAX), self.context);
                let rows = rows.into_iter().map(|encoded| Row {
                    encoded,
                    origin: text.origin.clone(),
                });
                let rows: Vec<Row> = rows.filter(|row| row.encoded.targets() > 0).collect();
                let rows = if rows.is_empty() {
                    Err(Dropped::Untrainable)
                } else {
                    Ok(rows)
                };
                Ok(Outcome { rows, report })
            })
            .collect();
        Self::collect(outcomes)
    }

    /// A text or a pair of texts for classification, between the tokenizer's special tokens. Texts that are too long
    /// lose tokens at their ends, the longer one first; nothing is marked as learned.
    ///
    /// # Errors
    ///
    /// What the tokenizer says.
    pub fn labeled(&self, example: &Labeled) -> Result<Encoded> {
        self.tokenizer
            .encode_pair(&example.text, example.pair.as_deref(), self.length)
            .map_err(|error| error.at(Place::from(&example.origin)))
    }

    /// The same for many examples: in parallel, one row for each, in the order in which they came.
    ///
    /// # Errors
    ///
    /// The first error of an example in their order.
    pub fn labeled_all(&self, examples: &[Labeled]) -> Result<Vec<Row>> {
        let rows: Vec<Result<Row>> = examples
            .par_iter()
            .map(|example| {
                Ok(Row {
                    encoded: self.labeled(example)?,
                    origin: example.origin.clone(),
                })
            })
            .collect();
        rows.into_iter().collect()
    }

    /// The text of each token and whether it is learned. A token that is part of a character shows as U+FFFD.
    pub fn show<'a>(&'a self, encoded: &'a Encoded) -> impl Iterator<Item = (String, bool)> + 'a {
        (0..encoded.ids.len()).map(|index| {
            let text = self.tokenizer.text_at(&encoded.ids, index);
            (text, encoded.learn.get(index).copied().unwrap_or(false))
        })
    }

    /// Whether a row begins with two BOS tokens: the template writes one, and the tokenizer adds another.
    pub fn double_bos(&self, encoded: &Encoded) -> bool {
        match (self.tokenizer.bos(), encoded.ids.as_slice()) {
            (Some(bos), [first, second, ..]) => *first == bos && *second == bos,
            _ => false,
        }
    }

    /// Every id at which generation stops: the tokenizer's ([`Tokenizer::stops`]), and the token with which the
    /// template ends an answer, if that end begins with a control token.
    pub fn stops(&self) -> Vec<u32> {
        let mut ids = self.tokenizer.stops();
        if let Some(end) = self.template.ends_with()
            && let Ok(encoded) = self.tokenizer.encode_pieces(&[Piece::literal(end.trim())])
            && let Some(&first) = encoded.ids.first()
            && self.tokenizer.is_control(first)
        {
            ids.push(first);
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// A whole conversation, before anything is cut.
    fn whole(&self, conversation: &Conversation) -> Result<(Encoded, EncodeReport)> {
        let pieces = self.template.render(conversation, false)?;
        self.tokens(&pieces, &conversation.origin)
    }

    fn tokens(&self, pieces: &[Piece], origin: &Origin) -> Result<(Encoded, EncodeReport)> {
        let counted = self.tokenizer.count_pieces(pieces);
        let counted = counted.map_err(|error| error.at(Place::from(origin)))?;
        let report = EncodeReport {
            rows: 1,
            longest: counted.encoded.ids.len() as u64,
            double_bos: self.double_bos(&counted.encoded).into(),
            spelt_controls: counted.hits as u64,
            ..EncodeReport::default()
        };
        Ok((counted.encoded, report))
    }

    /// Cuts a row as the policies say.
    fn fit(
        &self,
        row: &mut Encoded,
        report: &mut EncodeReport,
        place: &Place,
    ) -> Result<Result<(), Dropped>> {
        let answer = row.learn.iter().position(|&learn| learn);
        if let Some(length) = self.length {
            match self.truncation.cut(row, length, self.tokenizer.bos()) {
                Fit::TooLong if self.truncation == Truncation::Refuse => {
                    return Err(self.too_long(report.longest, place.clone()));
                }
                Fit::TooLong => return Ok(Err(Dropped::TooLong)),
                Fit::Fits(cut) => {
                    report.cut += u64::from(cut > 0);
                    report.cut_tokens += cut as u64;
                }
            }
        }
        if row.targets() > 0 {
            return Ok(Ok(()));
        }
        if self.untrainable == Untrainable::Drop {
            return Ok(Err(Dropped::Untrainable));
        }
        let message = match (answer, self.length) {
            (Some(answer), Some(length)) => format!(
                "the completion starts at token {answer}, and the row was cut to {length}; choose a greater length, \
                 or cut the prompt"
            ),
            _ => "the template marks nothing as the assistant's; is there an answer?".to_owned(),
        };
        Err(untrainable(place.clone(), message))
    }

    fn too_long(&self, found: u64, place: Place) -> DataError {
        DataError::TooManyTokens {
            place,
            found: found as usize,
            limit: self.length.unwrap_or(usize::MAX),
        }
    }

    fn collect(outcomes: Vec<Result<Outcome>>) -> Result<(Vec<Row>, EncodeReport)> {
        let mut all = Vec::with_capacity(outcomes.len());
        let mut report = EncodeReport::default();
        for outcome in outcomes {
            let mut outcome = outcome?;
            match outcome.rows {
                Ok(rows) => {
                    for row in rows {
                        outcome.report.kept += 1;
                        outcome.report.tokens += row.encoded.ids.len() as u64;
                        outcome.report.learned += row.encoded.targets() as u64;
                        all.push(row);
                    }
                }
                Err(Dropped::TooLong) => outcome.report.too_long += 1,
                Err(Dropped::Untrainable) => outcome.report.untrainable += 1,
            }
            report.add(&outcome.report);
        }
        Ok((all, report))
    }
}

fn untrainable(place: Place, message: String) -> DataError {
    DataError::NoTrainableTokens { place, message }
}

/// Cuts a row into blocks of `length` tokens, each of which but the first repeats `context` tokens without learning
/// them.
fn blocks(whole: &Encoded, length: usize, context: usize) -> Vec<Encoded> {
    let mut blocks = Vec::with_capacity(whole.ids.len() / length.max(1) + 1);
    let mut start = 0_usize;
    loop {
        let end = whole.ids.len().min(start.saturating_add(length));
        let mut block = Encoded {
            ids: whole.ids[start..end].to_vec(),
            learn: whole.learn[start..end].to_vec(),
            kinds: whole.kinds[start..end].to_vec(),
        };
        if start > 0 {
            block.learn[..context].fill(false);
        }
        blocks.push(block);
        if end == whole.ids.len() {
            return blocks;
        }
        start = end - context;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(length: usize) -> Encoded {
        Encoded {
            ids: (0..length as u32).collect(),
            learn: vec![true; length],
            kinds: vec![0; length],
        }
    }

    #[test]
    fn blocks_repeat_their_context() {
        let blocks = blocks(&row(8), 4, 1);
        let ids: Vec<&[u32]> = blocks.iter().map(|block| block.ids.as_slice()).collect();
        assert_eq!(ids, [&[0, 1, 2, 3][..], &[3, 4, 5, 6], &[6, 7]]);
        assert_eq!(blocks[1].learn, [false, true, true, true]);
        assert_eq!(blocks[2].targets(), 1);
    }

    proptest! {
        #[test]
        fn every_token_is_learned_once(length in 1_usize..60, block in 2_usize..20, context in 1_usize..4) {
            prop_assume!(context < block);
            let blocks = blocks(&row(length), block, context);
            let mut learned: Vec<u32> = Vec::new();
            for part in &blocks {
                prop_assert!(part.ids.len() <= block);
                let kept = part.ids.iter().zip(&part.learn).filter(|(_, learn)| **learn);
                learned.extend(kept.map(|(id, _)| *id));
            }
            prop_assert_eq!(learned, (0..length as u32).collect::<Vec<_>>());
        }
    }
}

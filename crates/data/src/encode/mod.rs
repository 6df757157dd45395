//! Encoding conversations and texts into token ids.

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::document::Origin;
use crate::error::{DataError, Place, Result};
use crate::example::{Conversation, Labeled};
use crate::template::{Piece, Template, Templates};
use crate::tokenizer::Tokenizer;

mod answered;
mod fingerprint;
mod report;
mod text;
mod truncation;

pub use answered::AnsweredRow;
pub use fingerprint::Fingerprint;
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

    /// What is asked: the tokens before the last answer, that is, before the last run of learned ones. A row that is
    /// learned from its second token on, as one of a text, asks nothing: then it is the whole row.
    pub fn question(&self) -> &[u32] {
        match self.last_answer() {
            0 | 1 => &self.ids,
            answer => &self.ids[..answer.min(self.ids.len())],
        }
    }
}

/// A row of tokens with the place that it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
/// use finetune_data::Conversation;
///
/// let encoder = Encoder::open("model", "chat")?.length(1_024).truncation(Truncation::Drop);
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
    /// The encoder of a model's folder: its tokenizer, with the template of this name from
    /// [`Templates`]' list, and without a limit of length.
    ///
    /// # Errors
    ///
    /// What [`Tokenizer::open`] and [`Templates::get`] say.
    pub fn open(folder: impl AsRef<Path>, template: &str) -> Result<Self> {
        let tokenizer = Tokenizer::open(folder)?;
        let template = Templates::default().get(template, &tokenizer)?;
        Ok(Self::new(tokenizer, template))
    }

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

    /// A conversation as a row for training, with what was done to it: for one after the other, as
    /// [`encode_all`](Encoder::encode_all) is for all at once.
    ///
    /// # Errors
    ///
    /// As [`encode_all`](Encoder::encode_all); [`DataError::LeftOut`] if a policy drops the row.
    pub fn row(&self, conversation: &Conversation) -> Result<(Row, EncodeReport)> {
        let outcome = self.outcome(conversation)?;
        let longest = outcome.report.longest;
        let (rows, report) = outcome.counted();
        if let Some(row) = rows.into_iter().next() {
            return Ok((row, report));
        }
        let (reason, why) = match self.length {
            Some(length) if report.too_long > 0 => (
                "too long",
                format!("the row has {longest} tokens, limit {length}"),
            ),
            _ => (
                "without anything to learn",
                "no answer is learned".to_owned(),
            ),
        };
        let place = Place::from(&conversation.origin);
        Err(DataError::LeftOut { place, reason, why })
    }

    /// Conversations as rows for training: in parallel, in the order in which they came.
    ///
    /// # Errors
    ///
    /// The first error of a conversation in their order, unless a policy drops the row instead.
    pub fn encode_all(&self, conversations: &[Conversation]) -> Result<(Vec<Row>, EncodeReport)> {
        let outcomes: Vec<Result<Outcome>> = conversations
            .par_iter()
            .map(|conversation| self.outcome(conversation))
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

    /// What becomes of a conversation.
    fn outcome(&self, conversation: &Conversation) -> Result<Outcome> {
        let (mut encoded, mut report) = self.whole(conversation)?;
        let place = Place::from(&conversation.origin);
        let rows = self.fit(&mut encoded, &mut report, &place)?.map(|()| {
            vec![Row {
                encoded,
                origin: conversation.origin.clone(),
            }]
        });
        Ok(Outcome { rows, report })
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
            let (rows, counted) = outcome?.counted();
            all.extend(rows);
            report.add(&counted);
        }
        Ok((all, report))
    }
}

impl Outcome {
    /// The rows, and the report with their numbers.
    fn counted(self) -> (Vec<Row>, EncodeReport) {
        let mut report = self.report;
        let rows = match self.rows {
            Ok(rows) => rows,
            Err(dropped) => {
                match dropped {
                    Dropped::TooLong => report.too_long += 1,
                    Dropped::Untrainable => report.untrainable += 1,
                }
                return (Vec::new(), report);
            }
        };
        for row in &rows {
            report.kept += 1;
            report.tokens += row.encoded.ids.len() as u64;
            report.learned += row.encoded.targets() as u64;
        }
        (rows, report)
    }
}

fn untrainable(place: Place, message: String) -> DataError {
    DataError::NoTrainableTokens { place, message }
}

//! What a trunk is made of: the numbers that a family's `config.json` leads to.
//!
//! One trunk serves every family. What only some families know is a variant that owns its fields, so that no field is
//! ever without meaning; a family that needs more adds a variant.

use std::ops::Range;

use crate::op::Activation;

/// The plan of a trunk: embeddings and a stack of blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// Features of the hidden state.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Who sees whom.
    pub direction: Direction,
    /// What turns token ids into hidden states.
    pub embedding: Embedding,
    /// How a token knows where it stands.
    pub position: Position,
    /// How tokens look at each other.
    pub attention: Attention,
    /// What happens to each token alone.
    pub feed_forward: FeedForward,
    /// The kind of normalisation.
    pub norm: Norm,
    /// Where the normalisation stands in a block.
    pub residual: Residual,
    /// How much is dropped while training.
    pub dropout: Dropout,
}

/// Who sees whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A token sees itself and what stands before it.
    Causal,
    /// A token sees its whole document.
    Both,
}

/// What turns token ids into hidden states.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Number of token ids.
    pub vocabulary: usize,
    /// Number of segments that are told apart (the two texts of a pair), for families that know them.
    pub kinds: Option<usize>,
    /// Features of these vectors where they are not those of the hidden state: a projection leads from one to the other.
    pub width: Option<usize>,
    /// What the tokens' vectors are multiplied by, for families whose reference does so.
    pub scale: Option<f64>,
    /// Whether the sum of the embeddings is normalised.
    pub norm: bool,
    /// The token whose vector is not trained by being read, for families whose reference says so. (It is trained as an
    /// output where the head is the embedding.)
    pub padding: Option<usize>,
}

/// How a token knows where it stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Position {
    /// A learned vector per position, added to the embedding.
    Learned {
        /// Number of vectors.
        length: usize,
        /// The vector of a text's first token. Where it is not 0, padding has the vector before it, on whichever side it
        /// lies.
        first: usize,
    },
    /// Queries and keys are rotated by an angle per position, in the blocks that have a plan for it.
    Rotary(Each<Option<Rotary>>),
    /// A key's score falls linearly with its distance, at another rate in every head (Press et al. 2022).
    Alibi,
    /// A key's score gets a learned number by its distance, which all blocks share (Raffel et al. 2020).
    Distance(Distance),
    /// A key's score has a term for its distance and one for its segment (Dai et al. 2019; Yang et al. 2019).
    Relative(Relative),
}

/// How distances are told apart where each kind of distance has a learned number.
///
/// Of the kinds, half are for keys behind the query where tokens see both ways. Of those of one direction, half are for
/// one distance each, and the others for ranges that grow by a constant factor up to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distance {
    /// How many kinds of distances there are.
    pub kinds: usize,
    /// From this distance on all are of one kind.
    pub longest: usize,
}

/// Relative positions: sines and cosines of the distance from a query to a key, projected into the space of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relative {
    /// Larger distances count as this one, where there is such a bound.
    pub clamp: Option<usize>,
    /// Whether the second half of a batch counts its distances the other way round, as in pretraining on texts that are
    /// read from both ends. Of an odd batch the first half is the larger one.
    pub mirrored: bool,
    /// Whether every token of a causal trunk sees as many places: as many before itself as were read earlier.
    pub level: bool,
}

/// The same in every block, or one value per block.
#[derive(Debug, Clone, PartialEq)]
pub enum Each<T> {
    /// The same in every block.
    Same(T),
    /// One value per block, from the first on.
    Own(Vec<T>),
}

impl<T> Each<T> {
    /// The value of one block, counted from 0.
    ///
    /// # Panics
    /// When the values are fewer than the blocks.
    pub fn of(&self, block: usize) -> &T {
        match self {
            Self::Same(value) => value,
            Self::Own(values) => &values[block],
        }
    }
}

/// Rotary positions (Su et al. 2021): feature `i` and feature `i + width/2` of a head are turned by
/// `position · base^(-2i/width)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// The base of the geometric series of wavelengths.
    pub base: f64,
    /// How many features of a head are rotated; even.
    pub width: usize,
    /// How the series is stretched for texts longer than those of pretraining.
    pub scaling: Scaling,
}

/// How rotary frequencies are stretched.
#[derive(Debug, Clone, PartialEq)]
pub enum Scaling {
    /// Not at all.
    None,
    /// Every frequency divided by a factor (position interpolation, Chen et al. 2023).
    Linear {
        /// The factor, at least 1.
        factor: f64,
    },
    /// Long wavelengths stretched, short ones kept, a ramp between them (LLaMA 3.1).
    Llama3 {
        /// The factor of the long wavelengths.
        factor: f64,
        /// Wavelengths longer than `original / low` are stretched in full.
        low: f64,
        /// Wavelengths shorter than `original / high` are kept.
        high: f64,
        /// The length of texts in pretraining.
        original: usize,
    },
    /// A larger base for texts that are longer than those of pretraining: `base · (factor·length/original −
    /// (factor−1))^(width/(width−2))`, with the length of the batch's longest text.
    Dynamic {
        /// The factor, at least 1.
        factor: f64,
        /// The length of texts in pretraining.
        original: usize,
    },
    /// `YaRN` (Peng et al. 2023): frequencies that turn often are kept, those that turn seldom are divided by the
    /// factor, with a ramp over the feature pairs between them; cosines and sines are multiplied by a magnitude.
    Yarn {
        /// The factor of the low frequencies, at least 1.
        factor: f64,
        /// The feature pairs between which the ramp falls; see [`Rotary::pair_of`].
        ramp: (f64, f64),
        /// What cosines and sines are multiplied by.
        magnitude: f64,
    },
}

impl Rotary {
    /// The (fractional) feature pair whose angle turns `turns` times over `length` positions:
    /// `width · ln(length / (2π·turns)) / (2 · ln base)` (Peng et al. 2023, section 3.2).
    pub fn pair_of(base: f64, width: usize, turns: f64, length: usize) -> f64 {
        let ratio = length as f64 / (turns * std::f64::consts::TAU);
        width as f64 * ratio.ln() / (2.0 * base.ln())
    }
}

/// How tokens look at each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; divides `heads`.
    pub groups: usize,
    /// Features of a head.
    pub head_width: usize,
    /// Which projections have a bias.
    pub bias: AttentionBias,
    /// What the scores are multiplied by.
    pub scale: Scale,
    /// What happens to queries and keys before they meet.
    pub norm: QueryKeyNorm,
    /// A bound `c` on the scores, as `c · tanh(score / c)`, where there is one.
    pub cap: Option<f64>,
    /// How many places a token sees, itself included; `None`: all.
    pub window: Each<Option<usize>>,
}

/// Normalisation of queries and keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum QueryKeyNorm {
    /// None.
    None,
    /// Each head by itself, with weights that the heads share.
    Heads(Norm),
    /// All heads together.
    Whole(Norm),
}

/// Which projections of an attention have a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionBias {
    /// None of them.
    None,
    /// Query, key and value.
    Inputs,
    /// Query, key, value and output.
    All,
}

impl AttentionBias {
    /// Whether query, key and value have one.
    pub fn of_inputs(self) -> bool {
        self != Self::None
    }

    /// Whether the output has one.
    pub fn of_output(self) -> bool {
        self == Self::All
    }
}

/// What attention scores are multiplied by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// The same in every block.
    Same(f64),
    /// Divided by the number of the block, counted from 1.
    ByDepth(f64),
}

impl Scale {
    /// The factor of one block, counted from 0.
    pub fn of(self, block: usize) -> f64 {
        match self {
            Self::Same(factor) => factor,
            Self::ByDepth(factor) => factor / (block + 1) as f64,
        }
    }
}

/// What happens to each token alone.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedForward {
    /// Features between the two projections.
    pub inner: usize,
    /// The function between them.
    pub activation: Activation,
    /// How it is applied.
    pub kind: FeedForwardKind,
    /// Whether the projections have a bias.
    pub bias: bool,
}

/// The shape of a feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedForwardKind {
    /// `down(activation(up(x)))`.
    Plain,
    /// `down(activation(gate(x)) · up(x))`.
    Gated,
}

/// A normalisation over the features of a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// The formula.
    pub kind: NormKind,
    /// Added to the mean square or the variance.
    pub eps: f64,
}

/// The formula of a normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// `x / sqrt(mean(x²) + eps) · weight` (Zhang & Sennrich 2019).
    Rms,
    /// The same with `1 + weight` (Gemma).
    RmsFromOne,
    /// `(x - mean) / sqrt(variance + eps) · weight + bias` (Ba et al. 2016).
    Layer,
    /// The same without the bias.
    LayerWithoutBias,
}

/// Where the normalisation stands in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residual {
    /// `x + part(norm(x))`, and one more norm after the last block.
    PreNorm,
    /// The same, but the first block's attention takes `x` as it comes: the embeddings are normalised already.
    PreNormFromSecond,
    /// `norm(x + part(x))`.
    PostNorm,
    /// `x + attention(norm(x)) + feed_forward(norm'(x))`, and one more norm after the last block.
    Parallel,
    /// `n + part(n)` with `n = norm(x)`, and one more norm after the last block.
    NormedStream,
    /// `x + norm(part(x))`, and one more norm after the last block.
    OutputNorm,
    /// `x + norm'(part(norm(x)))`, and one more norm after the last block.
    Sandwich,
}

impl Residual {
    /// Whether a norm follows the last block.
    pub fn ends_with_norm(self) -> bool {
        self != Self::PostNorm
    }
}

/// Rates of dropout, each in `0..1`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Dropout {
    /// On the embeddings, and on the sines and cosines of relative positions.
    pub embedding: f64,
    /// On the attention's probabilities.
    pub attention: f64,
    /// On what attention adds to the residual stream.
    pub attended: f64,
    /// On what the feed-forward part adds to it.
    pub fed: f64,
    /// Inside the feed-forward part, before its last projection.
    pub inner: f64,
    /// On what comes out of the last block and the norm after it.
    pub last: f64,
}

/// The heads that a family has; `None` where it has no such head.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heads {
    /// Predicts the next token.
    pub causal: Option<CausalHead>,
    /// Predicts the class of a text.
    pub classifier: Option<ClassifierHead>,
    /// Predicts the class of every token.
    pub token_classifier: Option<TokenClassifierHead>,
    /// Predicts hidden tokens.
    pub masked: Option<MaskedHead>,
    /// Turns one text into another.
    pub seq2seq: Option<Seq2SeqHead>,
    /// Predicts which tokens were replaced.
    pub discriminator: Option<DiscriminatorHead>,
}

/// The head that predicts the next token: one projection to the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CausalHead {
    /// Whether the projection is the embedding of the tokens.
    pub tied: bool,
    /// Whether the projection has a bias.
    pub bias: bool,
    /// A bound `c` on the logits, as `c · tanh(logit / c)`, where there is one.
    pub cap: Option<f64>,
    /// Which token the hidden state of a place predicts.
    pub predicts: Predicts,
}

/// Which token the hidden state of a place predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Predicts {
    /// The next one.
    #[default]
    Next,
    /// Its own: a second stream of hidden states asks what stands there without seeing it (Yang et al. 2019).
    Own(Recall),
}

/// What generation with a second stream remembers of the tokens it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// Nothing: every token of the text is read again for every new one.
    Nothing,
    /// The text as it was read, but for the last two tokens, which are read again with every new one.
    Everything,
    /// The same, of so many places at most.
    Latest(usize),
    /// The first so many places of every pass; generation with it is not built.
    First(usize),
}

/// The head that predicts the class of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassifierHead {
    /// Whether a decoder reads the text once more before that.
    pub again: Option<Again>,
    /// Which hidden state stands for the text.
    pub place: Place,
    /// What becomes of it before the projection to the classes, where something does.
    pub pooler: Option<Pooler>,
    /// Whether the projection to the classes has a bias.
    pub bias: bool,
    /// The rate of dropout before it.
    pub dropout: f64,
    /// Number of classes.
    pub labels: usize,
}

/// A decoder that reads a text once more, each token one place later, and looks at what the encoder found. The hidden
/// state that stands for the text is that of its last end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// Number of the decoder's blocks.
    pub depth: usize,
    /// The token that stands before the text.
    pub start: u32,
    /// The token that ends a text.
    pub end: u32,
}

/// The head that predicts the class of every token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenClassifierHead {
    /// One more projection before that to the classes, where there is one.
    pub pooler: Option<Pooler>,
    /// Whether the projection to the classes has a bias.
    pub bias: bool,
    /// The rate of dropout before it.
    pub dropout: f64,
    /// Number of classes.
    pub labels: usize,
}

/// What becomes of a hidden state before the projection to the classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pooler {
    /// The rate of dropout before everything.
    pub dropout: f64,
    /// The projection, to as many features.
    pub projection: Projection,
    /// The function after it, where there is one.
    pub activation: Option<Activation>,
    /// The norm after the function, where there is one.
    pub norm: Option<Norm>,
}

/// A projection that may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projection {
    /// It is left out.
    None,
    /// Without a bias.
    Bare,
    /// With a bias.
    Biased,
}

/// Which hidden state stands for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// That of the first token.
    First,
    /// That of the last token.
    Last,
    /// That of the last token. (The reference takes the last place, padding or not.)
    End,
    /// The mean of all of the text.
    Mean,
    /// The mean of all of the text. (The reference takes the mean over all places, padding or not.)
    MeanOfPlaces,
}

/// The head that predicts hidden tokens: a projection, a function and a norm, then a projection to the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskedHead {
    /// Whether the last projection is the embedding of the tokens.
    pub tied: bool,
    /// The function after the first projection.
    pub activation: Activation,
    /// Whether the first projection has a bias.
    pub transform_bias: bool,
    /// Whether the last projection has a bias.
    pub bias: bool,
}

impl MaskedHead {
    /// A head whose projections have biases.
    pub fn new(tied: bool, activation: Activation) -> Self {
        Self {
            tied,
            activation,
            transform_bias: true,
            bias: true,
        }
    }
}

/// The head that predicts which tokens were replaced: a projection, a function, and a projection to one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiscriminatorHead {
    /// The function between the projections.
    pub activation: Activation,
}

/// The head that turns one text into another: a decoder whose blocks see the encoder's hidden states too, and a
/// projection to the vocabulary. It is the embedding of the tokens unless the files hold another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seq2SeqHead {
    /// Number of the decoder's blocks.
    pub depth: usize,
    /// What hidden states are multiplied by before the last projection; 1 changes nothing.
    pub scale: f64,
    /// The token that stands before every answer, where the configuration names it.
    pub start: Option<u32>,
}

/// The spread of new random weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spread {
    /// The same for every layer of a kind.
    Fixed {
        /// Standard deviation of weights.
        weights: f64,
        /// Standard deviation of the projections that write into the residual stream.
        residual: f64,
    },
    /// By the size of what comes in, for attention that does not scale its scores (Raffel et al. 2020).
    ByInput {
        /// Standard deviation of embeddings. A projection has this divided by the root of its input's features, that
        /// of queries also by the root of a head's.
        factor: f64,
    },
}

impl Spread {
    /// The same for all weights.
    pub fn even(weights: f64) -> Self {
        Self::Fixed {
            weights,
            residual: weights,
        }
    }
}

impl Blueprint {
    /// The longest text that the positions allow; `None` when the arithmetic has no limit.
    pub fn longest(&self) -> Option<usize> {
        match self.position {
            Position::Learned { length, first } => Some(length.saturating_sub(first)),
            Position::Rotary(_)
            | Position::Alibi
            | Position::Distance(_)
            | Position::Relative(_) => None,
        }
    }

    /// The same plan for a decoder beside this encoder.
    pub fn decoder(&self, depth: usize) -> Self {
        Self {
            depth,
            direction: Direction::Causal,
            ..self.clone()
        }
    }

    /// The numbers of the blocks.
    pub fn blocks(&self) -> Range<usize> {
        0..self.depth
    }

    /// How many numbers the parameters of the trunk are, without allocating any; used to refuse what is absurd.
    pub fn parameters(&self) -> u128 {
        let (width, depth) = (self.width as u128, self.depth as u128);
        let attention = &self.attention;
        let queries = (attention.heads * attention.head_width) as u128;
        let keys = (attention.groups * attention.head_width) as u128;
        let distances = match self.position {
            Position::Relative(_) => width * queries,
            _ => 0,
        };
        let matrices = match self.feed_forward.kind {
            FeedForwardKind::Plain => 2,
            FeedForwardKind::Gated => 3,
        };
        let block = 2 * width * (queries + keys)
            + distances
            + matrices * width * self.feed_forward.inner as u128;
        let rows = self.embedding.vocabulary
            + self.embedding.kinds.unwrap_or(0)
            + self.longest().unwrap_or(0);
        depth * block + width * rows as u128
    }
}

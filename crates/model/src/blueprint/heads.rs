//! What stands on a trunk.

use super::Norm;
use crate::op::Activation;

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

//! How a token knows where it stands.

use super::Each;

/// How a token knows where it stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Position {
    /// A learned vector per position, added to the embedding.
    Learned {
        /// Number of vectors.
        length: usize,
        /// The vector of a text's first token. Where it is not 0, padding has the vector before it, on whichever side
        /// it lies.
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

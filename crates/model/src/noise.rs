//! Randomness as a pure function of where it is used.
//!
//! Nothing here holds state: the same `(seed, step, micro-step, site, index)` gives the same number on every
//! device, for any number of threads, before and after a resumed run. burn's own generators are process-global and
//! cannot be saved, so nothing in the model draws from them.

/// A source of random numbers that is a value, not a generator.
///
/// Derive one per place with [`Noise::site`]; read numbers by index with [`Noise::uniform`].
///
/// ```
/// use finetune_model::noise::Noise;
///
/// let noise = Noise::new(7, 100, 0).site(3);
/// assert_eq!(noise.uniform(5), Noise::new(7, 100, 0).site(3).uniform(5));
/// assert!(!Noise::off().site(3).is_on());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    key: Option<u64>,
}

impl Noise {
    /// No randomness: dropout does nothing.
    pub const fn off() -> Self {
        Self { key: None }
    }

    /// The randomness of one micro-batch.
    ///
    /// # Arguments
    ///
    /// - `seed`: the run's seed.
    /// - `step`: the optimizer step.
    /// - `micro`: the micro-batch inside the step.
    pub const fn new(seed: u64, step: u64, micro: u64) -> Self {
        let key = derive(derive(derive(0, seed), step), micro);
        Self { key: Some(key) }
    }

    /// The randomness of one place in the model. Composes: `noise.site(layer).site(1)`.
    pub const fn site(self, site: u64) -> Self {
        match self.key {
            Some(key) => Self {
                key: Some(derive(key, site)),
            },
            None => self,
        }
    }

    /// The `index`-th number, uniform in `[0, 1)`, a multiple of 2⁻²⁴. 0 when the noise is off.
    pub const fn uniform(self, index: u64) -> f32 {
        match self.key {
            Some(key) => unit(key, index),
            None => 0.0,
        }
    }

    /// Whether there is any randomness.
    pub const fn is_on(self) -> bool {
        self.key.is_some()
    }
}

/// Weyl increment of SplitMix64: 2⁶⁴ divided by the golden ratio, odd.
const WEYL: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's output function ("variant 13" of the MurmurHash3 finaliser by D. Stafford).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A new key from a key and a number. The multiplication keeps `derive(derive(k, a), b)` apart from swapped `a`, `b`.
const fn derive(key: u64, number: u64) -> u64 {
    mix(key.wrapping_mul(WEYL) ^ mix(number.wrapping_add(WEYL)))
}

const fn unit(key: u64, index: u64) -> f32 {
    let bits = mix(key.wrapping_add(index.wrapping_add(1).wrapping_mul(WEYL)));
    // 24 bits fit a f32 exactly, so the result never rounds up to 1.
    (bits >> 40) as f32 * (1.0 / 16_777_216.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_stays_off() {
        assert!(!Noise::off().is_on());
        assert_eq!(Noise::off().site(9), Noise::off());
        assert_eq!(Noise::off().uniform(3).to_bits(), 0.0f32.to_bits());
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let base = Noise::new(1, 2, 3).site(4);
        for other in [
            Noise::new(2, 2, 3).site(4),
            Noise::new(1, 3, 3).site(4),
            Noise::new(1, 2, 4).site(4),
            Noise::new(1, 2, 3).site(5),
            Noise::new(2, 1, 3).site(4),
            Noise::new(1, 2, 4).site(3),
            Noise::new(1, 2, 3).site(4).site(0),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn numbers_are_uniform_and_uncorrelated() {
        let n = 200_000u64;
        for site in 0..4 {
            let noise = Noise::new(42, 7, 0).site(site);
            let x: Vec<f64> = (0..n).map(|i| f64::from(noise.uniform(i))).collect();
            assert!(x.iter().all(|&v| (0.0..1.0).contains(&v)));
            let mean = x.iter().sum::<f64>() / n as f64;
            let square = x.iter().map(|v| (v - 0.5) * (v - 0.5)).sum::<f64>() / n as f64;
            let lag = x
                .windows(2)
                .map(|w| (w[0] - 0.5) * (w[1] - 0.5))
                .sum::<f64>()
                / n as f64;
            assert!((mean - 0.5).abs() < 0.003, "mean {mean}");
            assert!((square - 1.0 / 12.0).abs() < 0.001, "variance {square}");
            assert!(lag.abs() < 0.001, "correlation {lag}");
        }
    }
}

//! Rotary positions: the angles by which queries and keys are turned.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::blueprint::{Rotary, Scaling};
use crate::tokens::{Convention, Span, Tokens};

/// Cosine and sine of the angle of every feature pair at every place, `[batch * length, rotated / 2]` each.
#[derive(Debug, Clone)]
pub struct Angles {
    /// Cosines.
    pub cos: Tensor<2>,
    /// Sines.
    pub sin: Tensor<2>,
}

impl Angles {
    /// The angles of every place that is read now.
    ///
    /// Where the frequencies follow the length of a text, each row has its own by its longest text, so that it depends
    /// neither on the rows beside it nor on its padding; in the reference's convention they follow the longest row.
    pub fn new(plan: &Rotary, tokens: &Tokens, device: &Device, dtype: DType) -> Self {
        let positions = tokens.positions();
        let apart = matches!(plan.scaling, Scaling::Dynamic { .. })
            && tokens.convention == Convention::Documents;
        let (length, seen): (usize, Vec<usize>) = if apart {
            let longest = |row: &Vec<Span>| row.iter().map(Span::len).max().unwrap_or(0);
            (tokens.length(), tokens.spans.iter().map(longest).collect())
        } else {
            let last = positions.iter().max();
            let seen = last.map_or(0, |last| *last as usize + 1);
            (positions.len(), vec![seen])
        };
        let mut turns = Vec::with_capacity(positions.len() * plan.width / 2);
        for (positions, seen) in positions.chunks(length.max(1)).zip(seen) {
            turn(&mut turns, plan, positions, seen);
        }
        let half = plan.width / 2;
        let tensor = |pick: fn(&(f32, f32)) -> f32| {
            let values: Vec<f32> = turns.iter().map(pick).collect();
            let data = TensorData::new(values, [positions.len(), half]);
            Tensor::from_data(data, (device, dtype))
        };
        Self {
            cos: tensor(|(_, cos)| *cos),
            sin: tensor(|(sin, _)| *sin),
        }
    }
}

/// Adds sine and cosine of each feature pair at each position, for texts of `seen` tokens.
fn turn(turns: &mut Vec<(f32, f32)>, plan: &Rotary, positions: &[u32], seen: usize) {
    let frequencies = frequencies(plan, seen);
    let magnitude = match plan.scaling {
        Scaling::Yarn { magnitude, .. } => magnitude as f32,
        _ => 1.0,
    };
    // The sine of a position is needed once per row and document: computed once, then copied.
    let mut met = positions.to_vec();
    met.sort_unstable();
    met.dedup();
    let table: Vec<(f32, f32)> = met
        .iter()
        .flat_map(|position| {
            // In f32 like the reference: the rounding of the product is part of what checkpoints were trained with.
            let turn = move |frequency: &f32| {
                let (sin, cos) = (*position as f32 * frequency).sin_cos();
                (sin * magnitude, cos * magnitude)
            };
            frequencies.iter().map(turn).collect::<Vec<_>>()
        })
        .collect();
    let half = frequencies.len();
    for position in positions {
        let place = met.partition_point(|met| met < position);
        turns.extend_from_slice(&table[place * half..][..half]);
    }
}

/// The angle per position of each feature pair, in f32 as the reference computes it, for texts of `seen` tokens.
fn frequencies(plan: &Rotary, seen: usize) -> Vec<f32> {
    let width = plan.width as f64;
    let base = match plan.scaling {
        Scaling::Dynamic { factor, original } => {
            let length = seen.max(original) as f64 / original as f64;
            plan.base * (factor * length - (factor - 1.0)).powf(width / (width - 2.0))
        }
        _ => plan.base,
    };
    let frequency = |pair: usize| {
        let exponent = (2 * pair) as f32 / plan.width as f32;
        let frequency = 1.0 / base.powf(f64::from(exponent)) as f32;
        stretched(frequency, pair, &plan.scaling)
    };
    (0..plan.width / 2).map(frequency).collect()
}

fn stretched(frequency: f32, pair: usize, scaling: &Scaling) -> f32 {
    match *scaling {
        Scaling::None | Scaling::Dynamic { .. } => frequency,
        Scaling::Linear { factor } => frequency / factor as f32,
        Scaling::Llama3 {
            factor,
            low,
            high,
            original,
        } => {
            let wavelength = std::f64::consts::TAU / f64::from(frequency);
            let original = original as f64;
            let stretched = f64::from(frequency) / factor;
            if wavelength < original / high {
                frequency
            } else if wavelength > original / low {
                stretched as f32
            } else {
                let kept = (original / wavelength - low) / (high - low);
                ((1.0 - kept) * stretched + kept * f64::from(frequency)) as f32
            }
        }
        Scaling::Yarn {
            factor,
            ramp: (first, last),
            ..
        } => {
            let stretched = frequency / factor as f32;
            let share = ((pair as f64 - first) / (last - first)).clamp(0.0, 1.0) as f32;
            stretched * share + frequency * (1.0 - share)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Side;

    #[test]
    fn angles_follow_positions() {
        let device = Device::default();
        let plan = Rotary {
            base: 100.0,
            width: 4,
            scaling: Scaling::Linear { factor: 2.0 },
        };
        let rows = [vec![vec![1, 1], vec![1]]];
        let tokens = Tokens::new(&rows, None, Side::Right, 0, &device).unwrap();
        let angles = Angles::new(&plan, &tokens, &device, DType::F32);
        let sin = angles.sin.to_data().try_to_vec::<f32>().unwrap();
        let expected = [0.0, 0.0, 0.5f32.sin(), 0.05f32.sin(), 0.0, 0.0];
        for (found, expected) in sin.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-7, "{sin:?}");
        }
    }

    #[test]
    fn llama3_keeps_short_wavelengths_and_stretches_long_ones() {
        let scaling = Scaling::Llama3 {
            factor: 8.0,
            low: 1.0,
            high: 4.0,
            original: 8192,
        };
        assert_eq!(stretched(1.0, 0, &scaling).to_bits(), 1f32.to_bits());
        assert!((stretched(1e-5, 0, &scaling) - 1.25e-6).abs() < 1e-12);
        let between = stretched(2e-3, 0, &scaling);
        assert!(between < 2e-3 && between > 2.5e-4);
    }
}

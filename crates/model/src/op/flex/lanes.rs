//! Scalar formulas and reductions in a form that compiles to vector instructions.
//!
//! Everything here is `#[inline(always)]` and branch-free, to be used inside a [`kernel!`](super::kernel::kernel).
#![allow(clippy::inline_always)] // See `Kernel`.

/// Independent partial results of a reduction: two registers of AVX-512, so that additions overlap.
pub(crate) const LANES: usize = 32;

/// eˣ, within 2 units in the last place; 0 below -87.3, 2.4e38 above 88.3.
///
/// `x = n·ln 2 + r` with `|r| ≤ ln 2 / 2`; eʳ by a minimax polynomial, 2ⁿ by the exponent's bits.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts: the first has few bits, so that n times it is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5·2²³ rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = clamp(x, -87.3, 88.3);
    let shifted = clamped * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let p = 1.392_692_7e-3;
    let p = p * r + 8.363_774e-3;
    let p = p * r + 4.166_655e-2;
    let p = p * r + 0.166_665_73;
    let p = p * r + 0.5;
    let e = p * (r * r) + r + 1.0;
    let two_to_n = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    let y = e * two_to_n;
    // Not a comparison that swallows NaN: NaN must come out as NaN.
    if x < -87.3 { 0.0 } else { y }
}

/// `x` between two bounds; NaN stays NaN.
#[inline(always)]
pub(crate) fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// `1 / (1 + e⁻ˣ)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `tanh(x)`, within 3 units in the last place.
///
/// Near zero an odd polynomial (least squares over Chebyshev nodes, |x| ≤ 0.7), elsewhere `1 - 2 / (1 + e²ˣ)`.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let square = x * x;
    let p = -5.589_27e-3;
    let p = p * square + 2.060_715e-2;
    let p = p * square - 5.375_878e-2;
    let p = p * square + 0.133_320_9;
    let p = p * square - 0.333_333_22;
    let near = p * square * x + x;
    let far = 1.0 - 2.0 / (1.0 + exp(2.0 * x));
    if x.abs() < 0.7 { near } else { far }
}

/// `cap · tanh(x / cap)`.
#[inline(always)]
pub(crate) fn bound(x: f32, cap: f32) -> f32 {
    cap * tanh(x / cap)
}

/// The normal distribution's cumulative function Φ(x) and density φ(x).
///
/// `Φ(-t√2) = ½ e^{-t²} erfcx(t)`, with the scaled complementary error function as a polynomial in `1 / (1 + 0.4 t)`
/// (minimax fit on 0 ≤ t ≤ 10, relative error below 2e-8). The left tail keeps its relative precision.
#[inline(always)]
pub(crate) fn normal(x: f32) -> (f32, f32) {
    const INVERSE_ROOT_TAU: f32 = 0.398_942_3;
    let t = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let u = 1.0 / (1.0 + 0.4 * t);
    let p = -0.033_501_126;
    let p = p * u + 0.218_785_36;
    let p = p * u - 0.546_502_6;
    let p = p * u + 0.609_342_16;
    let p = p * u - 0.334_311_87;
    let p = p * u + 0.297_973_2;
    let p = p * u + 0.121_059_98;
    let p = p * u + 0.216_689_38;
    let p = p * u + 0.224_748_66;
    let p = p * u + 0.225_716_86;
    let bell = exp(-0.5 * x * x);
    let tail = 0.5 * bell * (p * u);
    let cumulative = if x < 0.0 { tail } else { 1.0 - tail };
    (cumulative, bell * INVERSE_ROOT_TAU)
}

/// `Σ f(x)`, as [`LANES`] partial sums that are added in pairs: the order depends on the length alone.
#[inline(always)]
pub(crate) fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut chunks = x.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (total, &x) in lanes.iter_mut().zip(chunk) {
            *total += f(x);
        }
    }
    for (total, &x) in lanes.iter_mut().zip(chunks.remainder()) {
        *total += f(x);
    }
    fold(lanes)
}

/// `Σ f(x, y)`; the slices are equally long.
#[inline(always)]
pub(crate) fn sum_of_pairs(x: &[f32], y: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut xs = x.chunks_exact(LANES);
    let mut ys = y.chunks_exact(LANES);
    for (x, y) in (&mut xs).zip(&mut ys) {
        for ((total, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *total += f(x, y);
        }
    }
    let rest = xs.remainder().iter().zip(ys.remainder());
    for (total, (&x, &y)) in lanes.iter_mut().zip(rest) {
        *total += f(x, y);
    }
    fold(lanes)
}

/// `Σ x`.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    sum_of(x, |x| x)
}

/// `Σ x·y`.
#[inline(always)]
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    sum_of_pairs(x, y, |x, y| x * y)
}

/// The largest element, or -∞.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut chunks = x.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (highest, &value) in lanes.iter_mut().zip(chunk) {
            *highest = larger(value, *highest);
        }
    }
    let mut highest = f32::NEG_INFINITY;
    for &value in lanes.iter().chain(chunks.remainder()) {
        highest = larger(value, highest);
    }
    highest
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_two_units() {
        let mut worst = 0.0f64;
        for i in 0..400_000 {
            let x = -87.0 + i as f32 * (175.0 / 400_000.0);
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst:e}");
        assert_eq!(exp(0.0).to_bits(), 1.0f32.to_bits());
        assert_eq!(exp(-1e30).to_bits(), 0.0f32.to_bits());
        assert_eq!(exp(f32::NEG_INFINITY).to_bits(), 0.0f32.to_bits());
        assert!(exp(f32::NAN).is_nan());
    }

    /// erfc by its continued fraction and series, in f64.
    fn cumulative(x: f64) -> f64 {
        let t = x.abs() / std::f64::consts::SQRT_2;
        let erfc = if t < 2.5 {
            let (mut term, mut total, mut n) = (t, t, 0.0);
            while term.abs() > 1e-18 {
                n += 1.0;
                term *= -t * t / n;
                total += term / (2.0 * n + 1.0);
            }
            1.0 - total * 2.0 / std::f64::consts::PI.sqrt()
        } else {
            let mut fraction = t;
            for k in (1..200).rev() {
                fraction = t + f64::from(k) / 2.0 / fraction;
            }
            (-t * t).exp() / fraction / std::f64::consts::PI.sqrt()
        };
        if x < 0.0 {
            erfc / 2.0
        } else {
            1.0 - erfc / 2.0
        }
    }

    #[test]
    fn the_normal_distribution_keeps_its_tail() {
        for i in 0..=2_400 {
            let x = -12.0 + i as f32 / 100.0;
            let (found, density) = normal(x);
            let exact = cumulative(f64::from(x));
            assert!(
                (f64::from(found) - exact).abs() < 3e-6 * exact + 1e-30,
                "{x}: {found:e} {exact:e}"
            );
            assert!((f64::from(found) - exact).abs() < 1.5e-7, "{x}");
            let exact = (-0.5 * f64::from(x) * f64::from(x)).exp() / std::f64::consts::TAU.sqrt();
            assert!((f64::from(density) - exact).abs() < 1e-7, "{x}");
        }
        assert!(normal(f32::NAN).0.is_nan());
    }

    #[test]
    fn reductions_of_every_length() {
        for n in 0..200 {
            let x: Vec<f32> = (0..n).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
            let exact: f32 = x.iter().sum();
            assert!((sum(&x) - exact).abs() < 1e-3);
            assert!((dot(&x, &x) - x.iter().map(|v| v * v).sum::<f32>()).abs() < 1.0);
            let highest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(max(&x).to_bits(), highest.to_bits());
        }
    }
}

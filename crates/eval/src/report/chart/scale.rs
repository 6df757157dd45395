//! Scales and their ticks.

/// A linear map from values to pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Maps `low..high` to `from..to`. An empty range is widened.
    pub(super) fn new((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        let high = if high > low {
            high
        } else {
            low + low.abs().max(1.0)
        };
        Self {
            low,
            high,
            from,
            to,
        }
    }

    /// The pixel of a value, kept within the range.
    pub(super) fn at(self, value: f64) -> f64 {
        let part = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + part * (self.to - self.from)
    }
}

/// The distance between round ticks that are about `count` in `low..high`: 1, 2 or 5 times a power of ten.
pub(super) fn step(low: f64, high: f64, count: usize) -> f64 {
    let rough = (high - low).max(f64::MIN_POSITIVE) / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = match rough / power {
        part if part <= 1.0 => 1.0,
        part if part <= 2.0 => 2.0,
        part if part <= 5.0 => 5.0,
        _ => 10.0,
    };
    factor * power
}

/// Round ticks within `low..=high`.
pub(super) fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    if !(low.is_finite() && high.is_finite() && high > low) {
        return vec![low];
    }
    let step = step(low, high, count);
    let first = (low / step).ceil() as i64;
    (0..=4 * count as i64 + 4)
        .map(|index| (first + index) as f64 * step)
        .take_while(|tick| *tick <= high + step * 1e-9)
        .collect()
}

/// A tick as text, with as many decimals as its distance needs.
pub(super) fn tick(value: f64, step: f64) -> String {
    if value != 0.0 && (value.abs() < 1e-3 || value.abs() >= 1e6) {
        let text = format!("{value:.1e}");
        return text.replace(".0e", "e");
    }
    let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    if value.abs() >= 1000.0 && decimals == 0 {
        return crate::report::figures::grouped(value as i64);
    }
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round() {
        let shown = |low, high, count| -> Vec<String> {
            let step = step(low, high, count);
            ticks(low, high, count)
                .into_iter()
                .map(|value| tick(value, step))
                .collect()
        };
        assert_eq!(shown(0.0, 1.0, 4), ["0.0", "0.5", "1.0"]);
        assert_eq!(shown(1.13, 3.42, 4), ["2", "3"]);
        assert_eq!(shown(0.0, 2e-4, 2), ["0.0000", "1e-4", "2e-4"]);
        assert_eq!(shown(0.0, 4200.0, 4), ["0", "2,000", "4,000"]);
    }

    proptest! {
        #[test]
        fn ticks_lie_in_the_range(low in -1e6_f64..1e6, width in 1e-6_f64..1e6, count in 1_usize..9) {
            let ticks = ticks(low, low + width, count);
            prop_assert!(ticks.len() <= 4 * count + 5);
            prop_assert!(ticks.iter().all(|tick| *tick >= low - width * 1e-6 && *tick <= low + width * (1.0 + 1e-6)));
        }

        #[test]
        fn pixels_lie_in_the_picture(low in -1e6_f64..1e6, high in -1e6_f64..1e6, value in prop::num::f64::ANY) {
            let place = Scale::new((low, high), (10.0, 90.0)).at(value);
            prop_assert!(place.is_nan() == value.is_nan());
            prop_assert!(place.is_nan() || (10.0..=90.0).contains(&place));
        }
    }
}

//! Elements: the numbers that files store, where parameters lie in a tensor, and the way back into a file.

use std::ops::Range;

use burn::tensor::{DType, TensorData};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::dtype::Dtype;
use super::names::Layout;

/// The side of the squares in which a matrix is turned.
pub(super) const TILE: usize = 64;

/// A number that files store and parameters hold.
pub(super) trait Number: Copy + Send + Sync + 'static {
    const SIZE: usize;
    /// Reads a run of numbers.
    fn widen(bytes: &[u8], out: &mut [f32]);
    /// Rounds a run of numbers. Returns how many of the rounded ones are NaN or infinite.
    fn narrow(values: &[f32], out: &mut [Self]) -> usize;
    /// The same, as a file stores them.
    fn write(values: &[f32], out: &mut [u8]) -> usize;
}

impl Number for f32 {
    const SIZE: usize = 4;

    fn widen(bytes: &[u8], out: &mut [f32]) {
        for (bytes, out) in bytes.chunks_exact(4).zip(out) {
            *out = Self::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
    }

    fn narrow(values: &[f32], out: &mut [Self]) -> usize {
        out.copy_from_slice(values);
        not_finite(values)
    }

    fn write(values: &[f32], out: &mut [u8]) -> usize {
        for (value, out) in values.iter().zip(out.chunks_exact_mut(4)) {
            out.copy_from_slice(&value.to_le_bytes());
        }
        not_finite(values)
    }
}

fn not_finite(values: &[f32]) -> usize {
    values.iter().filter(|value| !value.is_finite()).count()
}

macro_rules! short {
    ($type:ty) => {
        impl Number for $type {
            const SIZE: usize = 2;

            /// Slices convert many times faster than single numbers.
            fn widen(bytes: &[u8], out: &mut [f32]) {
                let mut own = [Self::ZERO; 64];
                for (bytes, out) in bytes.chunks(128).zip(out.chunks_mut(64)) {
                    for (bytes, own) in bytes.chunks_exact(2).zip(&mut own) {
                        *own = Self::from_le_bytes([bytes[0], bytes[1]]);
                    }
                    own[..out.len()].convert_to_f32_slice(out);
                }
            }

            fn narrow(values: &[f32], out: &mut [Self]) -> usize {
                out.convert_from_f32_slice(values);
                out.iter().filter(|value| !value.is_finite()).count()
            }

            fn write(values: &[f32], out: &mut [u8]) -> usize {
                let mut own = [Self::ZERO; 64];
                let pieces = values.chunks(64).zip(out.chunks_mut(128));
                pieces
                    .map(|(values, out)| {
                        let own = &mut own[..values.len()];
                        let wrong = Self::narrow(values, own);
                        for (own, out) in own.iter().zip(out.chunks_exact_mut(2)) {
                            out.copy_from_slice(&own.to_le_bytes());
                        }
                        wrong
                    })
                    .sum()
            }
        }
    };
}

short!(f16);
short!(bf16);

/// Where a parameter lies inside the tensor of a file: some columns of the `[rows, columns]` that the model sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(super) layout: Layout,
    /// Rows of the model's view: the input features, or 1 for a vector.
    pub(super) rows: usize,
    /// Columns of the whole tensor.
    pub(super) columns: usize,
    /// The first of the parameter's columns.
    first: usize,
    /// How many are the parameter's.
    pub(super) count: usize,
    /// How many of them lie behind each other; then those of other parameters follow.
    pub(super) run: usize,
    /// From the beginning of a run to that of the next.
    stride: usize,
}

impl Window {
    /// Columns behind each other, `count` from `first` on.
    pub(crate) fn new(
        layout: Layout,
        [rows, columns]: [usize; 2],
        first: usize,
        count: usize,
    ) -> Self {
        Self {
            layout,
            rows,
            columns,
            first,
            count,
            run: count,
            stride: columns,
        }
    }

    /// The same parameters cut into runs: the first run of each, then the second of each, ….
    pub(crate) fn in_runs(self, runs: usize) -> Self {
        Self {
            first: self.first / runs,
            run: self.count / runs,
            stride: self.columns / runs,
            ..self
        }
    }

    /// How many numbers the parameter has.
    pub(super) fn numbers(&self) -> usize {
        self.rows * self.count
    }

    /// How many numbers a row of the file has.
    pub(super) fn file_row(&self) -> usize {
        match self.layout {
            Layout::Same => self.columns,
            Layout::Transposed => self.rows,
        }
    }

    /// The columns of the whole tensor that hold the parameter's, run by run.
    pub(super) fn runs(&self) -> impl Iterator<Item = Range<usize>> + Clone {
        let (first, run, stride) = (self.first, self.run, self.stride);
        (0..self.count / run).map(move |number| {
            let start = first + number * stride;
            start..start + run
        })
    }
}

/// Whether parameters can be stored as this type.
pub(super) fn is_number(dtype: Dtype) -> bool {
    [Dtype::F32, Dtype::F16, Dtype::BF16].contains(&dtype)
}

/// The bytes of a file's tensor from the parameters that it holds.
///
/// # Arguments
/// - `parts`: the parameters with their windows, which together cover the tensor
///
/// # Returns
/// The bytes, and how many of the numbers are NaN or infinite in the file's type.
pub(super) fn encode(parts: &[(Window, TensorData)], stored: Dtype) -> (Vec<u8>, usize) {
    let total: usize = parts
        .iter()
        .map(|(window, _)| window.rows * window.count)
        .sum();
    let mut bytes = vec![0; total * (stored.bits() / 8) as usize];
    let mut wrong = 0;
    for (window, data) in parts {
        wrong += match stored {
            Dtype::F16 => encode_as::<f16>(&mut bytes, *window, data),
            Dtype::BF16 => encode_as::<bf16>(&mut bytes, *window, data),
            _ => encode_as::<f32>(&mut bytes, *window, data),
        };
    }
    (bytes, wrong)
}

fn encode_as<T: Number>(bytes: &mut [u8], window: Window, data: &TensorData) -> usize {
    match data.dtype() {
        DType::F16 => scattered::<f16, T>(bytes, window, data.as_bytes()),
        DType::BF16 => scattered::<bf16, T>(bytes, window, data.as_bytes()),
        _ => scattered::<f32, T>(bytes, window, data.as_bytes()),
    }
}

fn scattered<S: Number, T: Number>(bytes: &mut [u8], window: Window, values: &[u8]) -> usize {
    if values.is_empty() {
        return 0;
    }
    match window.layout {
        Layout::Same => {
            let rows = bytes.par_chunks_mut(window.columns * T::SIZE);
            let rows = rows.zip(values.par_chunks(window.count * S::SIZE));
            let row = |(out, values): (&mut [u8], &[u8])| -> usize {
                let runs = window.runs().zip(values.chunks(window.run * S::SIZE));
                runs.map(|(run, values)| {
                    converted::<S, T>(values, &mut out[run.start * T::SIZE..run.end * T::SIZE])
                })
                .sum()
            };
            rows.map(row).sum()
        }
        // The columns of a run are neighbouring rows of the file.
        Layout::Transposed => {
            let row = window.rows * T::SIZE;
            let own = |(number, run): (usize, Range<usize>)| -> usize {
                let bands = bytes[run.start * row..run.end * row].par_chunks_mut(TILE * row);
                let first = number * window.run;
                bands
                    .enumerate()
                    .map(|(band, out)| turned::<S, T>(out, window, values, first + band * TILE))
                    .sum()
            };
            window.runs().enumerate().map(own).sum()
        }
    }
}

/// A run of numbers in the other type.
fn converted<S: Number, T: Number>(values: &[u8], out: &mut [u8]) -> usize {
    let mut wide = [0.0; 4 * TILE];
    let pieces = values.chunks(wide.len() * S::SIZE);
    pieces
        .zip(out.chunks_mut(wide.len() * T::SIZE))
        .map(|(values, out)| {
            let wide = &mut wide[..values.len() / S::SIZE];
            S::widen(values, wide);
            T::write(wide, out)
        })
        .sum()
}

/// Some columns of a parameter as rows of a file, turned square by square, so that they stay in the cache.
///
/// # Arguments
/// - `out`: at most [`TILE`] rows of the file
/// - `column`: the first of the columns
fn turned<S: Number, T: Number>(
    out: &mut [u8],
    window: Window,
    values: &[u8],
    column: usize,
) -> usize {
    let width = out.len() / (window.rows * T::SIZE);
    let mut square = [[0.0; TILE]; TILE];
    let mut line = [0.0; TILE];
    let mut wrong = 0;
    for first in (0..window.rows).step_by(TILE) {
        let rows = first..window.rows.min(first + TILE);
        for (row, wide) in rows.clone().zip(&mut square) {
            let begin = (row * window.count + column) * S::SIZE;
            S::widen(&values[begin..begin + width * S::SIZE], &mut wide[..width]);
        }
        for (lane, out) in out.chunks_mut(window.rows * T::SIZE).enumerate() {
            let line = &mut line[..rows.len()];
            for (number, wide) in line.iter_mut().zip(&square) {
                *number = wide[lane];
            }
            wrong += T::write(line, &mut out[first * T::SIZE..rows.end * T::SIZE]);
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::decode::decode;
    use super::*;

    fn bytes_of(values: &[f32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    /// Two parameters fused in one tensor come out as slices of it and go back to the same bytes.
    fn fused(layout: Layout, rows: usize, counts: [usize; 2]) {
        let columns = counts[0] + counts[1];
        let file: Vec<f32> = (0..rows * columns).map(|i| i as f32 * 0.5 - 7.0).collect();
        let bytes = bytes_of(&file);
        let mut first = 0;
        let mut parts = Vec::new();
        for count in counts {
            let window = Window::new(layout, [rows, columns], first, count);
            let (data, wrong) = decode(&bytes, Dtype::F32, window, &[rows, count], DType::F32);
            assert_eq!(wrong, 0);
            let values = data.try_to_vec::<f32>().unwrap();
            for row in 0..rows {
                for column in 0..count {
                    let place = match layout {
                        Layout::Same => row * columns + first + column,
                        Layout::Transposed => (first + column) * rows + row,
                    };
                    assert_eq!(
                        values[row * count + column].to_bits(),
                        file[place].to_bits()
                    );
                }
            }
            parts.push((window, data));
            first += count;
        }
        assert_eq!(encode(&parts, Dtype::F32), (bytes, 0));
    }

    #[test]
    fn fused_tensors_split_and_join() {
        for layout in [Layout::Same, Layout::Transposed] {
            fused(layout, 3, [4, 2]);
            fused(layout, 130, [70, 200]);
            fused(layout, 1, [5, 5]);
        }
    }

    /// Two heads, each with its part of three projections behind each other.
    #[test]
    fn interleaved_projections_split_and_join() {
        let (rows, heads, width) = (3, 2, 2);
        for layout in [Layout::Same, Layout::Transposed] {
            let columns = 3 * heads * width;
            let file: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let bytes = bytes_of(&file);
            let parts: Vec<_> = (0..3)
                .map(|part| {
                    let count = heads * width;
                    let window = Window::new(layout, [rows, columns], part * count, count);
                    let window = window.in_runs(heads);
                    let shape = [rows, heads * width];
                    let (data, _) = decode(&bytes, Dtype::F32, window, &shape, DType::F32);
                    let values = data.try_to_vec::<f32>().unwrap();
                    // The second head's first feature in the second row.
                    let column = 3 * width + part * width;
                    let place = match layout {
                        Layout::Same => columns + column,
                        Layout::Transposed => column * rows + 1,
                    };
                    assert_eq!(
                        values[heads * width + width].to_bits(),
                        file[place].to_bits()
                    );
                    (window, data)
                })
                .collect();
            assert_eq!(encode(&parts, Dtype::F32), (bytes, 0));
        }
    }

    #[test]
    fn half_types_go_through_f32_without_loss() {
        let window = Window::new(Layout::Same, [1, 3], 0, 3);
        for bits in [0x3f80u16, 0xc2f7, 0x0001] {
            for dtype in [Dtype::F16, Dtype::BF16] {
                let bytes: Vec<u8> = [bits; 3].iter().flat_map(|b| b.to_le_bytes()).collect();
                let (data, wrong) = decode(&bytes, dtype, window, &[3], DType::F32);
                assert_eq!(wrong, 0);
                assert_eq!(encode(&[(window, data)], dtype), (bytes, 0));
            }
        }
    }

    #[test]
    fn numbers_that_are_not_finite_are_counted() {
        let bytes = bytes_of(&[1.0, f32::NAN, 1e9]);
        let window = Window::new(Layout::Same, [1, 3], 0, 3);
        let (data, wrong) = decode(&bytes, Dtype::F32, window, &[3], DType::F32);
        assert_eq!(wrong, 1);
        // 1e9 is beyond what f16 holds.
        assert_eq!(encode(&[(window, data)], Dtype::F16).1, 2);
    }
}

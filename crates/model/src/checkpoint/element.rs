//! Elements: from the bytes of a file to the numbers of a parameter and back, in any layout.

use std::ops::Range;

use burn::tensor::{DType, TensorData};
use half::{bf16, f16};
use rayon::prelude::*;

use super::dtype::Dtype;
use super::names::Layout;

/// A number that files store and parameters hold.
trait Number: Copy + Send + Sync + Default + 'static {
    const SIZE: usize;
    fn read(bytes: &[u8]) -> Self;
    fn write(self, bytes: &mut [u8]);
    fn to_f32(self) -> f32;
    fn of_f32(value: f32) -> Self;
}

macro_rules! number {
    ($type:ty, $size:literal, $to:expr, $of:expr) => {
        impl Number for $type {
            const SIZE: usize = $size;
            fn read(bytes: &[u8]) -> Self {
                let mut own = [0; $size];
                own.copy_from_slice(bytes);
                Self::from_le_bytes(own)
            }
            fn write(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }
            fn to_f32(self) -> f32 {
                $to(self)
            }
            fn of_f32(value: f32) -> Self {
                $of(value)
            }
        }
    };
}

number!(f32, 4, |value| value, |value| value);
number!(f16, 2, f16::to_f32, f16::from_f32);
number!(bf16, 2, bf16::to_f32, bf16::from_f32);

/// Where a parameter lies inside the tensor of a file: some columns of the `[rows, columns]` that the model sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    layout: Layout,
    /// Rows of the model's view: the input features, or 1 for a vector.
    rows: usize,
    /// Columns of the whole tensor.
    columns: usize,
    /// The first of the parameter's columns.
    first: usize,
    /// How many are the parameter's.
    count: usize,
    /// How many of them lie behind each other; then those of other parameters follow.
    run: usize,
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

    /// The element of the file for one of the parameter's.
    fn place(&self, row: usize, column: usize) -> usize {
        let column = if column < self.run {
            self.first + column
        } else {
            self.first + column / self.run * self.stride + column % self.run
        };
        match self.layout {
            Layout::Same => row * self.columns + column,
            Layout::Transposed => column * self.rows + row,
        }
    }

    /// The columns of the whole tensor that hold the parameter's, run by run.
    fn runs(&self) -> impl Iterator<Item = Range<usize>> + Clone {
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

/// The numbers of a parameter.
///
/// # Returns
/// The values in the given type, and how many of them are NaN or infinite.
pub(super) fn decode(
    bytes: &[u8],
    stored: Dtype,
    window: Window,
    shape: &[usize],
    dtype: DType,
) -> (TensorData, usize) {
    match stored {
        Dtype::F16 => decode_from::<f16>(bytes, window, shape, dtype),
        Dtype::BF16 => decode_from::<bf16>(bytes, window, shape, dtype),
        _ => decode_from::<f32>(bytes, window, shape, dtype),
    }
}

fn decode_from<S: Number>(
    bytes: &[u8],
    window: Window,
    shape: &[usize],
    dtype: DType,
) -> (TensorData, usize) {
    match dtype {
        DType::F16 => {
            let (values, wrong) = gathered::<S, f16>(bytes, window);
            (TensorData::new(values, shape.to_vec()), wrong)
        }
        DType::BF16 => {
            let (values, wrong) = gathered::<S, bf16>(bytes, window);
            (TensorData::new(values, shape.to_vec()), wrong)
        }
        _ => {
            let (values, wrong) = gathered::<S, f32>(bytes, window);
            (TensorData::new(values, shape.to_vec()), wrong)
        }
    }
}

fn gathered<S: Number, T: Number>(bytes: &[u8], window: Window) -> (Vec<T>, usize) {
    let mut values = vec![T::default(); window.rows * window.count];
    let wrong = tiled(&mut values, window.count, 1, |row, column, value| {
        let place = window.place(row, column) * S::SIZE;
        let new = T::of_f32(S::read(&bytes[place..place + S::SIZE]).to_f32());
        value[0] = new;
        new.to_f32().is_finite()
    });
    (values, wrong)
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
    let read = |row: usize, column: usize| {
        let place = (row * window.count + column) * S::SIZE;
        S::read(&values[place..place + S::SIZE]).to_f32()
    };
    let put = |value: f32, out: &mut [u8]| {
        let new = T::of_f32(value);
        new.write(out);
        new.to_f32().is_finite()
    };
    match window.layout {
        // The columns of a run are neighbouring rows of the file.
        Layout::Transposed => {
            let row_bytes = window.rows * T::SIZE;
            let own = |(number, run): (usize, Range<usize>)| {
                let own = &mut bytes[run.start * row_bytes..run.end * row_bytes];
                tiled(own, window.rows, T::SIZE, |column, row, out| {
                    put(read(row, number * window.run + column), out)
                })
            };
            window.runs().enumerate().map(own).sum()
        }
        Layout::Same => {
            let row_bytes = window.columns * T::SIZE;
            let rows = bytes.par_chunks_mut(row_bytes).enumerate();
            rows.map(|(row, out)| {
                let columns = window.runs().flatten().enumerate();
                columns
                    .filter(|(column, place)| {
                        !put(read(row, *column), &mut out[place * T::SIZE..][..T::SIZE])
                    })
                    .count()
            })
            .sum()
        }
    }
}

/// Fills a matrix tile by tile, so that a transposed read stays in the cache, in parallel over bands of rows.
///
/// # Arguments
/// - `step`: how many `T` an element takes
/// - `fill`: from row, column and the element's place to whether the number is finite
///
/// # Returns
/// How many numbers are not finite.
fn tiled<T: Send>(
    out: &mut [T],
    columns: usize,
    step: usize,
    fill: impl Fn(usize, usize, &mut [T]) -> bool + Sync,
) -> usize {
    const TILE: usize = 64;
    if columns == 0 {
        return 0;
    }
    let bands = out.par_chunks_mut(TILE * columns * step).enumerate();
    bands
        .map(|(band, out)| {
            let mut wrong = 0;
            for first in (0..columns).step_by(TILE) {
                let last = columns.min(first + TILE);
                for (row, out) in out.chunks_mut(columns * step).enumerate() {
                    let tile = out[first * step..last * step].chunks_mut(step);
                    for (column, out) in (first..last).zip(tile) {
                        wrong += usize::from(!fill(band * TILE + row, column, out));
                    }
                }
            }
            wrong
        })
        .sum()
}

#[cfg(test)]
mod tests {
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

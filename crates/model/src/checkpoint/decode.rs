//! From the bytes of a file to the numbers of a parameter, piece by piece, in any layout.
//!
//! A tensor is never held as bytes and as numbers at once: each piece goes straight to its places in the parameters,
//! while it is still in the processor's cache.

use std::ops::Range;

use burn::tensor::{DType, TensorData};
use half::{bf16, f16};
use rayon::prelude::*;

use super::dtype::Dtype;
use super::element::{Number, TILE, Window};
use super::names::Layout;

/// The fewest numbers that are worth a task of their own.
const TASK: usize = 1 << 14;

/// The parameters of one tensor while its bytes arrive.
pub(super) struct Decoder {
    stored: Dtype,
    parts: Vec<Part>,
    /// Numbers in a row of the file.
    row: usize,
    /// Rows of the file that have been taken.
    taken: usize,
    wrong: usize,
}

struct Part {
    window: Window,
    shape: Vec<usize>,
    values: Values,
}

/// Numbers of the type that a parameter has.
enum Values {
    F32(Vec<f32>),
    F16(Vec<f16>),
    BF16(Vec<bf16>),
}

impl Decoder {
    /// # Arguments
    /// - `stored`: the type of the file
    /// - `parts`: place and shape of each parameter; the places must lie inside the tensor
    /// - `dtype`: the type of the parameters
    pub(super) fn new<'a>(
        stored: Dtype,
        parts: impl Iterator<Item = (Window, &'a [usize])>,
        dtype: DType,
    ) -> Self {
        let part = |(window, shape): (Window, &[usize])| Part {
            window,
            shape: shape.to_vec(),
            values: Values::zeros(window.numbers(), dtype),
        };
        let parts: Vec<Part> = parts.map(part).collect();
        let row = parts.first().map_or(0, |part| part.window.file_row());
        Self {
            stored,
            parts,
            row,
            taken: 0,
            wrong: 0,
        }
    }

    /// The bytes of a row of the file. A piece holds whole rows.
    pub(super) fn row_bytes(&self) -> usize {
        self.row * self.stored.bytes()
    }

    /// Takes the rows that follow on those taken before.
    ///
    /// # Panics
    /// When the piece does not hold whole rows, or more than are left.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let row = self.row_bytes();
        assert!(
            row > 0 && bytes.len().is_multiple_of(row),
            "{} bytes are no rows of {row}",
            bytes.len()
        );
        let rows = self.taken..self.taken + bytes.len() / row;
        for part in &mut self.parts {
            self.wrong += match self.stored {
                Dtype::F16 => part.take::<f16>(bytes, rows.clone()),
                Dtype::BF16 => part.take::<bf16>(bytes, rows.clone()),
                _ => part.take::<f32>(bytes, rows.clone()),
            };
        }
        self.taken = rows.end;
    }

    /// The parameters, and how many of their numbers are NaN or infinite.
    pub(super) fn finish(self) -> (Vec<TensorData>, usize) {
        let data = |part: Part| match part.values {
            Values::F32(values) => TensorData::new(values, part.shape),
            Values::F16(values) => TensorData::new(values, part.shape),
            Values::BF16(values) => TensorData::new(values, part.shape),
        };
        (self.parts.into_iter().map(data).collect(), self.wrong)
    }
}

impl Values {
    fn zeros(count: usize, dtype: DType) -> Self {
        match dtype {
            DType::F16 => Self::F16(vec![f16::ZERO; count]),
            DType::BF16 => Self::BF16(vec![bf16::ZERO; count]),
            _ => Self::F32(vec![0.0; count]),
        }
    }
}

impl Part {
    /// Returns how many numbers are not finite.
    fn take<S: Number>(&mut self, bytes: &[u8], rows: Range<usize>) -> usize {
        match &mut self.values {
            Values::F32(values) => place::<S, f32>(values, self.window, bytes, rows),
            Values::F16(values) => place::<S, f16>(values, self.window, bytes, rows),
            Values::BF16(values) => place::<S, bf16>(values, self.window, bytes, rows),
        }
    }
}

fn place<S: Number, T: Number>(
    values: &mut [T],
    window: Window,
    bytes: &[u8],
    rows: Range<usize>,
) -> usize {
    if values.is_empty() {
        return 0;
    }
    match window.layout {
        Layout::Same => copied::<S, T>(values, window, bytes, rows),
        Layout::Transposed => turned::<S, T>(values, window, bytes, rows),
    }
}

/// Rows of the file that are rows of the parameter, or hold them.
fn copied<S: Number, T: Number>(
    values: &mut [T],
    window: Window,
    bytes: &[u8],
    rows: Range<usize>,
) -> usize {
    let own = &mut values[rows.start * window.count..rows.end * window.count];
    let rows = own
        .par_chunks_mut(window.count)
        .with_min_len(TASK.div_ceil(window.count))
        .zip(bytes.par_chunks(window.columns * S::SIZE));
    let row = |(out, bytes): (&mut [T], &[u8])| -> usize {
        let runs = window.runs().zip(out.chunks_mut(window.run));
        runs.map(|(run, out)| {
            converted::<S, T>(&bytes[run.start * S::SIZE..run.end * S::SIZE], out)
        })
        .sum()
    };
    rows.map(row).sum()
}

/// A run of numbers in the other type.
fn converted<S: Number, T: Number>(bytes: &[u8], out: &mut [T]) -> usize {
    let mut wide = [0.0; 4 * TILE];
    let pieces = bytes.chunks(wide.len() * S::SIZE);
    pieces
        .zip(out.chunks_mut(wide.len()))
        .map(|(bytes, out)| {
            let wide = &mut wide[..out.len()];
            S::widen(bytes, wide);
            T::narrow(wide, out)
        })
        .sum()
}

/// Rows of the file that are columns of the parameter.
fn turned<S: Number, T: Number>(
    values: &mut [T],
    window: Window,
    bytes: &[u8],
    taken: Range<usize>,
) -> usize {
    // Which columns of the parameter come, and where they lie in the piece.
    let columns = window.runs().enumerate().filter_map(|(number, run)| {
        let common = run.start.max(taken.start)..run.end.min(taken.end);
        let first = number * window.run + (common.start.saturating_sub(run.start));
        (!common.is_empty()).then(|| (first, common.start - taken.start..common.end - taken.start))
    });
    let columns: Vec<(usize, Range<usize>)> = columns.collect();
    let width: usize = columns.iter().map(|(_, lanes)| lanes.len()).sum();
    if width == 0 {
        return 0;
    }
    let bands = values
        .par_chunks_mut(TILE * window.count)
        .with_min_len(TASK.div_ceil(TILE * width))
        .enumerate();
    bands
        .map(|(band, out)| {
            let tiles = columns.iter().flat_map(|(first, lanes)| {
                let steps = lanes.clone().step_by(TILE);
                steps
                    .map(move |lane| (first + lane - lanes.start, lane..lanes.end.min(lane + TILE)))
            });
            tiles
                .map(|(column, lanes)| {
                    tile::<S, T>(out, window, (band * TILE, column), bytes, lanes)
                })
                .sum::<usize>()
        })
        .sum()
}

/// Turns one square.
///
/// # Arguments
/// - `out`: rows of the parameter from `row` on, at most [`TILE`] of them
/// - `column`: the parameter's first column
/// - `lanes`: the rows of the piece that are its columns, at most [`TILE`]
fn tile<S: Number, T: Number>(
    out: &mut [T],
    window: Window,
    (row, column): (usize, usize),
    bytes: &[u8],
    lanes: Range<usize>,
) -> usize {
    let (height, width) = (out.len() / window.count, lanes.len());
    let mut square = [[0.0; TILE]; TILE];
    for (lane, wide) in lanes.zip(&mut square) {
        let begin = (lane * window.rows + row) * S::SIZE;
        S::widen(&bytes[begin..begin + height * S::SIZE], &mut wide[..height]);
    }
    let mut wrong = 0;
    let mut line = [0.0; TILE];
    for (row, out) in out.chunks_mut(window.count).enumerate() {
        for (number, lane) in line[..width].iter_mut().zip(&square) {
            *number = lane[row];
        }
        wrong += T::narrow(&line[..width], &mut out[column..column + width]);
    }
    wrong
}

/// The numbers of a parameter from a tensor's bytes at once.
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
    let mut decoder = Decoder::new(stored, std::iter::once((window, shape)), dtype);
    if !bytes.is_empty() {
        decoder.take(bytes);
    }
    let (mut data, wrong) = decoder.finish();
    (data.swap_remove(0), wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tensor of the file with three projections, some of it behind each other and some in runs.
    fn pieces(layout: Layout, rows: usize, run: usize, runs: usize) {
        let columns = 3 * run * runs;
        let file: Vec<f32> = (0..rows * columns).map(|i| i as f32 * 0.5 - 7.0).collect();
        let bytes: Vec<u8> = file.iter().flat_map(|value| value.to_le_bytes()).collect();
        let count = run * runs;
        let shape = [rows, count];
        let windows: Vec<Window> = (0..3)
            .map(|part| Window::new(layout, [rows, columns], part * count, count).in_runs(runs))
            .collect();
        for step in [1, 3, 200, columns.max(rows)] {
            let parts = windows.iter().map(|window| (*window, shape.as_slice()));
            let mut decoder = Decoder::new(Dtype::F32, parts, DType::F32);
            let step = step * decoder.row_bytes();
            for piece in bytes.chunks(step) {
                decoder.take(piece);
            }
            let (data, wrong) = decoder.finish();
            assert_eq!(wrong, 0);
            for (part, data) in data.into_iter().enumerate() {
                let values = data.try_to_vec::<f32>().unwrap();
                for (place, value) in values.iter().enumerate() {
                    let (row, column) = (place / count, place % count);
                    let column = (column / run * 3 + part) * run + column % run;
                    let place = match layout {
                        Layout::Same => row * columns + column,
                        Layout::Transposed => column * rows + row,
                    };
                    assert_eq!(
                        value.to_bits(),
                        file[place].to_bits(),
                        "{layout:?} {rows} {run}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_tensor_in_pieces_is_the_tensor() {
        for layout in [Layout::Same, Layout::Transposed] {
            pieces(layout, 5, 4, 2);
            pieces(layout, 130, 70, 3);
            pieces(layout, 1, 9, 1);
            pieces(layout, 300, 65, 1);
        }
    }

    #[test]
    fn every_short_number_is_read_and_written_exactly() {
        let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let shape = [1 << 16];
        let window = Window::new(Layout::Same, [1, 1 << 16], 0, 1 << 16);
        for (stored, finite) in [(Dtype::F16, 31 << 11), (Dtype::BF16, 255 << 8)] {
            let (data, wrong) = decode(&all, stored, window, &shape, DType::F32);
            assert_eq!((1 << 16) - wrong, finite);
            let expected = |bits: u16| match stored {
                Dtype::F16 => f16::from_bits(bits).to_f32(),
                _ => bf16::from_bits(bits).to_f32(),
            };
            let values = data.try_to_vec::<f32>().unwrap();
            for (bits, value) in (0..=u16::MAX).zip(values) {
                let expected = expected(bits);
                assert!(
                    expected.is_nan() || value.to_bits() == expected.to_bits(),
                    "{bits:x}"
                );
            }
        }
    }
}

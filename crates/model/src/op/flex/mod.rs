//! Kernels for burn's CPU backend: parallel over fixed blocks, vectorised inside of a block.
//!
//! Work is split by shapes and never by the number of threads, so that results have the same bits for any number.

mod activation;
mod adamw;
mod attention;
mod dropout;
mod embed;
pub(crate) mod kernel;
pub(crate) mod lanes;
mod linear;
mod log_probs;
mod norm;
mod rotary;
mod sum;

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Shape, TensorData};
use rayon::prelude::*;

/// Elements of a block of element-wise work: large enough to be worth a task, small enough for the second-level cache.
pub(crate) const BLOCK: usize = 16 * 1024;

/// Rows of a block of row-wise work.
pub(crate) fn block_rows(width: usize) -> usize {
    (BLOCK / width.max(1)).max(1)
}

/// Whether all are f32, which is what the kernels read.
pub(crate) fn all_f32(tensors: &[&FlexTensor]) -> bool {
    tensors.iter().all(|tensor| tensor.dtype() == DType::F32)
}

/// The same elements behind each other, in a buffer of their own. Costs nothing when they are already.
pub(crate) fn whole(tensor: FlexTensor) -> FlexTensor {
    let contiguous = tensor.to_contiguous();
    drop(tensor); // The buffer may now have a single owner.
    contiguous
}

/// The elements of a tensor from [`whole`].
pub(crate) fn floats(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("`whole` was called on a tensor of f32")
}

/// A tensor of `shape` from its elements.
pub(crate) fn tensor(elements: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(elements, shape.into()))
}

const WHOLE: &str = "the type was matched and the tensor is whole";

/// Ids as indices below `limit`.
///
/// # Panics
///
/// If an id is negative or not below `limit`.
pub(crate) fn indices(ids: FlexTensor, limit: usize) -> Vec<u32> {
    let ids = whole(ids);
    let check = |id: i64| {
        u32::try_from(id)
            .ok()
            .filter(|&id| (id as usize) < limit)
            .unwrap_or_else(|| panic!("token id {id} is not in 0..{limit}"))
    };
    match ids.dtype() {
        DType::I32 => {
            let ids = ids.as_slice::<i32>().expect(WHOLE);
            ids.iter().map(|&id| check(i64::from(id))).collect()
        }
        DType::I64 => {
            let ids = ids.as_slice::<i64>().expect(WHOLE);
            ids.iter().map(|&id| check(id)).collect()
        }
        DType::U32 => {
            let ids = ids.as_slice::<u32>().expect(WHOLE);
            ids.iter().map(|&id| check(i64::from(id))).collect()
        }
        other => panic!("token ids of type {other:?} are not supported; expected I32, I64 or U32"),
    }
}

/// Adds the sum over the rows of `x` to `total`, one column per element. Rows are added in blocks of a fixed number,
/// and the blocks in their order.
pub(crate) fn add_columns(total: &mut [f32], x: &[f32]) {
    let width = total.len();
    let blocks: Vec<Vec<f32>> = x
        .par_chunks(COLUMN_ROWS * width)
        .map(|rows| {
            let mut sums = vec![0.0; width];
            add_rows(&mut sums, rows);
            sums
        })
        .collect();
    for block in &blocks {
        add_rows(total, block);
    }
}

/// Rows that one task adds.
const COLUMN_ROWS: usize = 64;

kernel::kernel! {
    fn add_rows(total: &mut [f32], rows: &[f32]) {
        for row in rows.chunks_exact(total.len()) {
            for (total, x) in total.iter_mut().zip(row) {
                *total += x;
            }
        }
    }
}

/// Memory for intermediate results that is used again by the next operation: fresh memory costs a page fault for every
/// 4 KiB that is touched.
pub(crate) struct Scratch {
    buffer: Vec<f32>,
}

static POOL: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// Buffers that wait in the pool; more are freed.
const POOLED: usize = 64;

fn pool() -> MutexGuard<'static, Vec<Vec<f32>>> {
    // A panic while the lock is held leaves a valid list behind.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scratch {
    /// `length` numbers of any value.
    pub(crate) fn new(length: usize) -> Self {
        let mut buffers = pool();
        let fitting = buffers
            .iter()
            .enumerate()
            .filter(|(_, buffer)| buffer.capacity() >= length)
            .min_by_key(|(_, buffer)| buffer.capacity())
            .map(|(index, _)| index);
        let taken = fitting.map(|index| buffers.swap_remove(index));
        drop(buffers);
        let mut buffer = taken.unwrap_or_else(|| vec![0.0; length]);
        buffer.resize(length, 0.0);
        Self { buffer }
    }

    /// `length` zeros.
    pub(crate) fn zeros(length: usize) -> Self {
        let mut scratch = Self::new(length);
        scratch.buffer.fill(0.0);
        scratch
    }
}

impl std::ops::Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.buffer
    }
}

impl std::ops::DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut buffers = pool();
        if buffers.len() < POOLED {
            buffers.push(std::mem::take(&mut self.buffer));
        }
    }
}

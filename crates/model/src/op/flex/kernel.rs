//! The only unsafe code of the crate: a checked door to the `gemm` crate's matrix product, whose interface is made of
//! raw pointers, and the call of a function that was compiled for the processor's vector instructions.
#![allow(unsafe_code)] // Neither is reachable from safe Rust; each block says why it is sound.

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix whose element `(i, j)` is `data[i·row_stride + j·column_stride]`.
    ///
    /// # Panics
    ///
    /// If the last element lies outside of `data`.
    pub(crate) fn strided(
        data: &'a [f32],
        [rows, columns]: [usize; 2],
        [row_stride, column_stride]: [usize; 2],
    ) -> Self {
        check_reach(data.len(), [rows, columns], [row_stride, column_stride]);
        Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride,
        }
    }

    /// Rows behind each other.
    pub(crate) fn new(data: &'a [f32], [rows, columns]: [usize; 2]) -> Self {
        Self::strided(data, [rows, columns], [columns, 1])
    }

    /// The transposed matrix.
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A matrix inside a slice, to be written.
pub(crate) struct MatrixMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// As [`Matrix::strided`].
    ///
    /// # Panics
    ///
    /// If the last element lies outside of `data`, or two elements may share a place.
    pub(crate) fn strided(
        data: &'a mut [f32],
        [rows, columns]: [usize; 2],
        [row_stride, column_stride]: [usize; 2],
    ) -> Self {
        check_reach(data.len(), [rows, columns], [row_stride, column_stride]);
        assert!(
            (column_stride == 1 && row_stride >= columns)
                || (row_stride == 1 && column_stride >= rows),
            "strides [{row_stride}, {column_stride}] of a [{rows}, {columns}] matrix let elements share a place"
        );
        Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride,
        }
    }

    /// Rows behind each other.
    pub(crate) fn new(data: &'a mut [f32], [rows, columns]: [usize; 2]) -> Self {
        Self::strided(data, [rows, columns], [columns.max(1), 1])
    }
}

fn check_reach(
    length: usize,
    [rows, columns]: [usize; 2],
    [row_stride, column_stride]: [usize; 2],
) {
    if rows == 0 || columns == 0 {
        return;
    }
    let last = (rows - 1)
        .checked_mul(row_stride)
        .zip((columns - 1).checked_mul(column_stride))
        .and_then(|(row, column)| row.checked_add(column));
    assert!(
        last.is_some_and(|last| last < length) && isize::try_from(length).is_ok(),
        "a [{rows}, {columns}] matrix with strides [{row_stride}, {column_stride}] does not fit {length} elements"
    );
}

/// Who computes a product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The calling thread, inside a task that is one of many.
    One,
    /// All threads of the pool. The bits of the result do not depend on how many there are: every element is the
    /// work of one thread, and its sum is split by the shape alone.
    All,
}

/// `out ← keep · out + scale · left · right`.
///
/// With `keep` 0 the previous content of `out` does not matter, NaN included.
///
/// # Panics
///
/// If the shapes do not fit.
pub(crate) fn multiply(
    out: MatrixMut<'_>,
    left: Matrix<'_>,
    right: Matrix<'_>,
    keep: f32,
    scale: f32,
    threads: Threads,
) {
    let MatrixMut {
        data,
        rows,
        columns,
        row_stride,
        column_stride,
    } = out;
    let out = Target {
        start: data.as_mut_ptr(),
        shape: [rows, columns],
        strides: [row_stride, column_stride],
        keep,
    };
    // SAFETY: the target's constructor has checked that its elements lie inside the slice, each in its own place, and
    // that offsets fit an isize. The slice is borrowed mutably, so that it overlaps neither operand.
    unsafe { run(&out, left, right, scale, threads) };
}

/// `scale · left · right`, row-major, in memory that was not zeroed before.
///
/// # Panics
///
/// If the shapes do not fit.
pub(crate) fn product(
    left: Matrix<'_>,
    right: Matrix<'_>,
    scale: f32,
    threads: Threads,
) -> Vec<f32> {
    let shape = [left.rows, right.columns];
    let count = shape[0]
        .checked_mul(shape[1])
        .expect("operands of a product that fits memory");
    if count == 0 {
        return Vec::new();
    }
    let mut y = Vec::with_capacity(count);
    let out = Target {
        start: y.as_mut_ptr(),
        shape,
        strides: [shape[1], 1],
        keep: 0.0,
    };
    // SAFETY: the vector has room for `count` elements, which is every (i, j) of a row-major matrix of this shape, and
    // nobody else knows of it. With `keep` 0 they are not read, so that they need not have a value yet.
    unsafe { run(&out, left, right, scale, threads) };
    // SAFETY: `gemm` has written each of the first `count` elements, zeros if there was nothing to add up.
    unsafe { y.set_len(count) };
    y
}

/// Where a product goes.
struct Target {
    start: *mut f32,
    shape: [usize; 2],
    strides: [usize; 2],
    keep: f32,
}

/// `out ← keep · out + scale · left · right`.
///
/// # Safety
///
/// The elements (i, j) of the target's shape must lie in memory that may be written and is not part of the operands,
/// each in its own place, with offsets that fit an isize; and have a value unless `keep` is 0.
unsafe fn run(out: &Target, left: Matrix<'_>, right: Matrix<'_>, scale: f32, threads: Threads) {
    assert!(
        left.columns == right.rows && out.shape == [left.rows, right.columns],
        "[{}, {}] · [{}, {}] does not give {:?}",
        left.rows,
        left.columns,
        right.rows,
        right.columns,
        out.shape
    );
    let parallelism = match threads {
        Threads::One => gemm::Parallelism::None,
        Threads::All => gemm::Parallelism::Rayon(0),
    };
    // SAFETY: `gemm` reads `left` and `right` at the elements that their shapes name; their constructors have checked
    // that the last one (and with non-negative strides therefore every one) lies inside the slice and that offsets fit
    // an isize, and the shapes were compared above. It writes `out` at the elements that its shape names, and reads
    // them only if `keep` is not 0; the caller answers for those. f32 is one of the types that gemm supports.
    unsafe {
        gemm::gemm(
            out.shape[0],
            out.shape[1],
            left.columns,
            out.start,
            out.strides[1] as isize,
            out.strides[0] as isize,
            out.keep != 0.0,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            out.keep,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// A loop over numbers that profits from wide vectors.
///
/// Its `run` must be `#[inline(always)]`, and so must everything that it calls: only what is inlined is compiled
/// anew for the wider instructions. Rust neither reorders nor fuses floating-point operations on its own, so that
/// the result has the same bits on every processor.
pub(crate) trait Kernel {
    /// What the loop returns.
    type Output;

    /// Runs the loop.
    fn run(self) -> Self::Output;
}

/// Runs a kernel with the widest vectors of this processor.
#[cfg(target_arch = "x86_64")]
pub(crate) fn vectorize<K: Kernel>(kernel: K) -> K::Output {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn with_avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run()
    }
    #[target_feature(enable = "avx2")]
    fn with_avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run()
    }
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
    {
        // SAFETY: the processor has every feature that the function was compiled for, as just checked.
        unsafe { with_avx512(kernel) }
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        unsafe { with_avx2(kernel) }
    } else {
        kernel.run()
    }
}

/// Runs a kernel with the vectors that the target always has.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn vectorize<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

/// Defines a function whose body is a [`Kernel`].
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $out)? {
            #[allow(non_camel_case_types)] // A type parameter is named after its argument.
            struct Call<$($arg),*> { $($arg: $arg),* }
            impl $crate::op::flex::kernel::Kernel for Call<$($ty),*> {
                type Output = $crate::op::flex::kernel::kernel!(@output $($out)?);
                #[allow(clippy::inline_always)] // See `Kernel`.
                #[inline(always)]
                fn run(self) -> Self::Output {
                    let Self { $($arg),* } = self;
                    $body
                }
            }
            $crate::op::flex::kernel::vectorize(Call { $($arg),* })
        }
    };
    (@output) => { () };
    (@output $out:ty) => { $out };
}

pub(crate) use kernel;

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)] // Small integers are exact.
    use super::*;

    #[test]
    fn a_product_of_strided_matrices_is_added() {
        // left = [[1, 2], [3, 4]] read from columns, right = [[5], [6]].
        let left = [1.0, 3.0, 2.0, 4.0];
        let right = [5.0, 6.0];
        let mut out = [1.0, 9.0, 1.0];
        multiply(
            MatrixMut::strided(&mut out, [2, 1], [2, 1]),
            Matrix::new(&left, [2, 2]).t(),
            Matrix::new(&right, [2, 1]),
            1.0,
            2.0,
            Threads::One,
        );
        assert_eq!(out, [35.0, 9.0, 79.0]);
    }

    #[test]
    fn what_was_there_does_not_matter_without_keep() {
        let mut out = [f32::NAN; 2];
        multiply(
            MatrixMut::new(&mut out, [1, 2]),
            Matrix::new(&[2.0], [1, 1]),
            Matrix::new(&[3.0, 4.0], [1, 2]),
            0.0,
            1.0,
            Threads::All,
        );
        assert_eq!(out, [6.0, 8.0]);
        multiply(
            MatrixMut::new(&mut out, [1, 2]),
            Matrix::new(&[], [1, 0]),
            Matrix::new(&[], [0, 2]),
            0.0,
            1.0,
            Threads::All,
        );
        assert_eq!(out, [0.0, 0.0]);
    }

    #[test]
    fn a_new_product_has_every_element() {
        let left: Vec<f32> = (0..70 * 3).map(|i| (i % 7) as f32).collect();
        let right: Vec<f32> = (0..3 * 50).map(|i| (i % 5) as f32).collect();
        let (left, right) = (Matrix::new(&left, [70, 3]), Matrix::new(&right, [3, 50]));
        let mut expected = vec![f32::NAN; 70 * 50];
        let out = MatrixMut::new(&mut expected, [70, 50]);
        multiply(out, left, right, 0.0, 1.0, Threads::One);
        assert_eq!(product(left, right, 1.0, Threads::All), expected);
        let nothing = (Matrix::new(&[], [2, 0]), Matrix::new(&[], [0, 3]));
        assert_eq!(product(nothing.0, nothing.1, 1.0, Threads::One), [0.0; 6]);
        let empty = (Matrix::new(&[], [0, 2]), Matrix::new(&[0.0; 6], [2, 3]));
        assert!(product(empty.0, empty.1, 1.0, Threads::One).is_empty());
    }

    #[test]
    #[should_panic(expected = "does not fit 3 elements")]
    fn a_matrix_outside_of_its_slice_is_refused() {
        Matrix::new(&[0.0; 3], [2, 2]);
    }

    #[test]
    #[should_panic(expected = "share a place")]
    fn a_target_with_shared_places_is_refused() {
        MatrixMut::strided(&mut [0.0; 4], [2, 2], [1, 1]);
    }

    #[test]
    #[should_panic(expected = "does not give [1, 1]")]
    fn shapes_that_do_not_fit_are_refused() {
        multiply(
            MatrixMut::new(&mut [0.0], [1, 1]),
            Matrix::new(&[0.0; 2], [1, 2]),
            Matrix::new(&[0.0; 3], [3, 1]),
            0.0,
            1.0,
            Threads::One,
        );
    }
}

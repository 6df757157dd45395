//! What the bodies for any backend share.

use burn::backend::tensor::{BoolTensor, Device, FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata, get_device_settings};
use burn::tensor::{DType, FloatDType, IndexingUpdateOp, Shape, Slice, Tensor, TensorData};

/// Takes a trait's default bodies for every backend but the CPU's own.
macro_rules! on_other_backends {
    ($ops:ident) => {
        #[cfg(feature = "ndarray")]
        impl $ops for burn::backend::NdArray {}
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        impl $ops for $crate::op::composed::CubeBackend {}
    };
}

pub(super) use on_other_backends;

/// The backend of all GPUs without the layer that fuses operations; burn names it only together with that layer.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(super) type CubeBackend = <burn::backend::Cube as Unfused>::Inner;

#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(super) trait Unfused {
    type Inner;
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl<B: burn::backend::fusion::FusionBackend> Unfused for burn::backend::fusion::Fusion<B> {
    type Inner = B;
}

/// What stands for a tensor that is not there, on the device of `like` and without a gradient.
pub(super) fn placeholder<const D: usize>(like: &Tensor<D>) -> Tensor<1> {
    Tensor::zeros([1], (&like.device(), like.dtype()))
}

/// Half precision as f32; everything else as it is.
pub(super) fn widen<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    match x.dtype() {
        DType::F16 | DType::BF16 => B::float_cast(x, FloatDType::F32),
        _ => x,
    }
}

/// `x` with the type of `other`.
pub(super) fn cast_like<B: Backend>(x: FloatTensor<B>, other: &FloatTensor<B>) -> FloatTensor<B> {
    if x.dtype() == other.dtype() {
        x
    } else {
        B::float_cast(x, other.dtype().into())
    }
}

/// Truth values in the form that the device keeps them in: one byte each on a CPU, four on a GPU.
pub(super) fn bools<B: Backend>(data: TensorData, device: &Device<B>) -> BoolTensor<B> {
    let form = get_device_settings::<B>(device).bool_dtype;
    B::bool_from_data(data.convert_dtype(form.into()), device)
}

/// A vector as a matrix of one row.
pub(super) fn row<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let width = x.shape().num_elements();
    B::float_reshape(x, Shape::new([1, width]))
}

/// Rows `start..end` of a matrix.
pub(super) fn rows<B: Backend>(x: &FloatTensor<B>, start: usize, end: usize) -> FloatTensor<B> {
    let shape = x.shape();
    if start == 0 && end == shape[0] {
        return x.clone();
    }
    B::float_slice(
        x.clone(),
        &[Slice::from(start..end), Slice::from(0..shape[1])],
    )
}

/// Elements `start..end` of a vector, as a column.
pub(super) fn column<B: Backend>(x: &IntTensor<B>, start: usize, end: usize) -> IntTensor<B> {
    let x = B::int_slice(x.clone(), &[Slice::from(start..end)]);
    B::int_reshape(x, Shape::new([end - start, 1]))
}

/// Joins along the first dimension.
pub(super) fn joined<B: Backend>(mut parts: Vec<FloatTensor<B>>) -> FloatTensor<B> {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    B::float_cat(parts, 0)
}

/// Adds `value` to the elements of `x` that `ids` name along `dim`.
pub(super) fn scatter_add<B: Backend>(
    x: FloatTensor<B>,
    dim: usize,
    ids: IntTensor<B>,
    value: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_scatter(dim, x, ids, value, IndexingUpdateOp::Add)
}

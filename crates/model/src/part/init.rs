//! Where new parameters come from: their names, their values, their device.

use std::f32::consts::TAU;
use std::fmt::Display;

use burn::module::{Param, ParamId};
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use rayon::prelude::*;

use crate::blueprint::Spread;
use crate::noise::Noise;

/// Makes the parameters of a module under construction.
///
/// Every parameter is lazy: its values are computed when they are first read, so a model whose weights come from a
/// file never computes random ones. Values and identities depend on the seed and the parameter's path alone.
#[derive(Debug, Clone)]
pub struct Init {
    path: String,
    noise: Noise,
    spread: Spread,
    /// Whether the projection writes into the residual stream.
    residual: bool,
    /// What the spread of a projection that is spread by its input is multiplied by.
    factor: f64,
    device: Device,
    dtype: DType,
}

impl Init {
    /// # Arguments
    /// - `seed`: the same seed gives the same values, on every device
    /// - `spread`: how far weights are spread
    /// - `device`: where the parameters will live
    /// - `dtype`: the type they will have
    pub fn new(seed: u64, spread: Spread, device: &Device, dtype: DType) -> Self {
        let noise = Noise::new(seed, 0, 0);
        Self {
            path: String::new(),
            noise,
            spread,
            residual: false,
            factor: 1.0,
            device: device.clone(),
            dtype,
        }
    }

    /// The place of a child module.
    pub fn at(&self, name: impl Display) -> Self {
        Self {
            path: self.child(name),
            ..self.clone()
        }
    }

    /// The place of a projection that writes into the residual stream.
    pub fn at_residual(&self, name: impl Display) -> Self {
        Self {
            residual: true,
            ..self.at(name)
        }
    }

    /// The place of the projection to queries for heads of so many features.
    pub fn at_query(&self, name: impl Display, head_width: usize) -> Self {
        self.at(name).spread_for(head_width)
    }

    /// The same, spread less by the root of so many features where weights are spread by their input.
    pub fn spread_for(&self, features: usize) -> Self {
        let factor = self.factor * (features as f64).powf(-0.5);
        Self {
            factor,
            ..self.clone()
        }
    }

    /// The weight of a projection, `[in, out]`: normally distributed values with mean 0.
    pub fn projection(&self, name: &str, shape: [usize; 2]) -> Param<Tensor<2>> {
        let spread = match self.spread {
            Spread::Fixed { residual, .. } if self.residual => residual,
            Spread::Fixed { weights, .. } => weights,
            Spread::ByInput { factor } => factor * self.factor * (shape[0] as f64).powf(-0.5),
        };
        self.normal(name, shape, spread)
    }

    /// Vectors, such as one per id, `[ids, width]`: normally distributed values with mean 0.
    pub fn vectors<const D: usize>(&self, name: &str, shape: [usize; D]) -> Param<Tensor<D>> {
        let spread = match self.spread {
            Spread::Fixed { weights, .. } => weights,
            Spread::ByInput { factor } => factor * self.factor,
        };
        self.normal(name, shape, spread)
    }

    fn normal<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        spread: f64,
    ) -> Param<Tensor<D>> {
        let path = self.child(name);
        let (noise, spread) = (self.noise.site(hash(&path)), spread as f32);
        self.param(&path, shape, move |count| normals(noise, spread, count))
    }

    /// A parameter of equal values.
    pub fn constant<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        value: f32,
    ) -> Param<Tensor<D>> {
        self.param(&self.child(name), shape, move |count| vec![value; count])
    }

    fn param<const D: usize>(
        &self,
        path: &str,
        shape: [usize; D],
        values: impl FnOnce(usize) -> Vec<f32> + Send + Sync + 'static,
    ) -> Param<Tensor<D>> {
        let dtype = self.dtype;
        let init = move |device: &Device, require_grad: bool| {
            let data = TensorData::new(values(shape.iter().product()), shape);
            let tensor = Tensor::from_data(data, (device, dtype));
            if require_grad {
                tensor.require_grad()
            } else {
                tensor
            }
        };
        let id = ParamId::from(hash(path));
        Param::uninitialized(id, init, self.device.clone(), true, Shape::from(shape))
    }

    fn child(&self, name: impl Display) -> String {
        if self.path.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

/// FNV-1a over 64 bits: a parameter's path as a number.
pub(crate) fn hash(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Normally distributed values by the transform of Box and Muller (1958), a pair from each pair of uniform ones.
fn normals(noise: Noise, spread: f32, count: usize) -> Vec<f32> {
    let mut values = vec![0.0; count];
    values
        .par_chunks_mut(2)
        .with_min_len(4096)
        .enumerate()
        .for_each(|(pair, out)| {
            let index = 2 * pair as u64;
            // `uniform` is in [0, 1); the logarithm wants (0, 1].
            let radius = (-2.0 * (1.0 - noise.uniform(index)).ln()).sqrt() * spread;
            let (sin, cos) = (TAU * noise.uniform(index + 1)).sin_cos();
            out[0] = radius * cos;
            if let Some(second) = out.get_mut(1) {
                *second = radius * sin;
            }
        });
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_seed_and_path_and_have_the_spread() {
        let device = Device::default();
        let init = |seed| {
            Init::new(seed, Spread::even(0.02), &device, DType::F32)
                .at("a")
                .at(3)
        };
        let values = |param: Param<Tensor<2>>| param.val().to_data().try_to_vec::<f32>().unwrap();
        let first = values(init(1).projection("weight", [301, 101]));
        assert_eq!(first, values(init(1).projection("weight", [301, 101])));
        assert_ne!(first, values(init(2).projection("weight", [301, 101])));
        assert_ne!(first, values(init(1).projection("other", [301, 101])));
        let count = first.len() as f64;
        let mean = first.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
        let square = first.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / count;
        assert!(mean.abs() < 5e-4, "{mean}");
        assert!((square.sqrt() - 0.02).abs() < 3e-4, "{}", square.sqrt());
    }

    #[test]
    fn parameters_are_lazy_and_named_by_path() {
        let device = Device::default();
        let init = Init::new(0, Spread::even(0.02), &device, DType::F32);
        let param = init.at("x").projection("weight", [1 << 20, 1 << 20]);
        assert!(!param.is_initialized());
        let again = init.at("x").constant("weight", [2], 1.0);
        assert_eq!(param.id, again.id);
        assert_ne!(param.id, init.constant("x", [2], 1.0).id);
    }
}

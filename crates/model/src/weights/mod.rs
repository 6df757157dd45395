//! The parameters of a module by path: listing, gradients, updates, exact export and import.
//!
//! A path is the chain of field names and list indices that leads to a parameter, such as
//! `stack.blocks.0.attention.query.weight`. It is the parameter's identity everywhere outside a running process:
//! optimizer state, adapters and checkpoints are keyed by it. burn's `ParamId`s are never relied upon.

mod change;
mod walk;

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{DType, Gradients, Tensor, TensorData};

use change::{Import, MapValues, SetTrainable, Update};
use walk::{AnyParam, visit};

pub(crate) use change::replace;
pub(crate) use walk::{Change, map};

use crate::error::{ModelError, Result};

/// A parameter as it is declared; reading this computes no lazy value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The parameter's path.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// A parameter that has a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The parameter's path.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The type of its values.
    pub dtype: DType,
    /// Whether it is trained: it lies on an autodiff device and its gradient is kept.
    pub trainable: bool,
}

/// Every float parameter with its shape, in the module's order. Computes no lazy value.
pub fn declared<M: Module>(module: &M) -> Vec<Declared> {
    let mut list = Vec::new();
    visit(module, &mut |path: &str, param: &dyn AnyParam| {
        list.push(Declared {
            path: path.to_owned(),
            shape: param.declared_shape(),
        });
    });
    list
}

/// Every float parameter, in the module's order.
pub fn parameters<M: Module>(module: &M) -> Vec<Parameter> {
    let mut list = Vec::new();
    visit(module, &mut |path: &str, param: &dyn AnyParam| {
        let value = param.value();
        list.push(Parameter {
            path: path.to_owned(),
            shape: param.declared_shape(),
            dtype: value.dtype(),
            trainable: param.trainable(),
        });
    });
    list
}

/// The values of every float parameter by path, flattened, outside autodiff. Nothing is copied.
pub fn values<M: Module>(module: &M) -> BTreeMap<String, Tensor<1>> {
    let mut map = BTreeMap::new();
    visit(module, &mut |path: &str, param: &dyn AnyParam| {
        map.insert(path.to_owned(), param.value());
    });
    map
}

/// Takes the gradient of every trainable parameter out of the result of a backward pass, flattened, outside autodiff.
///
/// A trainable parameter that the loss does not depend on is missing from the map.
pub fn gradients<M: Module>(module: &M, gradients: &mut Gradients) -> BTreeMap<String, Tensor<1>> {
    let mut map = BTreeMap::new();
    visit(module, &mut |path: &str, param: &dyn AnyParam| {
        if let Some(gradient) = param.gradient(gradients) {
            map.insert(path.to_owned(), gradient);
        }
    });
    map
}

/// Gives every trainable parameter a new value.
///
/// # Arguments
/// - `change`: from path and old value to new value, both flattened and outside autodiff. The old value is not held
///   by the module any more, so where the caller held no other clone of the module it can be changed in place.
///
/// # Panics
/// When a new value has another number of elements.
pub fn update<M: Module>(module: M, change: &mut dyn FnMut(&str, Tensor<1>) -> Tensor<1>) -> M {
    map(module, &mut Update { change })
}

/// Gives every float parameter a new value, trainable or not.
///
/// # Arguments
/// - `change`: as for [`update`]
///
/// # Panics
/// When a new value has another number of elements.
pub fn map_values<M: Module>(module: M, change: &mut dyn FnMut(&str, Tensor<1>) -> Tensor<1>) -> M {
    map(module, &mut MapValues { change })
}

/// Sets for every float parameter whether it is trained.
///
/// On a device without autodiff the setting is remembered for [`Module::train`].
pub fn set_trainable<M: Module>(module: M, trainable: &mut dyn FnMut(&str) -> bool) -> M {
    map(module, &mut SetTrainable { trainable })
}

/// Hands out the exact values of every float parameter, in the module's order and in their own type.
///
/// # Errors
/// The first error that `take` returns, and [`ModelError::Parameter`] when a device fails to hand out a value.
pub fn export<M: Module, E: From<ModelError>>(
    module: &M,
    take: &mut dyn FnMut(&str, TensorData) -> Result<(), E>,
) -> Result<(), E> {
    let mut result = Ok(());
    visit(module, &mut |path: &str, param: &dyn AnyParam| {
        if result.is_ok() {
            result = param
                .data()
                .map_err(|why| E::from(parameter(path, why)))
                .and_then(|data| take(path, data));
        }
    });
    result
}

/// Replaces every float parameter by exact values, bit by bit and in the values' own type. Computes no lazy value.
///
/// # Arguments
/// - `give`: from path to values in the parameter's shape
///
/// # Errors
/// The first error that `give` returns, and [`ModelError::Parameter`] when there are no values for a path or their
/// shape is another one.
pub fn import<M: Module, E: From<ModelError>>(
    module: M,
    give: &mut dyn FnMut(&str) -> Result<Option<TensorData>, E>,
) -> Result<M, E> {
    let mut import = Import {
        give,
        error: None::<E>,
    };
    let module = map(module, &mut import);
    match import.error {
        Some(error) => Err(error),
        None => Ok(module),
    }
}

fn parameter(path: &str, why: impl Into<String>) -> ModelError {
    ModelError::Parameter {
        path: path.to_owned(),
        why: why.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::Spread;
    use crate::part::{Init, Linear, Lora};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Two {
        layers: Vec<Linear>,
    }

    fn two(device: &Device) -> Two {
        let init = Init::new(3, Spread::even(0.02), device, DType::F32);
        let layer = |number: usize| Linear::new(&init.at("layers").at(number), 3, 3, number == 0);
        Two {
            layers: vec![layer(0), layer(1)],
        }
    }

    fn autodiff() -> Device {
        Device::default().autodiff()
    }

    fn loss(module: &Two) -> Tensor<1> {
        let device = module.layers[0].weight.device();
        let x = Tensor::ones([2, 3], &device);
        let noise = crate::Noise::off();
        let x = module.layers[0].forward(x, noise);
        module.layers[1].forward(x, noise).sum()
    }

    #[test]
    fn paths_name_fields_and_indices() {
        let module = two(&autodiff());
        let paths: Vec<String> = declared(&module).into_iter().map(|p| p.path).collect();
        assert_eq!(
            paths,
            ["layers.0.weight", "layers.0.bias", "layers.1.weight"]
        );
        assert!(!module.layers[0].weight.is_initialized());
        let parameters = parameters(&module);
        assert!(
            parameters
                .iter()
                .all(|p| p.trainable && p.dtype == DType::F32)
        );
        assert_eq!(parameters[1].shape, [3]);
    }

    #[test]
    fn only_trainable_parameters_have_gradients_and_change() {
        let module = set_trainable(two(&autodiff()), &mut |path| path == "layers.0.bias");
        let before = values(&module);
        let found = gradients(&module, &mut loss(&module).backward());
        assert_eq!(found.keys().collect::<Vec<_>>(), ["layers.0.bias"]);
        let module = update(module, &mut |path, value| {
            assert!(!value.is_autodiff());
            value - found[path].clone()
        });
        let after = values(&module);
        for (path, value) in &after {
            let same = value.to_data() == before[path].to_data();
            assert_eq!(same, path != "layers.0.bias", "{path}");
        }
        let again = gradients(&module, &mut loss(&module).backward());
        assert_eq!(again.len(), 1);
    }

    #[test]
    fn exported_values_come_back_bit_by_bit() {
        let module = two(&autodiff());
        let mut kept = BTreeMap::new();
        export::<_, ModelError>(&module, &mut |path, data| {
            kept.insert(path.to_owned(), data);
            Ok(())
        })
        .unwrap();
        let other = Init::new(4, Spread::even(0.5), &autodiff(), DType::F32);
        let fresh = Two {
            layers: vec![
                Linear::new(&other, 3, 3, true),
                Linear::new(&other, 3, 3, false),
            ],
        };
        let give = &mut |path: &str| Ok::<_, ModelError>(kept.get(path).cloned());
        let back = import(fresh.clone(), give).unwrap();
        for (path, value) in values(&back) {
            assert_eq!(value.to_data().as_bytes(), kept[&path].as_bytes(), "{path}");
        }
        assert!(parameters(&back).iter().all(|p| p.trainable));
        kept.remove("layers.1.weight");
        let give = &mut |path: &str| Ok::<_, ModelError>(kept.get(path).cloned());
        let error = import(fresh, give).unwrap_err().to_string();
        assert!(error.contains("layers.1.weight"), "{error}");
    }

    #[test]
    fn an_adapter_alone_is_trained_and_its_base_keeps_no_gradient() {
        let mut module = two(&autodiff());
        let init = Init::new(9, Spread::even(0.3), &autodiff(), DType::F32).at("lora");
        for layer in &mut module.layers {
            layer.lora = Some(Lora {
                a: init.projection("a", [3, 2]),
                b: init.projection("b", [2, 3]),
                scale: 0.5,
                dropout: 0.0,
            });
        }
        let module = set_trainable(module, &mut |path| path.contains(".lora."));
        let found = gradients(&module, &mut loss(&module).backward());
        let expected = [
            "layers.0.lora.a",
            "layers.0.lora.b",
            "layers.1.lora.a",
            "layers.1.lora.b",
        ];
        assert_eq!(found.keys().collect::<Vec<_>>(), expected);
    }
}

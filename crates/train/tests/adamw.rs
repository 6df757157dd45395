//! `AdamW` against torch's; `tests/reference/make_adamw.py` wrote the table.
#![allow(clippy::unwrap_used)]

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use finetune_model::weights;
use finetune_train::optimizer::{self, Gradients};
use finetune_train::{AdamW, OptimizerConfig};
use serde_json::Value;

#[derive(Module, Debug)]
struct Four {
    weight: Param<Tensor<2>>,
    norm: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    late: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct One {
    weight: Param<Tensor<1>>,
}

fn table() -> Value {
    serde_json::from_str(include_str!("golden/adamw.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f32> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap() as f32).collect()
}

fn four(start: &Value) -> Four {
    let device = Device::default().autodiff();
    let data = |name: &str, shape: &[usize]| TensorData::new(floats(&start[name]), shape.to_vec());
    Four {
        weight: Param::from_data(data("weight", &[3, 4]), &device),
        norm: Param::from_data(data("norm", &[4]), &device),
        bias: Param::from_data(data("bias", &[3]), &device),
        late: Param::from_data(data("late", &[2, 2]), &device),
    }
}

fn config(table: &Value) -> OptimizerConfig {
    let number = |name: &str| table[name].as_f64().unwrap();
    OptimizerConfig {
        beta1: number("beta1"),
        beta2: number("beta2"),
        epsilon: number("epsilon"),
        weight_decay: number("weight_decay"),
        clip: number("clip"),
    }
}

#[test]
fn steps_are_those_of_torch() {
    let table = table();
    let mut module = four(&table["start"]);
    let mut optimizer = AdamW::new(config(&table));
    for (number, step) in table["steps"].as_array().unwrap().iter().enumerate() {
        // Gradients as sums over 8 targets, as the loop has them.
        let gradients: Gradients = step["gradients"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(path, values)| {
                let values: Vec<f32> = floats(values).iter().map(|value| value * 8.0).collect();
                let count = values.len();
                (
                    path.clone(),
                    Tensor::from_data(TensorData::new(values, [count]), &Device::default()),
                )
            })
            .collect();
        let norm = optimizer::norm(&gradients).unwrap() / 8.0;
        let expected = step["norm"].as_f64().unwrap();
        assert!(
            (norm - expected).abs() < 1e-6 * expected,
            "norm {norm}, expected {expected}"
        );
        let rate = step["rate"].as_f64().unwrap();
        module = optimizer.step(module, gradients, optimizer.clip(norm) / 8.0, rate);
        for (path, value) in weights::values(&module) {
            let found: Vec<f32> = value.into_data().iter::<f32>().collect();
            for (found, expected) in found.iter().zip(floats(&step["after"][&path])) {
                let close = (found - expected).abs() <= 3e-7 * expected.abs().max(1.0);
                assert!(close, "step {number}, {path}: {found}, expected {expected}");
            }
        }
    }
}

#[test]
fn a_half_precision_parameter_keeps_its_type_and_f32_moments() {
    let device = Device::default().autodiff();
    let data = TensorData::new(vec![1.0f32, -2.0], [2])
        .try_cast(DType::BF16)
        .unwrap();
    let weight = Tensor::from_data(data, (&device, DType::BF16)).require_grad();
    let module = One {
        weight: Param::initialized(burn::module::ParamId::new(), weight),
    };
    let gradient = Tensor::from_data(TensorData::new(vec![1.0f32, 1.0], [2]), &Device::default());
    let gradients = Gradients::from([("weight".to_owned(), gradient)]);
    let mut optimizer = AdamW::new(OptimizerConfig::default());
    let module = optimizer.step(module, gradients, 1.0, 0.25);
    let data = module.weight.val().into_data();
    assert_eq!(data.dtype(), DType::BF16);
    assert_eq!(data.iter::<f32>().collect::<Vec<_>>(), [0.75, -2.25]);
}

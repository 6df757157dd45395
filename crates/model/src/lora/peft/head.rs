//! A classifier's head, which PEFT saves as a whole beside the factors (`modules_to_save`).

use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::Tensor;

use super::super::target::Slot;
use super::layout::columns;
use super::{CONFIG_FILE, PREFIX, Reading};
use crate::checkpoint::element::Window;
use crate::checkpoint::floats::Floats;
use crate::checkpoint::names::Layout;
use crate::error::Result;
use crate::part::Linear;

/// The names of the head's weight and bias in the file.
pub(super) fn keys(module: &str) -> [String; 2] {
    ["weight", "bias"].map(|last| format!("{PREFIX}{module}.{last}"))
}

/// The head's tensors for the file.
pub(super) fn tensors(slot: &Slot, layers: &BTreeMap<String, Linear>) -> Vec<Floats> {
    let Some(linear) = layers.get(&slot.paths[0]) else {
        return Vec::new();
    };
    let [input, output] = linear.shape();
    let [weight, bias] = keys(&slot.module);
    let mut tensors = vec![Floats {
        name: weight,
        shape: vec![output, input],
        parts: vec![(
            columns(input, output, 0, output),
            linear.weight.val().into_data(),
        )],
    }];
    tensors.extend(linear.bias.as_ref().map(|value| Floats {
        name: bias,
        shape: vec![output],
        parts: vec![(vector(output), value.val().into_data())],
    }));
    tensors
}

/// The head that the file holds, when it holds one.
pub(super) fn read(reading: &Reading<'_>, slot: &Slot) -> Result<Option<Linear>> {
    let Some(linear) = reading.layers.get(&slot.paths[0]) else {
        return Ok(None);
    };
    if !is_there(reading, slot, linear)? {
        return Ok(None);
    }
    let [input, output] = linear.shape();
    let [weight, bias] = keys(&slot.module);
    let device = linear.weight.lazy_device();
    let dtype = linear.weight.val().dtype();
    let mut head = linear.clone();
    let part = (columns(input, output, 0, output), vec![input, output]);
    if let Some(data) = reading.file.read(&weight, &[part], dtype)?.pop() {
        let tensor = Tensor::from_data(data, (&device, dtype));
        head.weight = Param::initialized(head.weight.id, tensor);
    }
    if let Some(old) = head.bias.take() {
        let part = (vector(output), vec![output]);
        let data = reading.file.read(&bias, &[part], dtype)?.pop();
        head.bias = data.map(|data| {
            let tensor = Tensor::from_data(data, (&device, dtype));
            Param::initialized(old.id, tensor)
        });
    }
    Ok(Some(head))
}

/// Whether the file holds the head; where it does, it must fit, and where the settings promise one, it must be there.
fn is_there(reading: &Reading<'_>, slot: &Slot, linear: &Linear) -> Result<bool> {
    let [input, output] = linear.shape();
    let [weight, bias] = keys(&slot.module);
    let found = [&weight, &bias].map(|key| reading.file.shape(key));
    let expected = [
        Some(vec![output, input]),
        linear.bias.is_some().then(|| vec![output]),
    ];
    if found == [None, None] {
        if !reading.settings.saves(&slot.module) {
            return Ok(false);
        }
        return Err(reading.invalid(&format!(
            "\"{weight}\" is missing, but modules_to_save of {CONFIG_FILE} names it; expected the trained head"
        )));
    }
    for ((key, found), expected) in [&weight, &bias].into_iter().zip(found).zip(&expected) {
        if found != expected.as_deref() {
            let say = |shape: Option<&[usize]>, none: &str| {
                shape.map_or(none.to_owned(), |shape| format!("{shape:?}"))
            };
            return Err(reading.invalid(&format!(
                "\"{key}\" is {}; expected {}. Has the model the same classes?",
                say(found, "missing"),
                say(expected.as_deref(), "no such tensor")
            )));
        }
    }
    Ok(true)
}

fn vector(length: usize) -> Window {
    Window::new(Layout::Same, [1, length], 0, length)
}

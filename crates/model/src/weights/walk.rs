//! Walking the parameters of a module with their paths.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

/// The path of the parameter that a walk stands at.
#[derive(Debug, Default)]
pub(crate) struct Path {
    steps: Vec<Option<String>>,
}

impl Path {
    /// Enters a field or a list's index. The variants of enums are no step: which one it is follows from the model.
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        let step = !container.starts_with("Enum:");
        self.steps.push(step.then(|| name.to_owned()));
    }

    pub(crate) fn exit(&mut self) {
        self.steps.pop();
    }

    pub(crate) fn text(&self) -> String {
        let steps: Vec<&str> = self.steps.iter().flatten().map(String::as_str).collect();
        steps.join(".")
    }
}

/// A parameter of any rank.
pub(super) trait AnyParam {
    fn declared_shape(&self) -> Vec<usize>;
    fn value(&self) -> Tensor<1>;
    fn trainable(&self) -> bool;
    fn gradient(&self, gradients: &mut Gradients) -> Option<Tensor<1>>;
    fn data(&self) -> Result<TensorData, String>;
}

impl<const D: usize> AnyParam for Param<Tensor<D>> {
    fn declared_shape(&self) -> Vec<usize> {
        self.lazy_shape().to_vec()
    }

    fn value(&self) -> Tensor<1> {
        flat(self.val().without_autodiff())
    }

    fn trainable(&self) -> bool {
        self.is_require_grad()
    }

    fn gradient(&self, gradients: &mut Gradients) -> Option<Tensor<1>> {
        self.val().grad_remove(gradients).map(flat)
    }

    fn data(&self) -> Result<TensorData, String> {
        let data = self.val().without_autodiff().try_into_data();
        data.map_err(|error| error.to_string())
    }
}

pub(super) fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    tensor.reshape([count])
}

struct Visit<'a> {
    path: Path,
    each: &'a mut dyn FnMut(&str, &dyn AnyParam),
}

impl ModuleVisitor for Visit<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        (self.each)(&self.path.text(), param);
    }
}

pub(super) fn visit<M: Module>(module: &M, each: &mut dyn FnMut(&str, &dyn AnyParam)) {
    let path = Path::default();
    module.visit(&mut Visit { path, each });
}

/// A change of one parameter, of any rank.
pub(crate) trait Change {
    /// The parameter's successor.
    fn apply<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>>;
}

struct Map<'a, C> {
    path: Path,
    change: &'a mut C,
}

impl<C: Change> ModuleMapper for Map<'_, C> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.change.apply(&self.path.text(), param)
    }
}

/// Changes every float parameter.
pub(crate) fn map<M: Module, C: Change>(module: M, change: &mut C) -> M {
    let path = Path::default();
    module.map(&mut Map { path, change })
}

//! AdamW in one pass, in place.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernel::kernel;
use super::{BLOCK, all_f32, floats, whole};
use crate::op::adamw::{AdamWOps, AdamWStep, Factors, adamw_step};

impl AdamWOps for Flex {
    fn adamw_step(
        parameter: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !all_f32(&[&parameter, &gradient, &first, &second]) {
            return adamw_step::<Self>(&parameter, gradient, first, second, step);
        }
        let (mut parameter, gradient) = (whole(parameter), whole(gradient));
        let (mut first, mut second) = (whole(first), whole(second));
        let factors = Factors::from(step);
        parameter
            .storage_mut::<f32>()
            .par_chunks_mut(BLOCK)
            .zip(floats(&gradient).par_chunks(BLOCK))
            .zip(first.storage_mut::<f32>().par_chunks_mut(BLOCK))
            .zip(second.storage_mut::<f32>().par_chunks_mut(BLOCK))
            .for_each(|(((p, g), m), v)| update(p, g, m, v, factors));
        (parameter, first, second)
    }
}

kernel! {
    fn update(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], factors: Factors) {
        let Factors { shrink, first, beta2, second, root, epsilon, size } = factors;
        let [shrink, first, beta2, second] = [shrink, first, beta2, second].map(|x| x as f32);
        let [root, epsilon, size] = [root, epsilon, -size].map(|x| x as f32);
        for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            *m += first * (g - *m);
            *v = *v * beta2 + second * g * g;
            let scale = v.sqrt() / root + epsilon;
            *p = *p * shrink + size * *m / scale;
        }
    }
}

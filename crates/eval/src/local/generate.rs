//! Answers to prompts.

use finetune_model::{Generator, Stops};

use super::Local;
use crate::{Finish, Generation, Prompt, Result};

impl Local {
    /// Answers every prompt. Prompts with the same stops and limit share batches.
    pub(super) fn answer(&self, prompts: &[Prompt]) -> Result<Vec<Generation>> {
        let encoded = prompts
            .iter()
            .map(|prompt| self.prompt(prompt))
            .collect::<Result<Vec<_>>>()?;
        let mut answers: Vec<Option<Generation>> = vec![None; prompts.len()];
        for index in 0..prompts.len() {
            if answers[index].is_some() {
                continue;
            }
            let like = &prompts[index];
            let group: Vec<usize> = (index..prompts.len())
                .filter(|&other| {
                    prompts[other].stop == like.stop && prompts[other].max_tokens == like.max_tokens
                })
                .collect();
            let ids: Vec<Vec<u32>> = group.iter().map(|&index| encoded[index].clone()).collect();
            for (&index, answer) in group.iter().zip(self.group(&ids, like)?) {
                answers[index] = Some(answer);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn group(&self, ids: &[Vec<u32>], like: &Prompt) -> Result<Vec<Generation>> {
        let tokenizer = self.encoder.tokenizer();
        let mut strings = like.stop.clone();
        // A template's end that is no control token is found as text.
        strings.extend(
            self.encoder
                .template()
                .ends_with()
                .map(str::trim_end)
                .filter(|end| !end.is_empty())
                .map(str::to_owned),
        );
        let stops = Stops {
            tokens: self.encoder.stops(),
            strings,
        };
        let decoder = |ids: &[u32]| tokenizer.decode(ids).unwrap_or_default();
        let mut generator = Generator::new(&self.model)
            .sampling(self.sampling.clone())
            .stops(stops.clone())
            .new_tokens(like.max_tokens)
            .batch(self.rows)
            .decoder(&decoder);
        generator.longest = Some(self.length);
        let made = generator.generate(ids)?;
        made.into_iter()
            .map(|made| {
                let text = tokenizer.decode(&made.ids)?;
                let (text, stopped) = stops.cut(&text);
                let finished = match made.finish {
                    _ if stopped => Finish::Stop,
                    finetune_model::Finish::Stop => Finish::Stop,
                    _ => Finish::Length,
                };
                Ok(Generation {
                    text: text.to_owned(),
                    finished,
                    tokens: made.ids.len(),
                })
            })
            .collect()
    }
}

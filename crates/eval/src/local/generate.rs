//! Answers to prompts.

use std::ops::ControlFlow;

use finetune_model::generate::{Autoregressive, Decoder, Length, Pieces, Settings};
use finetune_model::{Generated, Generator, Stops};

use super::{Local, Writer};
use crate::{Finish, Generation, Prompt, Result};

impl Local {
    /// Answers a prompt and shows the text while it is made. The pieces that are shown are, one after the other, the
    /// answer's text: what may still become a stop text is held back.
    ///
    /// # Arguments
    /// - `show`: called with each new piece; `Break` ends the answer
    ///
    /// # Errors
    /// As [`generate`](crate::LanguageModel::generate).
    pub fn stream(
        &self,
        prompt: &Prompt,
        show: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let stops = self.stops(prompt);
        let mut stream = self.encoder.tokenizer().stream();
        let (mut text, mut shown, mut broken) = (String::new(), 0, None);
        let mut take = |piece: &str, last: bool| {
            text.push_str(piece);
            // No stop text begins in what was shown.
            let (rest, stopped) = stops.cut(&text[shown..]);
            let upto = if last { rest.len() } else { stops.shown(rest) };
            let told = show(&rest[..upto]);
            shown += upto;
            if stopped {
                ControlFlow::Break(())
            } else {
                told
            }
        };
        let made = self.write(
            &[self.prompt(prompt)?],
            prompt,
            &self.settings,
            Stops::at(stops.tokens.iter().copied()),
            None,
            &mut |_, id| match stream.push(id) {
                Ok(piece) => piece.map_or(ControlFlow::Continue(()), |piece| take(&piece, false)),
                Err(error) => {
                    broken = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        if let Some(error) = broken {
            return Err(error.into());
        }
        let _ = take(&stream.finish()?.unwrap_or_default(), true);
        let stopped = shown < text.len();
        text.truncate(shown);
        let made = made.first();
        Ok(Generation {
            text,
            finished: finish(made, stopped),
            tokens: made.map_or(0, |made| made.ids.len()),
        })
    }

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
            for (&index, answer) in group.iter().zip(self.group(&ids, like, &self.settings)?) {
                answers[index] = Some(answer);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Answers prompts like this one, written as the settings say.
    pub(super) fn group(
        &self,
        ids: &[Vec<u32>],
        like: &Prompt,
        settings: &Settings,
    ) -> Result<Vec<Generation>> {
        let tokenizer = self.encoder.tokenizer();
        let stops = self.stops(like);
        let decoder = || -> Pieces<'_> {
            let mut stream = tokenizer.stream();
            Box::new(move |id| stream.push(id).ok().flatten().unwrap_or_default())
        };
        let on_token = &mut |_, _| ControlFlow::Continue(());
        let made = self.write(ids, like, settings, stops.clone(), Some(&decoder), on_token)?;
        made.into_iter()
            .map(|made| {
                let text = tokenizer.decode(&made.ids)?;
                let (text, stopped) = stops.cut(&text);
                Ok(Generation {
                    text: text.to_owned(),
                    finished: finish(Some(&made), stopped),
                    tokens: made.ids.len(),
                })
            })
            .collect()
    }

    /// Writes answers to prompts like this one, as the settings say.
    fn write<'m>(
        &'m self,
        ids: &[Vec<u32>],
        like: &Prompt,
        settings: &Settings,
        stops: Stops,
        decoder: Option<&'m Decoder<'m>>,
        on_token: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
    ) -> Result<Vec<Generated>> {
        let made = match &self.model {
            Writer::Causal(model) => {
                let generator = self.generator(model, like, settings, stops);
                let longest = match settings.length {
                    Some(Length::Whole(tokens)) => tokens.min(self.length),
                    _ => self.length,
                };
                with(generator, decoder, longest).stream(ids, on_token)
            }
            Writer::Answering(model) => {
                let generator = self.generator(model, like, settings, stops);
                // The start token is read too.
                with(generator, decoder, self.length + 1).stream(ids, on_token)
            }
        };
        Ok(made?)
    }

    fn generator<'m, M: Autoregressive>(
        &self,
        model: &'m M,
        like: &Prompt,
        settings: &Settings,
        stops: Stops,
    ) -> Generator<'m, M> {
        Generator::new(model)
            .settings(settings)
            .answers(1)
            .stops(stops)
            .new_tokens(like.max_tokens)
            .batch(self.rows)
    }

    /// What ends an answer to a prompt.
    fn stops(&self, prompt: &Prompt) -> Stops {
        let mut strings = prompt.stop.clone();
        strings.extend(self.settings.stop_strings.iter().cloned());
        // A template's end that is no control token is found as text.
        strings.extend(
            self.encoder
                .template()
                .ends_with()
                .map(str::trim_end)
                .filter(|end| !end.is_empty())
                .map(str::to_owned),
        );
        let mut tokens = self.encoder.stops();
        tokens.extend(&self.settings.ends);
        tokens.sort_unstable();
        tokens.dedup();
        Stops { tokens, strings }
    }
}

fn with<'m, M: Autoregressive>(
    mut generator: Generator<'m, M>,
    decoder: Option<&'m Decoder<'m>>,
    longest: usize,
) -> Generator<'m, M> {
    generator.longest = Some(longest);
    match decoder {
        Some(decoder) => generator.decoder(decoder),
        None => generator,
    }
}

fn finish(made: Option<&Generated>, stopped: bool) -> Finish {
    match made.map(|made| made.finish) {
        Some(finetune_model::Finish::Stop) => Finish::Stop,
        _ if stopped => Finish::Stop,
        _ => Finish::Length,
    }
}

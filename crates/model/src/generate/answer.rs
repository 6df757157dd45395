//! An answer in the making.

use super::autoregressive::Autoregressive;

use super::generator::{Generated, Generator, OnToken};
use super::line::Line;
use super::process::Text;
use super::search::Search;

/// What comes after a step.
pub(super) enum Next {
    /// Rows to go on with: which of the answer's rows each continues, and by which token.
    Rows(Vec<(usize, u32)>),
    /// Nothing more: what was made, the best first.
    Over(Vec<Generated>),
}

/// What is to be answered.
pub(super) struct Task {
    /// The number of the answer, from 0, over all prompts.
    pub(super) number: usize,
    /// The number of the prompt.
    pub(super) asked: usize,
    pub(super) prompt: Vec<u32>,
    /// What the model reads before it writes.
    pub(super) opening: Vec<u32>,
    /// The most tokens to write.
    pub(super) limit: usize,
}

impl Task {
    fn new<M: Autoregressive>(
        generator: &Generator<'_, M>,
        number: usize,
        asked: usize,
        prompt: &[u32],
    ) -> Self {
        let opening = generator.model.opening(prompt);
        let left = generator.longest.map(|longest| longest - opening.len());
        Self {
            number,
            asked,
            prompt: prompt.to_vec(),
            limit: left.map_or(generator.new_tokens, |left| left.min(generator.new_tokens)),
            opening,
        }
    }

    /// The text so far, for the rules.
    pub(super) fn text<'t>(&'t self, context: &'t [u32], ends: &'t [u32]) -> Text<'t> {
        Text {
            prompt: &self.prompt,
            context,
            opening: self.opening.len(),
            limit: self.limit,
            ends,
        }
    }
}

/// An answer in the making.
pub(super) struct Answer<'d> {
    pub(super) task: Task,
    kind: Kind<'d>,
}

enum Kind<'d> {
    Line(Line<'d>),
    Search(Search),
}

impl<'d> Answer<'d> {
    /// The answers to a prompt.
    pub(super) fn all<M: Autoregressive>(
        generator: &Generator<'d, M>,
        asked: usize,
        prompt: &[u32],
    ) -> Vec<Self> {
        let searched = generator.beams.count > 1;
        let (count, step) = match (searched, generator.answers) {
            (true, step) => (1, step),
            (false, count) => (count, 1),
        };
        let answer = |turn: usize| {
            let number = asked * generator.answers + turn * step;
            let task = Task::new(generator, number, asked, prompt);
            let kind = if searched {
                Kind::Search(Search::new(&task))
            } else {
                Kind::Line(Line::new(generator, &task))
            };
            Self { task, kind }
        };
        (0..count).map(answer).collect()
    }

    /// The rows that the answer has now.
    pub(super) fn rows(&self) -> usize {
        match &self.kind {
            Kind::Line(_) => 1,
            Kind::Search(search) => search.rows(),
        }
    }

    /// Chooses the next token of every row.
    pub(super) fn step<M: Autoregressive>(
        &mut self,
        generator: &Generator<'_, M>,
        logits: &mut [f32],
        on_token: &mut OnToken<'_>,
    ) -> Next {
        match &mut self.kind {
            Kind::Line(line) => line.step(generator, &self.task, logits, on_token),
            Kind::Search(search) => search.step(generator, &self.task, logits, on_token),
        }
    }
}

//! Which solved examples stand before a question.

use super::definition::{SamplerName, refused};
use super::python::Random;
use super::row::Row;
use crate::{EvalError, Result};

/// Chooses solved examples as the harness does, question after question.
pub(super) struct Sampler {
    pool: Vec<Row>,
    name: SamplerName,
    random: Random,
    /// Whether a row is never its own example: only where the examples' split is named as the test split is.
    guard: bool,
}

impl Sampler {
    pub(super) fn new(pool: Vec<Row>, name: SamplerName, seed: u64, guard: bool) -> Self {
        Self {
            pool,
            name,
            random: Random::new(seed),
            guard,
        }
    }

    /// The `count` examples of the next question.
    pub(super) fn next(&mut self, task: &str, count: usize, row: &Row) -> Result<Vec<&Row>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let own = |candidate: &&Row| self.guard && candidate.fields == row.fields;
        if self.name == SamplerName::FirstN {
            let found: Vec<_> = self
                .pool
                .iter()
                .filter(|row| !own(row))
                .take(count)
                .collect();
            return if found.len() == count {
                Ok(found)
            } else {
                Err(self.few(task, count))
            };
        }
        // One more, so that enough are left if the row itself is drawn.
        let drawn = count + usize::from(self.guard);
        let places = self.random.sample(self.pool.len(), drawn);
        let places = places.ok_or_else(|| self.few(task, drawn))?;
        let found = places.iter().map(|&place| &self.pool[place]);
        let found: Vec<_> = found.filter(|row| !own(row)).take(count).collect();
        if found.len() == count {
            return Ok(found);
        }
        // The row stands there several times, and more than once it was drawn.
        let others: Vec<_> = self.pool.iter().filter(|row| !own(row)).collect();
        let places = self.random.sample(others.len(), count);
        let places = places.ok_or_else(|| self.few(task, count))?;
        Ok(places.into_iter().map(|place| others[place]).collect())
    }

    fn few(&self, task: &str, needed: usize) -> EvalError {
        refused(
            task,
            &format!(
                "{needed} solved examples are needed for each question and their split has {}; lower the number of shots",
                self.pool.len()
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use finetune_data::Origin;
    use serde_json::{Map, json};

    use super::*;

    fn rows(count: usize) -> Vec<Row> {
        (0..count)
            .map(|number| Row {
                fields: Map::from_iter([("n".to_owned(), json!(number))]),
                origin: Origin::new("rows.jsonl", number as u64 + 1),
            })
            .collect()
    }

    fn numbers(rows: &[&Row]) -> Vec<u64> {
        rows.iter()
            .map(|row| row.fields["n"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn a_row_is_not_its_own_example_where_the_harness_guards() {
        let all = rows(6);
        for (guard, expected) in [(false, UNGUARDED), (true, GUARDED)] {
            let mut sampler = Sampler::new(rows(6), SamplerName::Default, 1234, guard);
            let drawn: Vec<_> = all
                .iter()
                .map(|row| numbers(&sampler.next("t", 3, row).unwrap()))
                .collect();
            assert_eq!(drawn, expected);
        }
    }

    #[test]
    fn the_first_are_taken_in_order_and_too_few_are_an_error() {
        let all = rows(4);
        let mut sampler = Sampler::new(rows(4), SamplerName::FirstN, 1234, true);
        assert_eq!(numbers(&sampler.next("t", 3, &all[1]).unwrap()), [0, 2, 3]);
        let error = sampler.next("t", 4, &all[1]).unwrap_err().to_string();
        assert!(error.contains("lower the number of shots"), "{error}");
        let mut sampler = Sampler::new(rows(4), SamplerName::Default, 1234, true);
        assert!(sampler.next("t", 4, &all[0]).is_err());
        // A row that stands there thrice: what was drawn of it is drawn again from the others.
        let twins: Vec<Row> = [0, 0, 0, 1, 2].map(|place| all[place].clone()).into();
        let mut sampler = Sampler::new(twins, SamplerName::Default, 1234, true);
        for _ in 0..20 {
            let mut found = numbers(&sampler.next("t", 2, &all[0]).unwrap());
            found.sort_unstable();
            assert_eq!(found, [1, 2]);
        }
    }

    const UNGUARDED: [[u64; 3]; 6] = [
        [3, 0, 4],
        [0, 4, 5],
        [5, 0, 4],
        [2, 1, 0],
        [0, 5, 2],
        [5, 4, 3],
    ];
    const GUARDED: [[u64; 3]; 6] = [
        [3, 4, 5],
        [4, 0, 5],
        [1, 0, 3],
        [0, 2, 4],
        [3, 1, 0],
        [0, 4, 2],
    ];
}

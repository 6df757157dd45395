//! Which inputs are read together.

use std::cmp::Reverse;

use finetune_model::Branch;

use super::encode::Job;

/// About how long a row is when its attention costs as much as all else: the one grows with the square of the length.
const LONG: usize = 2048;

/// A text saves at least one part in so many of its work, or it gets a row of its own.
const SAVING: usize = 8;

/// Texts that are read in one row, in ascending order: what one shares with the one before it is read once.
pub(super) struct Row<'j> {
    /// What an encoder reads.
    pub(super) source: &'j [u32],
    pub(super) texts: Vec<Text<'j>>,
    /// How many tokens are read, those of the encoder not counted.
    read: usize,
}

/// An input, and the jobs that it serves.
pub(super) struct Text<'j> {
    pub(super) jobs: Vec<usize>,
    input: &'j [u32],
    /// How many of its first tokens the text before it in the row has too; 0 for the first one.
    shared: usize,
}

/// The rows that serve all jobs, from the longest to the shortest.
///
/// Equal inputs are read once. So is what inputs have in common at their beginning, where the model takes branches and
/// enough is saved; nobody has to say where contexts end.
///
/// # Arguments
/// - `room`: the most tokens in a row of more than one text; 0 where every text is to have its own
pub(super) fn rows(jobs: &[Job], room: usize) -> Vec<Row<'_>> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&jobs[a], &jobs[b]);
        (&a.source, &a.input).cmp(&(&b.source, &b.input))
    });
    let mut rows: Vec<Row<'_>> = Vec::new();
    for index in order {
        let job = &jobs[index];
        let row = rows.last_mut().filter(|row| row.source == job.source);
        if !row.is_some_and(|row| row.takes(index, &job.input, room)) {
            rows.push(Row {
                source: &job.source,
                texts: vec![Text {
                    jobs: vec![index],
                    input: &job.input,
                    shared: 0,
                }],
                read: job.input.len(),
            });
        }
    }
    rows.sort_by_key(|row| Reverse(row.length()));
    rows
}

impl<'j> Row<'j> {
    /// How many tokens are read.
    pub(super) fn length(&self) -> usize {
        self.source.len() + self.read
    }

    /// The parts of the row as a model reads them, and for each text the places of its tokens.
    pub(super) fn laid(&self) -> (Vec<Branch<'j>>, Vec<Vec<u32>>) {
        let (mut parts, mut paths) = (Vec::new(), Vec::new());
        let mut path: Vec<u32> = Vec::new();
        let mut next = 0;
        for text in &self.texts {
            path.truncate(text.shared);
            let ids = &text.input[text.shared..];
            let after = path.last().copied();
            parts.push(Branch { ids, after });
            path.extend(next..next + ids.len() as u32);
            next += ids.len() as u32;
            paths.push(path.clone());
        }
        (parts, paths)
    }

    /// Adds a job whose input is not before the last one, if that pays.
    fn takes(&mut self, job: usize, input: &'j [u32], room: usize) -> bool {
        let Some(last) = self.texts.last_mut() else {
            return false;
        };
        if last.input == input {
            last.jobs.push(job);
            return true;
        }
        let pairs = last.input.iter().zip(input);
        let shared = pairs.take_while(|(a, b)| a == b).count();
        let longer = self.read + input.len() - shared;
        let alone = work(input.len());
        let more = work(longer) - work(self.read);
        if longer > room || more + alone / SAVING > alone {
            return false;
        }
        self.texts.push(Text {
            jobs: vec![job],
            input,
            shared,
        });
        self.read = longer;
        true
    }
}

/// The work of reading a row, in that of a token without its attention.
fn work(length: usize) -> usize {
    length + length * length / LONG
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn job(input: Vec<u32>) -> Job {
        Job {
            source: Vec::new(),
            targets: vec![input[input.len() - 1]],
            input,
        }
    }

    /// What the model reads at the places of each text, with the jobs of the text.
    fn read(row: &Row<'_>) -> Vec<(Vec<usize>, Vec<u32>)> {
        let (parts, paths) = row.laid();
        let ids: Vec<u32> = parts.iter().flat_map(|part| part.ids).copied().collect();
        assert_eq!(ids.len(), row.length());
        let text = |(text, path): (&Text<'_>, Vec<u32>)| {
            let ids = path.iter().map(|place| ids[*place as usize]);
            (text.jobs.clone(), ids.collect())
        };
        row.texts.iter().zip(paths).map(text).collect()
    }

    #[test]
    fn answers_to_a_question_are_branches_of_it() {
        let context: Vec<u32> = (0..40).collect();
        let answer = |ids: &[u32]| job([&context, ids].concat());
        let other = |ids: &[u32]| job([&[99], &context[1..], ids].concat());
        // An input may be the beginning of another, and answers may begin alike.
        let answers: [&[u32]; 5] = [&[7, 8], &[7, 9, 4], &[], &[5], &[7, 8]];
        let mut jobs: Vec<Job> = answers.map(answer).into();
        jobs.extend(answers.map(other));
        let rows = rows(&jobs, 100);
        let lengths: Vec<usize> = rows.iter().map(Row::length).collect();
        assert_eq!(lengths, [45, 45]);
        let served: Vec<Vec<usize>> = read(&rows[0]).into_iter().map(|(jobs, _)| jobs).collect();
        assert_eq!(served, [vec![2], vec![3], vec![0, 4], vec![1]]);
        let after: Vec<_> = rows[0].laid().0.iter().map(|part| part.after).collect();
        assert_eq!(after, [None, Some(39), Some(39), Some(41)]);
    }

    #[test]
    fn little_in_common_is_not_shared() {
        let text = |first: u32| job((0..3).chain(first..first + 50).collect());
        let jobs = [text(100), text(200)];
        assert_eq!(rows(&jobs, 1000).len(), 2);
        // Nor where the row would become too long.
        let text = |last: u32| job((0..50).chain([last]).collect());
        let jobs = [text(100), text(200)];
        assert_eq!(rows(&jobs, 52).len(), 1);
        assert_eq!(rows(&jobs, 51).len(), 2);
    }

    proptest! {
        #[test]
        fn every_job_is_served_by_its_input(
            inputs in prop::collection::vec(prop::collection::vec(0..3_u32, 1..12), 0..40),
            room in 0..40_usize,
            turn in 0..40_usize,
        ) {
            let jobs: Vec<Job> = inputs.iter().cloned().map(job).collect();
            let shared = rows(&jobs, room);
            let mut served = vec![0; jobs.len()];
            for row in &shared {
                prop_assert!(row.texts.len() == 1 || row.length() <= room);
                for (indices, ids) in read(row) {
                    for index in indices {
                        prop_assert_eq!(&ids, &jobs[index].input);
                        served[index] += 1;
                    }
                }
            }
            prop_assert!(served.iter().all(|count| *count == 1));
            prop_assert!(shared.is_sorted_by_key(|row| Reverse(row.length())));
            // The same rows for the jobs in another order.
            let mut turned = jobs.clone();
            turned.rotate_left(turn % jobs.len().max(1));
            let parts = |rows: &[Row<'_>]| -> Vec<Vec<(Vec<u32>, Option<u32>)>> {
                let part = |part: &Branch<'_>| (part.ids.to_vec(), part.after);
                rows.iter().map(|row| row.laid().0.iter().map(part).collect()).collect()
            };
            prop_assert_eq!(parts(&rows(&turned, room)), parts(&shared));
        }
    }
}

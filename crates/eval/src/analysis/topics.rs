//! What texts are about, by the words that they share.

use std::collections::HashMap;

use rayon::prelude::*;

use super::{english::is_common, prose::lowered};

/// How many words at most tell topics apart: the most frequent ones that are in no more than half of the texts.
const WORDS: usize = 4096;
/// How often the centres move at most.
const ROUNDS: usize = 20;
/// Of how many rows each first centre is the best.
const TRIES: usize = 4;
/// How many words name a topic.
const NAMED: usize = 3;

/// Clusters of texts: spherical k-means (Dhillon and Modha, 2001) over `tf · idf` of single words, with the seeding of
/// k-means++ (Arthur and Vassilvitskii, 2007), the best of four draws each time, from a fixed seed. The same texts give the same clusters, for any number
/// of threads.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    words: HashMap<String, u32>,
    idf: Vec<f64>,
    /// By cluster, the centre: a weight for each word.
    centres: Vec<Vec<f64>>,
    names: Vec<String>,
}

/// A text as words with weights, of length 1.
type Sparse = Vec<(u32, f64)>;

impl Topics {
    /// At most `count` clusters of texts. `None` if the texts have too few words in common for two.
    pub(super) fn of(texts: &[&str], count: usize, seed: u64) -> Option<Self> {
        let bags: Vec<HashMap<String, f64>> = texts.par_iter().map(|text| bag(text)).collect();
        let mut having: HashMap<&str, usize> = HashMap::new();
        for word in bags.iter().flat_map(HashMap::keys) {
            *having.entry(word).or_default() += 1;
        }
        let mut chosen: Vec<(&str, usize)> = having
            .into_iter()
            .filter(|&(_, having)| having > 1 && 2 * having <= texts.len().max(4))
            .collect();
        chosen.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        chosen.truncate(WORDS);
        let ordered: Vec<String> = chosen.iter().map(|(word, _)| (*word).to_owned()).collect();
        let mut topics = Self {
            words: ordered.iter().cloned().zip(0..).collect(),
            idf: chosen
                .iter()
                .map(|&(_, having)| (texts.len() as f64 / having as f64).ln() + 1.0)
                .collect(),
            centres: Vec::new(),
            names: Vec::new(),
        };
        let rows: Vec<Sparse> = bags.par_iter().map(|bag| topics.vector(bag)).collect();
        topics.seed(&rows, count, seed);
        if topics.centres.len() < 2 {
            return None;
        }
        topics.settle(&rows);
        topics.name(&ordered);
        Some(topics)
    }

    /// The topic of a text; none for one that has none of the words.
    pub(super) fn topic(&self, text: &str) -> Option<&str> {
        let row = self.vector(&bag(text));
        Some(&self.names[self.nearest(&row)?.0])
    }

    fn vector(&self, bag: &HashMap<String, f64>) -> Sparse {
        let mut row: Sparse = bag
            .iter()
            .filter_map(|(word, count)| {
                let &number = self.words.get(word)?;
                Some((number, count * self.idf[number as usize]))
            })
            .collect();
        row.sort_unstable_by_key(|&(word, _)| word);
        let norm = row
            .iter()
            .map(|(_, weight)| weight * weight)
            .sum::<f64>()
            .sqrt();
        for (_, weight) in &mut row {
            *weight /= norm;
        }
        row
    }

    /// The nearest centre and its cosine, the first of equal ones.
    fn nearest(&self, row: &Sparse) -> Option<(usize, f64)> {
        let mut best: Option<(usize, f64)> = None;
        if row.is_empty() {
            return None;
        }
        for (number, centre) in self.centres.iter().enumerate() {
            let cosine: f64 = row
                .iter()
                .map(|&(word, weight)| weight * centre[word as usize])
                .sum();
            if best.is_none_or(|(_, most)| cosine > most) {
                best = Some((number, cosine));
            }
        }
        best
    }

    /// Chooses rows as first centres: each time the best of a few that are drawn with a probability by their distance from
    /// those chosen before.
    fn seed(&mut self, rows: &[Sparse], count: usize, seed: u64) {
        let mut draw = Draw(seed);
        let mut far: Vec<f64> = rows
            .iter()
            .map(|row| f64::from(u8::from(!row.is_empty())))
            .collect();
        while self.centres.len() < count {
            let total: f64 = far.iter().sum();
            if total <= 1e-9 {
                break;
            }
            let tried: Vec<usize> = (0..TRIES)
                .map(|_| chosen(&far, draw.next() * total))
                .collect();
            let nearer: Vec<Vec<f64>> = tried
                .par_iter()
                .map(|&row| nearer(&far, rows, &self.dense(&rows[row])))
                .collect();
            let left = |distances: &Vec<f64>| distances.iter().sum::<f64>();
            let best = (0..TRIES).min_by(|&a, &b| left(&nearer[a]).total_cmp(&left(&nearer[b])));
            let Some(best) = best else { break };
            self.centres.push(self.dense(&rows[tried[best]]));
            far.clone_from(&nearer[best]);
            far[tried[best]] = 0.0;
        }
    }

    fn dense(&self, row: &Sparse) -> Vec<f64> {
        let mut dense = vec![0.0; self.idf.len()];
        for &(word, weight) in row {
            dense[word as usize] = weight;
        }
        dense
    }

    /// Moves the centres to the means of their rows until no row changes its cluster. A centre without rows stays.
    fn settle(&mut self, rows: &[Sparse]) {
        let mut places: Vec<Option<usize>> = Vec::new();
        for _ in 0..ROUNDS {
            let next: Vec<Option<usize>> = rows
                .par_iter()
                .map(|row| self.nearest(row).map(|(place, _)| place))
                .collect();
            if next == places {
                return;
            }
            places = next;
            let mut sums = vec![vec![0.0; self.idf.len()]; self.centres.len()];
            for (row, place) in rows.iter().zip(&places) {
                let Some(place) = place else { continue };
                for &(word, weight) in row {
                    sums[*place][word as usize] += weight;
                }
            }
            for (centre, mut sum) in self.centres.iter_mut().zip(sums) {
                let norm = sum.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
                if norm > 0.0 {
                    for weight in &mut sum {
                        *weight /= norm;
                    }
                    *centre = sum;
                }
            }
        }
    }

    /// Names the clusters by the words with the greatest weights; two that would be called the same get a number.
    fn name(&mut self, words: &[String]) {
        for centre in &self.centres {
            let mut order: Vec<usize> = (0..centre.len())
                .filter(|&word| centre[word] > 0.0)
                .collect();
            order.sort_by(|&a, &b| centre[b].total_cmp(&centre[a]).then(a.cmp(&b)));
            let named: Vec<&str> = order
                .iter()
                .take(NAMED)
                .map(|&word| words[word].as_str())
                .collect();
            let name = named.join(", ");
            let again = self
                .names
                .iter()
                .filter(|other| other.split(" (").next() == Some(&name))
                .count();
            self.names.push(match again {
                0 => name,
                again => format!("{name} ({})", again + 1),
            });
        }
    }
}

/// The row at which the distances before it and its own reach `drawn`.
fn chosen(far: &[f64], drawn: f64) -> usize {
    let mut left = drawn;
    let reached = far.iter().position(|distance| {
        left -= distance;
        *distance > 0.0 && left <= 0.0
    });
    let last = || far.iter().rposition(|distance| *distance > 0.0);
    reached.or_else(last).unwrap_or(0)
}

/// The distances from the nearest centre once there is another one.
fn nearer(far: &[f64], rows: &[Sparse], centre: &[f64]) -> Vec<f64> {
    let both = far.iter().zip(rows);
    both.map(|(distance, row)| {
        let cosine: f64 = row
            .iter()
            .map(|&(word, weight)| weight * centre[word as usize])
            .sum();
        distance.min((1.0 - cosine).max(0.0))
    })
    .collect()
}

/// The words of a text that tell topics, with their counts: three letters or more, no numbers, none that every text has.
fn bag(text: &str) -> HashMap<String, f64> {
    let mut bag = HashMap::new();
    for (_, word) in lowered(text) {
        let long = word.len() > 2 || !word.is_ascii();
        if long && !is_common(&word) && !word.starts_with(|c: char| c.is_ascii_digit()) {
            *bag.entry(word).or_default() += 1.0;
        }
    }
    bag
}

/// `SplitMix64` (Steele, Lea and Flood, 2014), as numbers in 0..1.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Vec<String> {
        let about = [
            "bread oven flour yeast dough",
            "adapter rank lora weights matrix",
            "river boat harbour sailing anchor",
        ];
        (0..60)
            .map(|number| {
                let words: Vec<&str> = about[number % 3].split(' ').collect();
                format!(
                    "{} {} {}",
                    words[number / 3 % 5],
                    words[(number / 3 + 1) % 5],
                    words[(number / 3 + 3) % 5]
                )
            })
            .collect()
    }

    #[test]
    fn texts_about_one_thing_are_one_topic() {
        let texts = texts();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let topics = Topics::of(&texts, 3, 0).unwrap();
        let told: Vec<_> = texts
            .iter()
            .map(|text| topics.topic(text).unwrap())
            .collect();
        for number in 3..texts.len() {
            assert_eq!(told[number], told[number % 3], "{}", texts[number]);
        }
        assert_ne!(told[0], told[1]);
        assert_ne!(told[1], told[2]);
        assert_eq!(topics.topic("zebra"), None);
    }

    #[test]
    fn topics_do_not_depend_on_threads() {
        let texts = texts();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| Topics::of(&texts, 4, 7))
                .map(|topics| (topics.names, topics.centres))
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn nothing_in_common_is_no_topic() {
        assert!(Topics::of(&["alpha", "beta", "gamma"], 3, 0).is_none());
        assert!(Topics::of(&[], 3, 0).is_none());
    }
}

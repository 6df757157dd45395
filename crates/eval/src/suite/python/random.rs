//! Python's `random.Random`, as far as few-shot sampling and the bootstrap of lm-evaluation-harness use it.

/// The Mersenne Twister (Matsumoto and Nishimura 1998), seeded and drawn from as `CPython`'s `random` module does.
///
/// ```
/// use finetune_eval::suite::Random;
///
/// // random.Random(1234).sample(range(2251), 5)
/// assert_eq!(Random::new(1234).sample(2251, 5), Some(vec![1805, 478, 30, 371, 143]));
/// ```
#[derive(Clone)]
pub struct Random {
    state: [u32; WORDS],
    next: usize,
}

const WORDS: usize = 624;
const MIDDLE: usize = 397;

impl Random {
    /// `random.Random(seed)`.
    pub fn new(seed: u64) -> Self {
        let mut key = vec![seed as u32];
        if seed >> 32 != 0 {
            key.push((seed >> 32) as u32);
        }
        let mut random = Self {
            state: initial(19_650_218),
            next: WORDS,
        };
        random.mix(&key);
        random
    }

    /// `sample(range(population), count)`; none if the population is smaller than the sample. A population of more than
    /// 2³² is not supported.
    pub fn sample(&mut self, population: usize, count: usize) -> Option<Vec<usize>> {
        if count > population {
            return None;
        }
        let mut found = Vec::with_capacity(count);
        if population <= pool_limit(count) {
            let mut pool: Vec<usize> = (0..population).collect();
            for drawn in 0..count {
                let left = population - drawn;
                let place = self.below(left);
                found.push(pool[place]);
                pool[place] = pool[left - 1];
            }
        } else {
            let mut seen = std::collections::HashSet::with_capacity(count);
            while found.len() < count {
                let place = self.below(population);
                if seen.insert(place) {
                    found.push(place);
                }
            }
        }
        Some(found)
    }

    /// One index of `choices(range(population), k)`.
    pub fn choice(&mut self, population: usize) -> usize {
        (self.float() * population as f64) as usize
    }

    /// A number below `limit`, which is not 0 and fits 32 bits, by drawing bits until one fits.
    fn below(&mut self, limit: usize) -> usize {
        let unused = limit.leading_zeros() - (usize::BITS - u32::BITS);
        loop {
            let drawn = (self.word() >> unused) as usize;
            if drawn < limit {
                return drawn;
            }
        }
    }

    /// A float in \[0, 1) of 53 bits.
    fn float(&mut self) -> f64 {
        let high = f64::from(self.word() >> 5);
        let low = f64::from(self.word() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    fn word(&mut self) -> u32 {
        if self.next == WORDS {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for place in 0..WORDS {
            let joined =
                (self.state[place] & 0x8000_0000) | (self.state[(place + 1) % WORDS] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[place] = self.state[(place + MIDDLE) % WORDS] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// Seeding by an array of words, the reference implementation's `init_by_array`.
    fn mix(&mut self, key: &[u32]) {
        let mut place = 1;
        for step in 0..WORDS.max(key.len()) {
            let part = step % key.len();
            let mixed = self.folded(place, 1_664_525);
            self.state[place] = mixed.wrapping_add(key[part]).wrapping_add(part as u32);
            place = self.following(place);
        }
        for _ in 1..WORDS {
            let mixed = self.folded(place, 1_566_083_941);
            self.state[place] = mixed.wrapping_sub(place as u32);
            place = self.following(place);
        }
        self.state[0] = 0x8000_0000;
    }

    fn folded(&self, place: usize, factor: u32) -> u32 {
        let before = self.state[place - 1];
        self.state[place] ^ (before ^ (before >> 30)).wrapping_mul(factor)
    }

    fn following(&mut self, place: usize) -> usize {
        if place + 1 < WORDS {
            return place + 1;
        }
        self.state[0] = self.state[WORDS - 1];
        1
    }
}

fn initial(seed: u32) -> [u32; WORDS] {
    let mut state = [seed; WORDS];
    for place in 1..WORDS {
        let before = state[place - 1];
        state[place] = (before ^ (before >> 30))
            .wrapping_mul(1_812_433_253)
            .wrapping_add(place as u32);
    }
    state
}

/// Up to which population a sample is drawn from a list of it rather than with a set of those seen.
fn pool_limit(count: usize) -> usize {
    let mut limit = 21;
    if count > 5 {
        let mut power = 1;
        while power < 3 * count {
            power *= 4;
        }
        limit += power;
    }
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_pythons() {
        let mut random = Random::new(1234);
        assert_eq!(random.sample(2251, 5).unwrap(), [1805, 478, 30, 371, 143]);
        assert_eq!(random.sample(2251, 5).unwrap(), [343, 403, 1452, 969, 71]);
        // [random.Random(1234).sample(range(10), 4)], then sample(range(100), 25) of the same generator
        let mut random = Random::new(1234);
        assert_eq!(random.sample(10, 4).unwrap(), SAMPLE_OF_TEN);
        assert_eq!(random.sample(100, 25).unwrap(), SAMPLE_OF_HUNDRED);
        assert_eq!(random.sample(3, 4), None);
        assert_eq!(random.sample(3, 0), Some(Vec::new()));
    }

    #[test]
    fn choices_are_pythons() {
        // random.Random(7).choices(range(1000), k=6), and of a seed of more than 32 bits
        let mut random = Random::new(7);
        let drawn: Vec<_> = (0..6).map(|_| random.choice(1000)).collect();
        assert_eq!(drawn, CHOICES);
        let mut random = Random::new(123_456_789_012);
        let drawn: Vec<_> = (0..6).map(|_| random.choice(1000)).collect();
        assert_eq!(drawn, CHOICES_OF_A_LONG_SEED);
    }

    const SAMPLE_OF_TEN: [usize; 4] = [7, 1, 0, 9];
    const SAMPLE_OF_HUNDRED: [usize; 25] = [
        74, 4, 85, 88, 10, 12, 45, 30, 2, 3, 91, 44, 82, 79, 61, 78, 59, 19, 11, 23, 14, 1, 64, 62,
        31,
    ];
    const CHOICES: [usize; 6] = [323, 150, 650, 72, 535, 365];
    const CHOICES_OF_A_LONG_SEED: [usize; 6] = [377, 20, 140, 200, 827, 448];
}
// 6 85
// 22 277
// 25 277
// 85 277
// 86 1045

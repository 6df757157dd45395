//! Several sources as one, by weight.
//!
//! Independent draws meet the weights only in the long run: after a thousand draws a share of 1 % may have come three
//! times or seventeen times. The rule here is the quota method of Balinski and Young (1975): at every step each source
//! has been taken as often as its weight says, to less than one item. Nothing is drawn, so there is no generator whose
//! state would have to be kept.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{DataError, Place, Result};
use crate::stream::{Items, Source};

/// A source with its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted<S> {
    /// What it is called: its full path, so that two files of the same name stay apart.
    pub path: PathBuf,
    /// How much of it there is to be, relative to the others. 0 takes nothing of it.
    pub weight: f64,
    /// Its items.
    pub source: S,
}

/// What happens when a source has nothing left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The mix ends: its shares are those of the weights to the last item, and items of other sources are left over.
    First,
    /// The mix goes on with the rest, whose weights keep their proportions. Every item comes exactly once.
    #[default]
    Rest,
    /// The source begins again, with the order of its next epoch, until it has been read `epochs` times. The mix ends
    /// when every source has been read whole at least once, or has no epochs left.
    Repeat {
        /// The most times that a source is read; 0 counts as 1.
        epochs: u64,
    },
}

/// Several sources as one, by weight: which source comes next is a function of the seed, the weights and how much of
/// each source has been taken.
///
/// From the start, and again from each step at which a source ends, every source has been taken `weight / sum · steps`
/// times, to less than one item. (Weights are rounded to 1 / 2³² of their sum.) Equal claims are ordered by the seed.
///
/// ```
/// use finetune_data::mix::{Ending, Mix, Weighted};
///
/// let source = |path: &str, weight, items: &[u32]| Weighted { path: path.into(), weight, source: items.to_vec() };
/// let mix = Mix::new(vec![source("web/a.jsonl", 2.0, &[1, 2, 3, 4]), source("books/a.jsonl", 1.0, &[5, 6])], 7)?
///     .ending(Ending::First);
/// let mut mixing = mix.begin()?;
/// let first = mixing.next().unwrap()?;
/// let state = mixing.state().clone(); // small, and can be saved
/// let rest: Vec<_> = mixing.collect::<Result<_, _>>()?;
/// let resumed: Vec<_> = mix.resume(state)?.collect::<Result<_, _>>()?;
/// assert_eq!(rest, resumed);
/// assert_eq!(rest.len(), 5);
/// # Ok::<(), finetune_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mix<S> {
    sources: Vec<Weighted<S>>,
    /// The weights as shares of about 2³², so that all arithmetic is exact and the same everywhere.
    shares: Vec<u64>,
    seed: u64,
    ending: Ending,
}

/// How far a mix has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixState {
    /// How many items have come in all.
    pub step: u64,
    /// How far each source has come, in the order of the mix.
    pub sources: Vec<SourceState>,
}

/// How far a source of a mix has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceState {
    /// The full path of the source.
    pub path: PathBuf,
    /// Its share of the mix, of about 2³²: the mix is resumed only with the same.
    pub share: u64,
    /// How often it has been read whole.
    pub epoch: u64,
    /// How many items of this epoch have been taken.
    pub position: u64,
    /// How many items have been taken since a source ended last, or since the start.
    pub taken: u64,
    /// Nothing is taken of it any more.
    pub over: bool,
}

/// An item, and the number of the source that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mixed<T> {
    /// The number of the source, from 0, in the order of the mix.
    pub source: usize,
    /// The item.
    pub item: T,
}

/// The items of a [`Mix`].
pub struct Mixing<'a, S: Source> {
    mix: &'a Mix<S>,
    state: MixState,
    open: Vec<Option<Items<'a, S::Item>>>,
    done: bool,
}

/// The sum of the shares, before each is rounded up to at least 1.
const WHOLE: f64 = 4_294_967_296.0;

impl<S: Source> Mix<S> {
    /// A mix of sources that goes on with the rest when one ends.
    ///
    /// # Errors
    ///
    /// [`DataError::BadWeight`] if a weight is negative or not a finite number, or all are 0; [`DataError::Setting`] if
    /// a path stands twice.
    pub fn new(sources: Vec<Weighted<S>>, seed: u64) -> Result<Self> {
        for (index, source) in sources.iter().enumerate() {
            if !(source.weight.is_finite() && source.weight >= 0.0) {
                return Err(bad_weight(&source.path, source.weight));
            }
            if sources[..index]
                .iter()
                .any(|before| before.path == source.path)
            {
                return Err(DataError::Setting {
                    name: "mix".into(),
                    found: format!("{} twice", Place::file(&source.path)),
                    expected: "every source once, with the sum of its weights".into(),
                });
            }
        }
        let greatest = sources
            .iter()
            .map(|source| source.weight)
            .fold(0.0, f64::max);
        if greatest == 0.0 {
            return Err(bad_weight("".as_ref(), 0.0));
        }
        // Divided by the greatest first: the sum of finite weights need not be finite.
        let sum: f64 = sources.iter().map(|source| source.weight / greatest).sum();
        let share = |weight: f64| match weight {
            0.0 => 0,
            _ => ((weight / greatest / sum * WHOLE).round() as u64).max(1),
        };
        Ok(Self {
            shares: sources.iter().map(|source| share(source.weight)).collect(),
            sources,
            seed,
            ending: Ending::default(),
        })
    }

    /// Sets what happens when a source has nothing left.
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// The items from the start.
    ///
    /// # Errors
    ///
    /// What a source says that cannot be opened.
    pub fn begin(&self) -> Result<Mixing<'_, S>> {
        let sources = self.sources.iter().zip(&self.shares);
        let sources = sources.map(|(source, &share)| SourceState {
            path: source.path.clone(),
            share,
            epoch: 0,
            position: 0,
            taken: 0,
            over: share == 0,
        });
        self.resume(MixState {
            step: 0,
            sources: sources.collect(),
        })
    }

    /// The items that follow a state. It costs what it costs the sources to be opened at their positions.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if the state belongs to other sources or weights; what a source says that cannot be
    /// opened.
    pub fn resume(&self, state: MixState) -> Result<Mixing<'_, S>> {
        let known = self.sources.iter().zip(&self.shares);
        let same = state.sources.len() == self.sources.len()
            && known
                .zip(&state.sources)
                .all(|((source, &share), saved)| source.path == saved.path && share == saved.share);
        // More taken than asked for would leave no source to choose.
        let counts = state.sources.iter().map(|source| u128::from(source.taken));
        if !same || counts.sum::<u128>() > u128::from(state.step) {
            return Err(DataError::Setting {
                name: "mix".into(),
                found: "the state of another mix".into(),
                expected: "the same sources in the same order, with the same weights".into(),
            });
        }
        let mut open = Vec::with_capacity(self.sources.len());
        for (source, saved) in self.sources.iter().zip(&state.sources) {
            let items = (!saved.over).then(|| source.source.open(saved.epoch, saved.position));
            open.push(items.transpose()?);
        }
        Ok(Mixing {
            done: !self.goes_on(&state),
            mix: self,
            state,
            open,
        })
    }

    /// Whether a source is left whose items are still wanted.
    fn goes_on(&self, state: &MixState) -> bool {
        let repeats = matches!(self.ending, Ending::Repeat { .. });
        let due = |source: &SourceState| !source.over && (!repeats || source.epoch == 0);
        state.sources.iter().any(due)
    }
}

impl<S: Source> Mixing<'_, S> {
    /// How far the mix has come: what follows it is what follows here.
    pub fn state(&self) -> &MixState {
        &self.state
    }

    /// What follows the end of a source: whether the mix goes on.
    fn ended(&mut self, index: usize) -> Result<bool> {
        let source = &mut self.state.sources[index];
        // What is empty once will not fill.
        let (epoch, empty) = (source.epoch + 1, source.position == 0);
        let again = match self.mix.ending {
            Ending::First => return Ok(false),
            Ending::Rest => false,
            Ending::Repeat { epochs } => !empty && epoch < epochs,
        };
        (source.epoch, source.position) = (epoch, 0);
        if again {
            self.open[index] = Some(self.mix.sources[index].source.open(epoch, 0)?);
        } else {
            source.over = true;
            self.open[index] = None;
            self.state
                .sources
                .iter_mut()
                .for_each(|source| source.taken = 0);
        }
        Ok(self.mix.goes_on(&self.state))
    }
}

impl<S: Source> Iterator for Mixing<'_, S> {
    type Item = Result<Mixed<S::Item>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            let Some(index) = choose(self.mix.seed, &self.state) else {
                break;
            };
            if let Some(item) = self.open[index].as_mut().and_then(Iterator::next) {
                self.state.step += 1;
                self.state.sources[index].position += 1;
                self.state.sources[index].taken += 1;
                return Some(item.map(|item| Mixed {
                    source: index,
                    item,
                }));
            }
            match self.ended(index) {
                Ok(true) => {}
                Ok(false) => self.done = true,
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// The source that comes next: of those that are below their share, the one that would first be too late.
///
/// With `n` items since a source ended last, a source is below its share if `taken < share · (n + 1)`, and too late
/// after step `(taken + 1) / share`. There is always one: all together have `n` items and a claim to `n + 1`.
fn choose(seed: u64, state: &MixState) -> Option<usize> {
    let live = || {
        let sources = state.sources.iter().enumerate();
        sources.filter(|(_, source)| !source.over && source.share > 0)
    };
    let whole: u128 = live().map(|(_, source)| u128::from(source.share)).sum();
    let steps: u128 = live().map(|(_, source)| u128::from(source.taken)).sum();
    let below = |source: &SourceState| {
        u128::from(source.taken) * whole < u128::from(source.share) * (steps + 1)
    };
    let tie = |index: usize| {
        let mut place = [0; 16];
        place[..8].copy_from_slice(&state.step.to_le_bytes());
        place[8..].copy_from_slice(&(index as u64).to_le_bytes());
        (xxh3_64_with_seed(&place, seed), index)
    };
    live()
        .filter(|(_, source)| below(source))
        .min_by(|(i, a), (j, b)| {
            let late =
                |a: &SourceState, b: &SourceState| (u128::from(a.taken) + 1) * u128::from(b.share);
            late(a, b)
                .cmp(&late(b, a))
                .then_with(|| tie(*i).cmp(&tie(*j)))
        })
        .map(|(index, _)| index)
}

fn bad_weight(path: &std::path::Path, weight: f64) -> DataError {
    DataError::BadWeight {
        place: Place::file(path),
        found: weight.to_string(),
    }
}

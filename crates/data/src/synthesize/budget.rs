//! What a run may take.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::ask::{Request, Usage};
use crate::error::{DataError, Result};

/// Tokens that a service may put around a prompt: a template, and a name for each role.
const FRAME: u64 = 64;

/// What a million tokens cost, in any currency.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Price {
    /// Tokens of prompts.
    pub prompt: f64,
    /// Tokens of answers.
    pub completion: f64,
}

impl Price {
    /// What tokens cost.
    pub fn of(&self, usage: Usage) -> f64 {
        (self.prompt * usage.prompt as f64 + self.completion * usage.completion as f64) / 1e6
    }
}

/// The limits of a run; answers from the cache are free.
///
/// Before each request the most that it can take is set aside: a token for every byte of the prompt, 64 for what the
/// service puts around it, and the longest answer. A request that could pass a limit is not sent. What was really
/// taken is counted when the answer comes; where a service does not say, or an answer got lost, what was set aside is
/// counted in full.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Budget {
    /// Tokens of prompts and answers together; no limit by default.
    pub tokens: Option<u64>,
    /// Cost, in the currency of the price; no limit by default.
    pub cost: Option<f64>,
    /// What tokens cost; nothing by default.
    pub price: Price,
}

impl Budget {
    /// # Errors
    ///
    /// [`DataError::Setting`] for a limit or a price that cannot be kept.
    pub(super) fn check(&self) -> Result<()> {
        let fault = |name: &str, found: f64, expected: &str| {
            Err(DataError::Setting {
                name: format!("budget: {name}"),
                found: found.to_string(),
                expected: expected.into(),
            })
        };
        for (name, price) in [
            ("price.prompt", self.price.prompt),
            ("price.completion", self.price.completion),
        ] {
            if !price.is_finite() || price < 0.0 {
                return fault(name, price, "a number that is not negative");
            }
        }
        match self.cost {
            Some(cost) if !cost.is_finite() || cost < 0.0 => {
                fault("cost", cost, "a number that is not negative")
            }
            Some(cost) if self.price == Price::default() => {
                fault("cost", cost, "a price with it, or nothing is ever spent")
            }
            _ => Ok(()),
        }
    }

    fn allows(&self, usage: Usage) -> bool {
        self.tokens.is_none_or(|limit| usage.total() <= limit)
            && self.cost.is_none_or(|limit| self.price.of(usage) <= limit)
    }
}

/// The most that a request can take.
pub(super) fn most(request: &Request) -> Usage {
    let system = request.system.as_ref().map_or(0, String::len);
    Usage {
        prompt: (request.prompt.len() + system) as u64 + FRAME,
        completion: u64::from(request.max_tokens),
    }
}

/// Keeps a budget, for all threads of a run.
#[derive(Debug)]
pub(super) struct Ledger {
    budget: Budget,
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    spent: Usage,
    aside: Usage,
    /// How many requests are on their way.
    open: u32,
    /// A request was not sent for want of budget; after it none is, or small prompts would be preferred.
    over: bool,
}

impl Ledger {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            budget,
            state: Mutex::default(),
            settled: Condvar::new(),
        }
    }

    /// Sets aside what a request can take, and waits for others to be settled if that decides. `false` if the budget
    /// does not allow it.
    pub(super) fn reserve(&self, most: Usage) -> bool {
        let mut state = self.lock();
        loop {
            if state.over {
                return false;
            }
            if self.budget.allows(state.spent.plus(state.aside).plus(most)) {
                state.aside = state.aside.plus(most);
                state.open += 1;
                return true;
            }
            if state.open == 0 {
                state.over = true;
                self.settled.notify_all();
                return false;
            }
            state = self
                .settled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Counts what was taken of what had been set aside.
    pub(super) fn settle(&self, most: Usage, taken: Usage) {
        let mut state = self.lock();
        state.aside = state.aside.minus(most);
        state.spent = state.spent.plus(taken);
        state.open -= 1;
        drop(state);
        self.settled.notify_all();
    }

    /// What was spent.
    pub(super) fn spent(&self) -> Usage {
        self.lock().spent
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(prompt: u64, completion: u64) -> Usage {
        Usage { prompt, completion }
    }

    #[test]
    fn a_budget_is_never_passed_and_what_is_left_over_goes_back() {
        let budget = Budget {
            tokens: Some(100),
            ..Budget::default()
        };
        let ledger = Ledger::new(budget);
        assert!(ledger.reserve(usage(10, 50)));
        ledger.settle(usage(10, 50), usage(8, 12));
        assert!(ledger.reserve(usage(10, 70)));
        ledger.settle(usage(10, 70), usage(10, 70));
        assert!(!ledger.reserve(usage(1, 0)));
        assert_eq!(ledger.spent(), usage(18, 82));
    }

    #[test]
    fn a_request_waits_for_what_another_may_leave() {
        let ledger = Ledger::new(Budget {
            tokens: Some(100),
            ..Budget::default()
        });
        assert!(ledger.reserve(usage(0, 80)));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| ledger.reserve(usage(0, 60)));
            std::thread::sleep(std::time::Duration::from_millis(30));
            assert!(!waiting.is_finished());
            ledger.settle(usage(0, 80), usage(0, 40));
            assert!(waiting.join().unwrap());
        });
        assert!(!std::thread::scope(|scope| {
            let waiting = scope.spawn(|| ledger.reserve(usage(0, 10)));
            ledger.settle(usage(0, 60), usage(0, 60));
            waiting.join().unwrap()
        }));
    }

    #[test]
    fn costs_are_counted_by_the_price() {
        let price = Price {
            prompt: 1.0,
            completion: 4.0,
        };
        assert!((price.of(usage(1_000_000, 500_000)) - 3.0).abs() < 1e-12);
        let ledger = Ledger::new(Budget {
            cost: Some(1.0),
            price,
            ..Budget::default()
        });
        assert!(ledger.reserve(usage(200_000, 200_000)));
        ledger.settle(usage(200_000, 200_000), usage(200_000, 200_000));
        assert!(!ledger.reserve(usage(1, 0)));
    }

    #[test]
    fn budgets_that_cannot_be_kept_are_refused() {
        for budget in [
            Budget {
                cost: Some(1.0),
                ..Budget::default()
            },
            Budget {
                cost: Some(f64::NAN),
                price: Price {
                    prompt: 1.0,
                    completion: 1.0,
                },
                ..Budget::default()
            },
            Budget {
                price: Price {
                    prompt: -1.0,
                    completion: 1.0,
                },
                ..Budget::default()
            },
        ] {
            assert_eq!(budget.check().unwrap_err().kind(), "setting");
        }
        assert!(Budget::default().check().is_ok());
    }
}

//! When to ask, and when to ask again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::ask::Refusal;

/// How often a service may be asked. Requests are spread evenly over the minute, so the rate is never passed for a
/// shorter while either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Requests per minute; no limit by default.
    pub requests: Option<u32>,
    /// Tokens per minute, each request counted with the longest answer it may have, as services do; no limit by
    /// default.
    pub tokens: Option<u32>,
}

/// How a request that had no answer is repeated.
///
/// The wait before try n + 1 is `first` · 2ⁿ⁻¹, at most `longest`, times a factor between ½ and 1 that the seed, the
/// request and n decide: threads that failed together do not come back together, and a run is the same every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How many times a request is sent at most; 6 by default.
    pub tries: u32,
    /// The first wait; a second by default.
    pub first: Duration,
    /// The longest wait, also for a service that asks for one; a minute by default. If it asks for more, the request
    /// fails.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 6,
            first: Duration::from_secs(1),
            longest: Duration::from_mins(1),
        }
    }
}

impl Retry {
    /// Asks until there is an answer, as long as it is of use to ask again; at least once.
    ///
    /// # Arguments
    /// - `request`: a number of the request, such as its hash, by which its waits differ from those of others
    ///
    /// # Errors
    ///
    /// The last refusal, which says how many times the request was sent.
    pub fn repeat<T>(
        &self,
        request: u128,
        mut ask: impl FnMut() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut tried = 0;
        loop {
            tried += 1;
            let refusal = match ask() {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            match self.pause(&refusal, 0, request, tried) {
                Ok(wait) => std::thread::sleep(wait),
                Err(message) => return Err(refusal.saying(message)),
            }
        }
    }

    /// How long to wait until a request is sent again that was refused at try number `tried`, from 1; or the message of
    /// the failure, if it is not.
    pub(super) fn pause(
        &self,
        refusal: &Refusal,
        seed: u64,
        request: u128,
        tried: u32,
    ) -> Result<Duration, String> {
        let message = refusal.message();
        if !refusal.is_passing() || tried >= self.tries {
            return Err(format!("{message} (try {tried})"));
        }
        let wait = self.wait(seed, request, tried);
        match refusal {
            Refusal::Busy {
                after: Some(after), ..
            } if *after > self.longest => {
                let seconds = after.as_secs();
                Err(format!(
                    "{message} (asks for a wait of {seconds} s, longer than allowed)"
                ))
            }
            Refusal::Busy {
                after: Some(after), ..
            } => Ok(wait.max(*after)),
            _ => Ok(wait),
        }
    }

    /// How long to wait after try number `tried`, from 1.
    fn wait(&self, seed: u64, request: u128, tried: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(tried.saturating_sub(1));
        let full = self.first.saturating_mul(doubled).min(self.longest);
        let site = [request.to_le_bytes().as_slice(), &tried.to_le_bytes()].concat();
        let chance = (xxh3_64_with_seed(&site, seed) >> 11) as f64 / (1_u64 << 53) as f64;
        full.mul_f64(0.5 + 0.5 * chance)
    }
}

/// Keeps the rates, for all threads of a run.
#[derive(Debug)]
pub(super) struct Pace {
    rates: Rates,
    begun: Instant,
    next: Mutex<Next>,
}

/// The earliest times, since the beginning, for another request.
#[derive(Debug, Default)]
struct Next {
    request: Duration,
    tokens: Duration,
    /// The service asked for silence until then.
    held: Duration,
}

impl Pace {
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            rates,
            begun: Instant::now(),
            next: Mutex::new(Next::default()),
        }
    }

    /// Waits until a request of so many tokens may be sent. `false` if the run was stopped meanwhile.
    pub(super) fn admit(&self, tokens: u64, halt: &Halt) -> bool {
        let mut wait = self.reserve(self.begun.elapsed(), tokens);
        loop {
            if !halt.sleep(wait) {
                return false;
            }
            // Another thread may have been told to wait.
            wait = self.lock().held.saturating_sub(self.begun.elapsed());
            if wait.is_zero() {
                return true;
            }
        }
    }

    /// Keeps all threads from asking for a while.
    pub(super) fn hold(&self, wait: Duration) {
        let until = self.begun.elapsed() + wait;
        let mut next = self.lock();
        next.held = next.held.max(until);
    }

    /// How long a request of so many tokens has to wait if it comes at `now`; its place is taken.
    fn reserve(&self, now: Duration, tokens: u64) -> Duration {
        let mut next = self.lock();
        let at = now.max(next.request).max(next.tokens).max(next.held);
        let minute = Duration::from_mins(1);
        if let Some(rate) = self.rates.requests {
            next.request = at + minute / rate.max(1);
        }
        if let Some(rate) = self.rates.tokens {
            next.tokens = at + minute.mul_f64(tokens as f64 / f64::from(rate.max(1)));
        }
        at.saturating_sub(now)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a sleeper does not look whether the run was told to end: a flag cannot wake it.
const BLINK: Duration = Duration::from_millis(100);

/// Whether the run goes on; wakes those that sleep when it does not.
#[derive(Debug, Default)]
pub(super) struct Halt {
    stopped: Mutex<bool>,
    bell: Condvar,
    /// Set from outside to end the run early.
    told: Option<Arc<AtomicBool>>,
}

impl Halt {
    pub(super) fn new(told: Option<Arc<AtomicBool>>) -> Self {
        Self {
            told,
            ..Self::default()
        }
    }

    /// Whether the run was told to end.
    pub(super) fn is_told(&self) -> bool {
        let told = self.told.as_ref();
        told.is_some_and(|told| told.load(Ordering::Relaxed))
    }

    pub(super) fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps. `false` if the run was stopped or told to end.
    pub(super) fn sleep(&self, wait: Duration) -> bool {
        let begun = Instant::now();
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if *stopped || self.is_told() {
                return false;
            }
            let left = wait.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return true;
            }
            let slept = self.bell.wait_timeout(stopped, left.min(BLINK));
            stopped = slept.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_spread_over_the_minute() {
        let pace = Pace::new(Rates {
            requests: Some(60),
            tokens: Some(6_000),
        });
        let second = Duration::from_secs(1);
        assert_eq!(pace.reserve(Duration::ZERO, 100), Duration::ZERO);
        // The next is due after a second by both rates; it has tokens for three.
        assert_eq!(pace.reserve(Duration::ZERO, 300), second);
        assert_eq!(pace.reserve(second, 100), 3 * second);
        // Time that nobody used is not saved up.
        assert_eq!(pace.reserve(100 * second, 100), Duration::ZERO);
        assert_eq!(pace.reserve(100 * second, 100), second);
        let free = Pace::new(Rates::default());
        assert_eq!(free.reserve(Duration::ZERO, u64::MAX), Duration::ZERO);
        assert_eq!(free.reserve(Duration::ZERO, 1), Duration::ZERO);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_the_same_for_a_seed() {
        let retry = Retry::default();
        for (tried, full) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (60, 60)] {
            let wait = retry.wait(5, 77, tried);
            assert_eq!(wait, retry.wait(5, 77, tried));
            let full = Duration::from_secs(full);
            assert!(wait >= full / 2 && wait <= full, "{tried}: {wait:?}");
        }
        assert_ne!(retry.wait(5, 77, 3), retry.wait(5, 78, 3));
        assert_ne!(retry.wait(5, 77, 3), retry.wait(6, 77, 3));
    }

    #[test]
    fn a_stopped_run_does_not_sleep() {
        let halt = Halt::default();
        assert!(halt.sleep(Duration::from_millis(1)));
        halt.stop();
        let begun = Instant::now();
        assert!(!halt.sleep(Duration::from_mins(1)));
        assert!(begun.elapsed() < Duration::from_secs(5) && halt.is_stopped());
    }
}

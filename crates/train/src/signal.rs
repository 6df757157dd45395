//! Signals that end a run: the first one is heard, the second one ends the process.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::{Result, TrainError};

/// One for all runs of the process: a program that is told to end has no next run either.
static FLAG: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);

/// The flag that the first SIGINT, SIGTERM or SIGHUP sets; a second one ends the process. The signals are caught from the
/// first call on.
///
/// # Errors
///
/// [`TrainError::Signal`] if they cannot be caught.
pub fn flag() -> Result<Arc<AtomicBool>> {
    let mut held = FLAG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(flag) = &*held {
        return Ok(flag.clone());
    }
    let flag = Arc::new(AtomicBool::new(false));
    for signal in SIGNALS {
        // In this order: the first signal finds the flag unset and sets it, the second one finds it set and exits, as
        // shells expect, with 128 and the signal's number.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, flag.clone())
            .and_then(|_| signal_hook::flag::register(signal, flag.clone()))
            .map_err(|source| TrainError::Signal { source })?;
    }
    *held = Some(flag.clone());
    Ok(flag)
}

#[cfg(unix)]
const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, signal_hook::consts::SIGHUP];
#[cfg(not(unix))]
const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

//! Parsers from outside, kept in bounds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use super::file::input;
use crate::error::{DataError, Place, Result, escaped};

/// The stack of a parser from outside; its recursion is not ours to bound.
const STACK: usize = 64 << 20;
/// What the thread is called in the message of a panic; `fuzz` knows by it that the panic is caught.
const NAME: &str = "guarded parser";

/// Runs a parser from outside on what stands at a place: a panic becomes an error, and so does one that takes longer than
/// `limit`, whose thread is then left to itself.
pub(super) fn guarded<T: Send + 'static>(
    place: &Place,
    format: &'static str,
    limit: Duration,
    read: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name(NAME.into())
        .stack_size(STACK);
    let spawned = thread.spawn(move || {
        // Who gave up waiting wants no answer.
        let _ = sender.send(catch_unwind(AssertUnwindSafe(read)));
    });
    spawned.map_err(|error| input(&place.path, "start a thread for", error))?;
    let broken = |message: String| DataError::Broken {
        place: place.clone(),
        format,
        message,
        hint: "Repair or convert the file",
    };
    match receiver.recv_timeout(limit) {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(broken(format!(
            "its parser failed ({})",
            escaped(panic_message(panic.as_ref()))
        ))),
        Err(_) => Err(broken(format!(
            "it takes longer than {} s",
            limit.as_secs()
        ))),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsers_are_kept_in_bounds() {
        let place = Place::file("a.x");
        let second = Duration::from_secs(1);
        assert_eq!(guarded(&place, "thing", second, || Ok(1)).unwrap(), 1);
        let panicked = guarded::<()>(&place, "thing", second, || panic!("index {}", 3));
        let message = panicked.unwrap_err().to_string();
        assert!(message.starts_with("a.x: cannot read the thing: its parser failed (index 3)"));
        let slow = guarded(&place, "thing", Duration::from_millis(20), || {
            std::thread::sleep(Duration::from_secs(5));
            Ok(())
        });
        assert!(slow.unwrap_err().to_string().contains("longer than"));
    }
}

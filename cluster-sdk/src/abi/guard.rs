//! Panics stop here: before the boundary, with their message and place.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::Once,
    thread,
};

/// A panic that was caught: what it said, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Panicked(pub(crate) String);

thread_local! {
    /// How many guards this thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// What the last panic under a guard said.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Calls what an author wrote. A panic becomes an error that tells what and where, and is not printed.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    install_hook();
    let _inside = Inside::enter();
    panic::catch_unwind(AssertUnwindSafe(call)).map_err(|payload| Panicked::take(&*payload))
}

/// Calls what the host wrote, on a thread of an instance. A panic of it is not the instance's: it is shown as the host
/// shows its own.
pub(crate) fn outside<T>(call: impl FnOnce() -> T) -> Result<T, ()> {
    let _outside = Inside::leave();
    panic::catch_unwind(AssertUnwindSafe(call)).map_err(|_shown_by_the_hook| ())
}

/// The panic hook is the process's (or, in a shared library, the library's own), so it is wrapped and not replaced:
/// outside of guards everything is as before.
fn install_hook() {
    if thread::panicking() {
        return; // Hooks cannot be changed now; the next call does it.
    }
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if DEPTH.try_with(Cell::get).unwrap_or(0) == 0 {
                previous(info);
            } else {
                note(info);
            }
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("panic without a message");
    let text = match info.location() {
        Some(place) => format!("{message}, at {place}"),
        None => message.to_owned(),
    };
    tracing::error!("panicked: {text}");
    LAST.with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = Some(text);
        }
    });
}

impl Panicked {
    /// The last panic of this thread is the one that was just caught; the payload is for a foreign hook.
    fn take(payload: &(dyn Any + Send)) -> Self {
        let noted = LAST.with(|last| last.try_borrow_mut().ok().and_then(|mut last| last.take()));
        let text = || {
            let text = payload.downcast_ref::<&str>().copied();
            text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).map(str::to_owned)
        };
        Self(noted.or_else(text).unwrap_or_else(|| "panic without a message".to_owned()))
    }
}

/// The depth to go back to.
struct Inside(u32);

impl Inside {
    fn enter() -> Self {
        let depth = DEPTH.get();
        DEPTH.set(depth.saturating_add(1));
        Self(depth)
    }

    fn leave() -> Self {
        Self(DEPTH.replace(0))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a panic carries, its message and place come out; what does not panic is handed through.
    #[test]
    fn panics_become_errors() {
        assert_eq!(guarded(|| 7), Ok(7));
        let message = |call: fn()| guarded(call).unwrap_err().0;
        assert!(message(|| panic!("plain")).starts_with("plain, at cluster-sdk/src/abi/guard.rs:"));
        assert!(message(|| panic!("number {}", 5)).starts_with("number 5, at "));
        assert!(message(|| panic::panic_any(5_u8)).starts_with("panic without a message, at "));
    }
}

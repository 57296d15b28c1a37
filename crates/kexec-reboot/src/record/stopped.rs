//! When services had been stopped: the last moment of a boot at which a record can be
//! written.

use std::io;

use super::Store;
use super::attempt::{Attempt, read_all, write};
use super::boot::ClockReading;

/// Services have been stopped, and the newest request of this boot is about to be carried
/// out. Returns whether there is one.
///
/// # Errors
/// When it cannot be written down.
pub(crate) fn services_stopped(
    store: Store<'_>,
    boot_id: &str,
    now: &ClockReading,
) -> io::Result<bool> {
    let newest = read_all(store)?.into_iter().next();
    let asked = |one: &Attempt| {
        one.boot_id == boot_id && one.outcome.is_none() && !one.preloaded && one.cold.is_none()
    };
    let Some(mut newest) = newest.filter(asked) else {
        return Ok(false);
    };
    newest.stopped = Some(now.clone());
    write(store, &mut newest)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::attempt::testing::attempt;
    use super::*;

    #[test]
    fn services_are_stopped_for_the_newest_request_of_this_boot() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path());
        let now = ClockReading {
            realtime: 1_800_000_000_000,
            uptime: 9_000,
            cycles: None,
        };
        let stopped = |boot: &str| services_stopped(store, boot, &now).unwrap();
        assert!(!stopped("first"));
        write(store, &mut attempt(1_700_000_000_000)).unwrap();
        assert!(!stopped("another"));
        assert!(stopped("first"));
        assert_eq!(read_all(store).unwrap()[0].stopped, Some(now.clone()));
        let mut cold = attempt(1_700_000_000_000);
        cold.cold = Some("it was asked for".into());
        write(store, &mut cold).unwrap();
        assert!(!stopped("first"));
    }
}

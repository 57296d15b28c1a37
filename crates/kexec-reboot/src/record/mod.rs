//! What was loaded, what was asked for, and what became of it.
//!
//! Two things are remembered, both readable for root only, because command
//! lines can hold secrets:
//!
//! * [`loaded`], under /run: what is in the kernel's slots now. The kernel
//!   itself only knows whether something is there. [`slot`] changes both in an order
//!   in which a program may die at any step, under one [`lock`].
//! * [`attempt`], under /var/lib/kexec: every kexec that was asked for, so that
//!   the next boot can tell whether it came about. The next command line
//!   carries a [`Token`] by which that boot is recognised.
//!
//! ```text
//! Attempt (asked for) ──next boot: BootFacts──▶ judge ──▶ Outcome, written down by settle
//! ```

pub mod attempt;
pub mod boot;
#[cfg(test)]
mod faults;
pub mod files;
mod fingerprint;
mod init_times;
pub mod loaded;
pub mod lock;
pub mod oneshot;
mod options;
pub mod outcome;
mod preloaded;
pub mod rates;
pub mod settle;
pub mod slot;
mod stopped;

pub use attempt::Attempt;
pub use boot::BootFacts;
pub use files::Store;
pub use fingerprint::{FileRole, FileStamp, Fingerprint};
pub use init_times::InitTimes;
pub use loaded::LoadRecord;
pub use lock::Lock;
pub use options::RecordedOptions;
pub use outcome::{Outcome, judge};
pub use preloaded::{PreloadTarget, Preloaded};
pub use rates::MeasuredRates;
pub use slot::{SlotContent, look};
pub(crate) use stopped::services_stopped;

use kexec_plan::Token;

/// A token that no other attempt has.
///
/// # Errors
/// When the kernel has no random numbers to give.
pub fn new_token() -> Result<Token, kexec_sys::Errno> {
    let mut bytes = [0; Token::LEN];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(Token::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::{Attempt, LoadRecord, new_token};

    /// A seed that is no record teaches the fuzzer nothing.
    #[test]
    fn the_seeds_of_the_fuzzer_are_records() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds");
        let texts = |target: &str| -> Vec<Vec<u8>> {
            let folder = std::fs::read_dir(format!("{seeds}/{target}")).unwrap();
            let files = folder.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
            files.collect()
        };
        let (attempts, records) = (texts("attempt_record"), texts("loaded_record"));
        assert!(attempts.len() > 3 && records.len() > 2);
        for text in attempts {
            Attempt::parse(&text).unwrap();
        }
        for text in records {
            LoadRecord::parse(&text).unwrap();
        }
    }

    #[test]
    fn two_tokens_are_different() {
        assert_ne!(new_token().unwrap(), new_token().unwrap());
    }
}

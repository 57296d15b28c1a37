//! What follows `kexec crash`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use kexec_cli::vmcore_dmesg::{self, LogRequest};
use kexec_plan::{Cmdline, SyscallChoice};
use kexec_reboot::steps::Selection;
use kexec_sys::Slot;

use super::kexec_tools::{chosen, load_request};
use crate::args::crash_verb::{COMMANDS, CrashAction, CrashCommand};
use crate::args::typed::{Typed, printable};
use crate::args::{Id, Verb, flags_of, listed, similar};

/// A subcommand of `kexec crash`, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrashRequest {
    /// Load a crash kernel.
    Load {
        /// What is loaded; without a name it is the running kernel.
        selection: Selection,
        /// Only show what would be done.
        dry_run: bool,
        /// As JSON.
        json: bool,
        /// For kexec-crash.service.
        by_unit: bool,
    },
    /// Whether one is loaded and ready.
    Status {
        /// Show every sysctl.
        debug: bool,
        /// As JSON.
        json: bool,
    },
    /// Unload it.
    Unload {
        /// With which system call.
        syscall: SyscallChoice,
        /// As JSON.
        json: bool,
    },
    /// How much memory it needs.
    Estimate {
        /// Which kernel; without a name it is the running one.
        selection: Selection,
        /// As JSON.
        json: bool,
    },
    /// Return what it does not need.
    Shrink {
        /// The new size in bytes; `None` is what the estimate needs.
        size: Option<u64>,
        /// Only show what would be done.
        dry_run: bool,
        /// As JSON.
        json: bool,
    },
    /// Print the log of a dump.
    Dmesg(LogRequest),
}

/// Understands the operands and options of `kexec crash`.
///
/// # Errors
/// What is wrong with them.
pub(super) fn parse(typed: &Typed) -> Result<CrashRequest, String> {
    let command = command(typed)?;
    if let Some(flag) = flags_of(Verb::Crash)
        .into_iter()
        .find(|flag| typed.has(flag.id) && !command.has(flag.id))
    {
        return Err(command.refusal(flag));
    }
    let operand = typed.operands.get(1);
    let most = match command.action {
        CrashAction::Dmesg => usize::MAX,
        _ => usize::from(!command.operand.is_empty()),
    };
    if let Some(extra) = typed.operands.iter().skip(1).nth(most) {
        return Err(format!(
            "crash {} does not take {}: {}",
            command.name,
            printable(extra),
            command.synopsis()
        ));
    }
    let has_default = command.action != CrashAction::Dmesg;
    if has_default && operand.is_some_and(|operand| operand.is_empty()) {
        // A variable of a script that is not set must not be the running kernel.
        return Err(format!(
            "the name is empty: {} without it takes the default",
            command.name
        ));
    }
    let json = typed.has(Id::Json);
    let dry_run = typed.has(Id::DryRun);
    Ok(match command.action {
        CrashAction::Load => CrashRequest::Load {
            selection: selection(typed, operand),
            dry_run,
            json,
            by_unit: typed.has(Id::ByUnit),
        },
        CrashAction::Status => CrashRequest::Status {
            debug: typed.has(Id::Debug),
            json,
        },
        CrashAction::Unload => CrashRequest::Unload {
            syscall: chosen(typed).unwrap_or_default(),
            json,
        },
        CrashAction::Estimate => CrashRequest::Estimate {
            selection: selection(typed, operand),
            json,
        },
        CrashAction::Shrink => CrashRequest::Shrink {
            size: operand.map(size).transpose()?,
            dry_run,
            json,
        },
        CrashAction::Dmesg => CrashRequest::Dmesg(dmesg(typed)?),
    })
}

/// Which log, and how it is shown.
fn dmesg(typed: &Typed) -> Result<LogRequest, String> {
    let options = typed.options.iter();
    let options = options.map(|(flag, value)| (flag.id, value.clone().unwrap_or_default()));
    let dumps = typed.operands.get(1..).unwrap_or_default();
    vmcore_dmesg::log(&options.collect::<Vec<_>>(), dumps)
}

/// Which subcommand it is.
fn command(typed: &Typed) -> Result<&'static CrashCommand, String> {
    let names = || COMMANDS.iter().map(|row| row.name);
    let Some(word) = typed.operands.first() else {
        let names: Vec<&str> = names().collect();
        return Err(format!("say what to do: {}", listed(&names, "or")));
    };
    CrashCommand::named(word.as_bytes()).ok_or_else(|| unknown(word))
}

/// What is said of a word that is no subcommand.
pub(super) fn unknown(word: &OsStr) -> String {
    let elsewhere = match word.as_bytes() {
        b"enable" => vec!["kexec enable crash"],
        b"disable" => vec!["kexec disable crash"],
        b"check" | b"test" => vec!["kexec check -p"],
        b"log" | b"vmcore-dmesg" => vec!["kexec crash dmesg"],
        _ => similar(word.as_bytes(), COMMANDS.iter().map(|row| row.name)),
    };
    let mean = match elsewhere.is_empty() {
        true => String::new(),
        false => format!("; did you mean {}?", listed(&elsewhere, "or")),
    };
    format!("there is no command crash {}{mean}", printable(word))
}

/// What is loaded into the crash slot.
fn selection(typed: &Typed, operand: Option<&OsString>) -> Selection {
    let name = operand.cloned();
    let kernel = name.clone().unwrap_or_default();
    Selection {
        load: load_request(typed, &kernel, Slot::Crash, SyscallChoice::Auto),
        cmdline: typed
            .last(Id::Cmdline)
            .map(|text| Cmdline::exact(text.as_bytes())),
        allow_passphrase: false,
        this_machine: false,
        name,
    }
}

/// A number of bytes with K, M or G behind it, as `crashkernel=` has it.
fn size(text: &OsString) -> Result<u64, String> {
    let wrong = || {
        format!(
            "{}: not a size; give a number of bytes, or one with K, M or G, such as 192M",
            printable(text)
        )
    };
    let word = text.to_str().ok_or_else(wrong)?;
    let (digits, shift) = match word.as_bytes().last() {
        Some(b'K' | b'k') => (word.get(..word.len() - 1), 10_u32),
        Some(b'M' | b'm') => (word.get(..word.len() - 1), 20),
        Some(b'G' | b'g') => (word.get(..word.len() - 1), 30),
        _ => (Some(word), 0),
    };
    let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let number: u64 = digits.and_then(|d| d.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_kernel() {
        let of = |text: &str| size(&OsString::from(text)).ok();
        assert_eq!(of("192M"), Some(192 << 20));
        assert_eq!(of("1g"), Some(1 << 30));
        assert_eq!(of("512K"), Some(512 << 10));
        assert_eq!(of("4096"), Some(4096));
        for wrong in [
            "",
            "M",
            "-1",
            "+1M",
            "1MM",
            "99999999999999999999",
            "17179869184G",
            "1.5G",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}

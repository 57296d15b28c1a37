//! What can be wrong with a dump.

use std::io;

/// What was looked for, what was found, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum VmcoreError {
    /// It is another kind of file.
    #[error(
        "{found}, expected an ELF core file, such as /proc/vmcore or a copy of it, or a dump that \
         makedumpfile or QEMU wrote; {remedy}"
    )]
    NotADump {
        /// What it is.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Its headers contradict themselves or the file.
    #[error(
        "{what} at byte {at}: {found}; the file was not copied whole, or is damaged: copy it again"
    )]
    Headers {
        /// The header that is wrong.
        what: &'static str,
        /// Where it is in the file.
        at: u64,
        /// What is wrong with it.
        found: String,
    },
    /// It does not describe itself.
    #[error(
        "no VMCOREINFO in its headers ({found}) or in its memory: without it the place of the log \
         is unknown; a dump from QEMU has it when the guest had `-device vmcoreinfo` and the \
         module qemu_fw_cfg"
    )]
    NoVmcoreinfo {
        /// What was found instead.
        found: String,
    },
    /// A part of memory is not in the dump.
    #[error(
        "{what} at virtual address {address:#x}: the dump does not hold that memory; it was \
         filtered too much, or not copied whole"
    )]
    NotInDump {
        /// What is there.
        what: &'static str,
        /// The virtual address that was looked up.
        address: u64,
    },
    /// A part of memory was left out of the dump on purpose.
    #[error(
        "{what} at virtual address {address:#x}: that page was left out of the dump; use a lower \
         dump level (`makedumpfile -d`), or a makedumpfile that supports the crashed kernel"
    )]
    Excluded {
        /// What is there.
        what: &'static str,
        /// The virtual address that was looked up.
        address: u64,
    },
    /// The dump holds a page that cannot be read back.
    #[error(
        "{what} is in the page at physical address {paddr:#x}, which {found}; copy the dump again"
    )]
    Page {
        /// What is there.
        what: &'static str,
        /// Where the page was in the crashed machine's memory.
        paddr: u64,
        /// What is wrong with it.
        found: String,
    },
    /// The file ends before the memory that its headers promise.
    #[error(
        "{what} is at byte {at} of the dump, which ends at byte {len}: it was not copied whole; \
         copy it again"
    )]
    CutShort {
        /// What is there.
        what: &'static str,
        /// Where it is in the file.
        at: u64,
        /// How long the file is.
        len: u64,
    },
    /// The system could not read the dump.
    #[error("reading {wanted} bytes at byte {at} of the dump: {source}")]
    Read {
        /// The offset in the dump.
        at: u64,
        /// How many bytes were asked for.
        wanted: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The description lacks something, or cannot be true.
    #[error(
        "VMCOREINFO: {key} {found}: this program does not support the log format of that \
             kernel"
    )]
    Vmcoreinfo {
        /// The key, such as `SYMBOL(prb)`.
        key: String,
        /// What was found.
        found: String,
    },
}

//! What the caller can ask of a classic load.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Cmdline;
use crate::crash::CoreClass;
use crate::memory::Search;

/// How the purgatory checks what was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// CRC-32C.
    #[default]
    Crc32c,
    /// SHA-256.
    Sha256,
    /// Not at all (`-i`).
    None,
}

/// What an ELF file that is neither Linux nor multiboot is given
/// (`--args-linux`, `--args-elf`, `--args-none`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ElfArgs {
    /// What the file is decides: `boot_params` for Linux, nothing for others.
    #[default]
    Auto,
    /// `boot_params`, whatever the file is.
    Linux,
    /// ELF boot notes.
    ElfNotes,
    /// The program gets none.
    None,
}

/// A multiboot module (`--module`).
#[derive(Debug, Clone)]
pub struct Module {
    /// The path of its file.
    pub path: String,
    /// What the kernel is told of it: path and arguments.
    pub string: Cmdline,
    /// All of it.
    pub bytes: Bytes,
}

/// What the caller can ask of a classic load. Files that belong to it are in
/// [`super::ClassicRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ClassicOptions {
    /// `--type`: what the kernel must be, by kexec-tools' name for it.
    pub kernel_type: Option<String>,
    /// `--mem-min`: no segment below this address.
    pub mem_min: Option<u64>,
    /// `--mem-max`: no segment above this address, the last one that is
    /// allowed.
    pub mem_max: Option<u64>,
    /// `--entry`: jump there instead of to the kernel's own entry point.
    pub entry: Option<u64>,
    /// `--noefi`: the next kernel does not get the EFI runtime services.
    pub no_efi: bool,
    /// `--reuse-video-type`: hand the screen on as the first kernel found it,
    /// whoever drives it now.
    pub reuse_video_type: bool,
    /// `--entry-32bit`: start a bzImage at its 32-bit entry point.
    pub entry_32bit: bool,
    /// `--real-mode`.
    pub real_mode: bool,
    /// `--args-linux`, `--args-elf`, `--args-none`.
    pub elf_args: ElfArgs,
    /// `--integrity`, `-i`.
    pub integrity: Integrity,
    /// `--load-preserve-context`.
    pub preserve_context: bool,
    /// Which end of memory is tried first.
    pub search: Search,
    /// `--elf32-core-headers`, `--elf64-core-headers`: of a crash kernel; `None` is ELF64.
    pub core_class: Option<CoreClass>,
    /// `--hotplug`: the running kernel follows changes of processors and memory itself,
    /// after it has loaded a crash kernel.
    pub hotplug: bool,
    /// `--pass-memmap-cmdline`: a crash kernel is told of its memory on its command line,
    /// too.
    pub pass_memmap: bool,
}

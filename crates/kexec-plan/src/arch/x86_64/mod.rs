//! x86_64: Linux by its 64-bit and 32-bit entry points, vmlinux, multiboot 1
//! and 2, plain ELF.
//!
//! | file | what |
//! |---|---|
//! | `layout.rs` | documented numbers and offsets only |
//! | `plan.rs` | which way a kernel is started, and where its parts go |
//! | `types.rs` | what `--type` demands |
//! | `linux.rs` | bzImage and vmlinux |
//! | `unpacked.rs` | the kernel out of a bzImage, without the program that unpacks it |
//! | `kaslr.rs` | places at random, for that one |
//! | `params.rs` | `boot_params` with everything it points to |
//! | `crash.rs` | what a crash kernel is told besides |
//! | `boot_map.rs` | the memory that the running kernel was started with |
//! | `setup_data.rs` `efi.rs` `video.rs` | parts of that |
//! | `multiboot.rs` | multiboot kernels and plain ELF files |
//! | `four_level.rs` | out of five-level paging |
//! | `paging.rs` | which kernels come out of five-level paging by themselves |
//! | `page_tables.rs` | tables that map one to one |
//! | `jump_back.rs` | into the kernel before this one |
//! | `mbi.rs` `elf_notes.rs` | what those are told |

mod boot_map;
mod crash;
mod efi;
mod elf_notes;
mod four_level;
mod jump_back;
pub mod kaslr;
pub mod layout;
mod linux;
mod mbi;
mod multiboot;
mod page_tables;
pub mod paging;
mod params;
mod plan;
mod setup_data;
mod types;
mod unpacked;
mod video;

pub(crate) use boot_map::boot_map;
pub(crate) use jump_back::jump_back;
pub(crate) use plan::plan;

use crate::classic::{Display, Screen};

/// What the next kernel is told of the screen.
pub(crate) fn screen(running: Option<&[u8]>, display: &Display, reuse: bool) -> Screen {
    video::video(running, display, reuse).outcome
}

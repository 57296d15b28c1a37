//! `loaded-command-line`: for the lab's guests. Prints the command line of the crash kernel
//! that is loaded, as it is in the memory that is reserved for it; one line for each
//! `boot_params` there. What an earlier image left where the loaded one has nothing is among
//! them.

use anyhow::Result;
use kexec_image::fields::u32_at;
use kexec_lab::reserved::{PAGE, ReservedMemory};

/// Offsets in `struct boot_params`: the magic number of the header, and the address of the
/// command line with its upper half (Documentation/arch/x86/boot.rst, "header" and
/// "cmd_line_ptr"; zero-page.rst, "ext_cmd_line_ptr").
const HEADER: usize = 0x202;
const CMD_LINE_PTR: usize = 0x228;
const EXT_CMD_LINE_PTR: usize = 0xc8;

fn main() -> Result<()> {
    let memory = ReservedMemory::open()?;
    for at in memory.pages(|page| page.get(HEADER..).is_some_and(|p| p.starts_with(b"HdrS")))? {
        let mut page = vec![0; PAGE];
        memory.read(at, &mut page)?;
        let half = |at| u32_at(&page, at).map_or(0, u64::from);
        let line = half(EXT_CMD_LINE_PTR) << 32 | half(CMD_LINE_PTR);
        // The file of a kernel has such a page, too, without a command line.
        if !memory.contains(line) || memory.read(line, &mut page).is_err() {
            continue;
        }
        let end = page.iter().position(|byte| *byte == 0).unwrap_or(PAGE);
        let text = page.get(..end).unwrap_or_default();
        println!("{}", String::from_utf8_lossy(text));
    }
    Ok(())
}

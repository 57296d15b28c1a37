//! Loads with `kexec_load(2)`: our own places, boot_params and purgatory, booted.

use anyhow::{Context, Result, ensure};
use kexec_image::testing::PeBuilder;
use kexec_image::testing::codec::COMPRESSORS;
use kexec_image::{Kernel, Options, recognise};
use vm::{Firmware, Guest, Lab, MemoryRange, Next, Outcome};

const CONSOLE: &str = "console=ttyS0 panic=-1";

/// The machine of the second kernel must be the machine of the first one.
fn same_machine(outcome: &Outcome) -> Result<()> {
    let (one, two) = (
        &outcome.stage("first")?.report,
        &outcome.stage("second")?.report,
    );
    assert_eq!(one.cpus, two.cpus, "processors");
    // Tables of the EFI firmware that look like free memory to a kernel started by
    // kexec are kept from it; everything else is as the firmware said.
    let is_ram = |m: &&MemoryRange| m.kind == "System RAM";
    for range in one.memmap.iter().filter(|m| !is_ram(m)) {
        ensure!(two.memmap.contains(range), "{range:?} is gone");
    }
    let ram = |map: &[MemoryRange]| -> u64 {
        let ranges = map.iter().filter(is_ram);
        ranges.map(|m| m.end - m.start + 1).sum()
    };
    let kept = ram(&one.memmap).checked_sub(ram(&two.memmap));
    let kept = kept.context("the second kernel has more memory")?;
    ensure!(kept < 1 << 20, "{kept} bytes of memory are gone");
    if one.efi_runtime_map.is_empty() {
        assert_eq!(one.memmap, two.memmap, "firmware memory map");
    }
    assert_eq!(one.acpi, two.acpi, "ACPI tables");
    assert_eq!(one.efi_runtime_map, two.efi_runtime_map, "EFI runtime map");
    Ok(())
}

/// `kexec -c -l` and `kexec -e` from one kernel into another.
fn cycle(first: &str, second: &str, firmware: Firmware, cpus: u32, append: &str) -> Result<()> {
    let lab = Lab::open()?;
    let (first, second) = (lab.kernel(first)?, lab.kernel(second)?);
    let line = format!("{CONSOLE} {append}");
    let outcome = Guest::new(&lab, &first)
        .firmware(firmware)
        .cpus(cpus)
        .with(&lab.product()?.files)
        .next(Next::new(&second))
        .script(&format!(
            "run load kexec -c -l $NEXT --initrd $NEXT_INITRD --append '{line}'\n\
             run status kexec status\n\
             jump kexec -e\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    let load = one.run("load")?;
    assert_eq!((load.code, load.err().as_str()), (0, ""));
    ensure!(
        one.run("status")?
            .out()
            .contains("kexec_load: -c asks for it")
    );
    let two = &outcome.stage("second")?.report;
    assert_eq!(two.release, second.release);
    assert_eq!(two.command_line(), line);
    same_machine(&outcome)
}

macro_rules! cycles {
    ($($name:ident: $first:literal => $second:literal, $firmware:ident, $cpus:literal, $append:literal;)*) => {
        $(
            #[test]
            fn $name() -> Result<()> {
                cycle($first, $second, Firmware::$firmware, $cpus, $append)
            }
        )*
    };
}

cycles! {
    from_6_12_to_itself_seabios: "6.12" => "6.12", SeaBios, 1, "nokaslr";
    from_6_1_to_6_12_ovmf: "6.1" => "6.12", Ovmf, 2, "kaslr";
    from_6_12_to_7_ovmf: "6.12" => "7.x", Ovmf, 4, "kaslr";
    from_7_to_6_1_seabios: "7.x" => "6.1", SeaBios, 2, "kaslr";
    from_7_to_itself_ovmf: "7.x" => "7.x", Ovmf, 1, "nokaslr";
}

/// Boots what `make` makes of a kernel, with these words for the first kernel and
/// these options of `kexec`.
fn boots(
    label: &str,
    append: &str,
    options: &str,
    make: fn(&[u8]) -> Result<Vec<u8>>,
) -> Result<Outcome> {
    let lab = Lab::open()?;
    let second = lab.kernel(label)?;
    let file = make(&std::fs::read(&second.path)?)?;
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .memory_mb(1536)
        .append(append)
        .with(&lab.product()?.files)
        .file("image", file)
        .next(Next::new(&second))
        .script(&format!(
            "run flags grep -m 1 ^flags /proc/cpuinfo\n\
             run load kexec -l /image --initrd $NEXT_INITRD --append '{CONSOLE}' {options}\n\
             run status kexec status\n\
             jump kexec -e\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    assert_eq!(one.run("load")?.err(), "");
    ensure!(one.run("status")?.out().contains("kexec_load:"));
    let two = &outcome.stage("second")?.report;
    assert_eq!(two.release, second.release);
    assert_eq!(two.command_line(), CONSOLE);
    same_machine(&outcome)?;
    Ok(outcome)
}

/// The kernel inside of a bzImage, as its build made it: an ELF file.
fn vmlinux(bzimage: &[u8]) -> Result<Vec<u8>> {
    let image = recognise(bzimage.to_vec().into(), &Options::default())?;
    let Kernel::BzImage(kernel) = &image.kernel else {
        anyhow::bail!("not a bzImage");
    };
    let inner = kernel.unpack(&image.bytes, 1 << 30)?;
    Ok(inner.context("no payload")?.bytes)
}

/// The processor of the lab has five-level paging, and so has the first kernel.
const FIVE_LEVEL: &str = "";
/// The first kernel stays with four levels.
const FOUR_LEVEL: &str = "no5lvl";

macro_rules! vmlinux_under_five_level_paging {
    ($($name:ident: $label:literal;)*) => {
        $(
            #[test]
            fn $name() -> Result<()> {
                let outcome = boots($label, FIVE_LEVEL, "", vmlinux)?;
                ensure!(one_uses_five_levels(&outcome)?);
                Ok(())
            }
        )*
    };
}

vmlinux_under_five_level_paging! {
    vmlinux_of_6_1_under_five_level_paging: "6.1";
    vmlinux_of_6_12_under_five_level_paging: "6.12";
    vmlinux_of_7_under_five_level_paging: "7.x";
}

/// What the first kernel's own /proc/cpuinfo says.
fn one_uses_five_levels(outcome: &Outcome) -> Result<bool> {
    let first = outcome.stage("first")?;
    Ok(first
        .run("flags")?
        .out()
        .split_whitespace()
        .any(|f| f == "la57"))
}

/// Without the name of the symbol that says so, a kernel may be one that
/// triple-faults when it is entered with five levels.
#[test]
fn vmlinux_that_does_not_show_that_it_takes_five_levels_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    let mut image = vmlinux(&std::fs::read(&lab.kernel("6.12")?.path)?)?;
    let name = b"\0ptrs_per_p4d\0";
    let at = image.windows(name.len()).position(|w| w == name);
    let at = at.context("the kernel exports no such symbol")?;
    image[at + 1] = b'x';
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .memory_mb(1536)
        .with(&lab.product()?.files)
        .file("image", image)
        .script("run load kexec -l /image\nrun loaded kexec -S -l\n")
        .run()?;
    let one = outcome.stage("first")?;
    assert_eq!(one.run("load")?.code, 255);
    ensure!(one.run("load")?.err().contains("five-level paging"));
    assert_eq!(one.run("loaded")?.code, 0);
    Ok(())
}

/// By default the call that takes the format is chosen; kexec-tools needs
/// `-c --args-linux`.
#[test]
fn vmlinux_needs_no_options() -> Result<()> {
    boots("6.12", FOUR_LEVEL, "", vmlinux).map(drop)
}

#[test]
fn vmlinux_of_7_in_gzip() -> Result<()> {
    boots("7.x", FOUR_LEVEL, "-c --args-linux", |kernel| {
        let gzip = COMPRESSORS.iter().find(|c| c.name == "gzip");
        Ok((gzip.context("no gzip")?.compress)(&vmlinux(kernel)?))
    })
    .map(drop)
}

#[test]
fn bzimage_at_its_32_bit_entry() -> Result<()> {
    boots("6.1", FIVE_LEVEL, "--entry-32bit", |kernel| {
        Ok(kernel.to_vec())
    })
    .map(drop)
}

/// kexec-tools fails with a UKI and -c.
#[test]
fn uki() -> Result<()> {
    boots("6.1", FIVE_LEVEL, "-c", |kernel| {
        Ok(PeBuilder::new()
            .section(".cmdline", "not this one")
            .section(".linux", kernel)
            .build())
    })
    .map(drop)
}

#[test]
fn sha256_and_no_check() -> Result<()> {
    boots("6.1", FIVE_LEVEL, "-c --integrity sha256", |kernel| {
        Ok(kernel.to_vec())
    })?;
    boots("6.1", FIVE_LEVEL, "-c -i", |kernel| Ok(kernel.to_vec())).map(drop)
}

/// A multiboot kernel (Multiboot Specification 0.6.96) of a few bytes: an ELF
/// file for i386 that writes its message to the first serial port and resets
/// the machine; without the right number in EAX it only resets.
fn multiboot_kernel(message: &str) -> Vec<u8> {
    const BASE: u32 = 0x20_0000;
    const HEADERS: u32 = 52 + 32;
    const CODE: u32 = HEADERS + 12;
    const MAGIC: u32 = 0x1bad_b002;
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
    // Behind the code.
    let text = CODE + 31;
    let mut code = vec![0x3d]; // cmp eax, the number of multiboot loaders
    code.extend(0x2bad_b002u32.to_le_bytes());
    code.extend([0x75, 17]); // jne reset
    code.push(0xbe); // mov esi, text
    code.extend((BASE + text).to_le_bytes());
    code.extend([0x66, 0xba, 0xf8, 0x03]); // mov dx, 0x3f8
    code.extend([0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8]); // write until zero
    code.extend([0xb0, 0xfe, 0xe6, 0x64]); // reset: the keyboard controller
    code.extend([0xf4, 0xeb, 0xfd]); // hlt, for ever
    assert_eq!(code.len(), 31);
    let text_at = usize::try_from(text).unwrap_or_default();
    let len = text + u32::try_from(message.len() + 1).unwrap_or_default();
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend(words(&[0x0003_0002, 1, BASE + CODE, 52, 0, 0]));
    file.extend([52, 0, 32, 0, 1, 0, 40, 0, 0, 0, 0, 0]);
    file.extend(words(&[1, 0, BASE, BASE, len, len, 7, 0x1000]));
    file.extend(words(&[MAGIC, 0, 0u32.wrapping_sub(MAGIC)]));
    file.extend(code);
    assert_eq!(file.len(), text_at);
    file.extend(message.as_bytes());
    file.push(0);
    file
}

/// kexec-tools needs `-c` for it.
#[test]
fn multiboot() -> Result<()> {
    let lab = Lab::open()?;
    let message = "booted by multiboot";
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .with(&lab.product()?.files)
        .file("tiny", multiboot_kernel(&format!("\r\n{message}\r\n")))
        .script("run load kexec -l /tiny --append hello\njump kexec -e\n")
        .observe()?;
    let one = outcome.stage("first")?;
    assert_eq!(one.run("load")?.err(), "");
    ensure!(outcome.console.contains(message), "{}", outcome.tail());
    assert_eq!(outcome.end, vm::End::Reset);
    Ok(())
}

//! Loads with `kexec_load(2)`: our own places, boot_params and purgatory, booted.

mod tiny;

use anyhow::{Context, Result, ensure};
use kexec_image::testing::PeBuilder;
use kexec_image::testing::codec::COMPRESSORS;
use kexec_image::{Kernel, Options, recognise};
use kexec_lab::{Guest, GuestFirmware, GuestRun, Lab, MapChanges, MemmapEntry, NextKernel};

const CONSOLE: &str = "console=ttyS0 panic=-1";

/// The machine of the second kernel must be the machine of the first one.
fn same_machine(outcome: &GuestRun) -> Result<()> {
    let (one, two) = (
        &outcome.stage("first")?.report,
        &outcome.stage("second")?.report,
    );
    assert_eq!(one.cpus, two.cpus, "processors");
    // Tables of the EFI firmware that look like free memory to a kernel started by
    // kexec are kept from it; everything else is as the firmware said.
    let is_ram = |m: &&MemmapEntry| m.kind == "System RAM";
    for range in one.memmap.iter().filter(|m| !is_ram(m)) {
        ensure!(two.memmap.contains(range), "{range:?} is gone");
    }
    let ram = |map: &[MemmapEntry]| -> u64 {
        let ranges = map.iter().filter(is_ram);
        ranges.map(|m| m.end - m.start + 1).sum()
    };
    let kept = ram(&one.memmap).checked_sub(ram(&two.memmap));
    let kept = kept.context("the second kernel has more memory")?;
    ensure!(kept < 1 << 20, "{kept} bytes of memory are gone");
    let changes = MapChanges::between(one, two)?;
    ensure!(changes.are_expected(), "memory map: {changes}");
    if one.efi_runtime_map.is_empty() {
        assert_eq!(one.memmap, two.memmap, "firmware memory map");
    }
    assert_eq!(one.acpi, two.acpi, "ACPI tables");
    assert_eq!(one.efi_runtime_map, two.efi_runtime_map, "EFI runtime map");
    Ok(())
}

/// `kexec -c -l` and `kexec -e` from one kernel into another.
fn cycle(
    first: &str,
    second: &str,
    firmware: GuestFirmware,
    cpus: u32,
    append: &str,
) -> Result<()> {
    let lab = Lab::open()?;
    let (first, second) = (lab.kernel(first)?, lab.kernel(second)?);
    let line = format!("{CONSOLE} {append}");
    let outcome = Guest::new(&lab, &first)
        .firmware(firmware)
        .cpus(cpus)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&second))
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
            .contains("kexec_load: -c was given")
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
                cycle($first, $second, GuestFirmware::$firmware, $cpus, $append)
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
) -> Result<GuestRun> {
    let lab = Lab::open()?;
    let second = lab.kernel(label)?;
    let file = make(&std::fs::read(&second.path)?)?;
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .memory_mb(1536)
        .append(append)
        .with(&lab.product()?.files)
        .file("image", file)
        .next(NextKernel::new(&second))
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
fn one_uses_five_levels(outcome: &GuestRun) -> Result<bool> {
    let first = outcome.stage("first")?;
    Ok(first
        .run("flags")?
        .out()
        .split_whitespace()
        .any(|f| f == "la57"))
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

/// A multiboot kernel (Multiboot Specification 0.6.96) that writes its message to
/// the first serial port and resets the machine; without the right number in
/// EAX it only resets.
fn multiboot_kernel(message: &str) -> Vec<u8> {
    const MAGIC: u32 = 0x1bad_b002;
    let header = [MAGIC, 0, 0u32.wrapping_sub(MAGIC)].map(u32::to_le_bytes);
    let header = header.concat();
    let mut code = vec![0x3d]; // cmp eax, the number of multiboot loaders
    code.extend(0x2bad_b002u32.to_le_bytes());
    code.extend([0x75, 17]); // jne reset
    code.push(0xbe); // mov esi, the message
    code.extend((tiny::code32(&header) + 31).to_le_bytes());
    code.extend(tiny::WRITE);
    code.extend(tiny::RESET);
    assert_eq!(code.len(), 31);
    code.extend(message.bytes().chain([0]));
    tiny::elf32(&header, &code)
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
    assert_eq!(outcome.end, kexec_lab::End::Reset);
    Ok(())
}

/// ELF boot notes, in 64-bit mode at RDI and in 32-bit mode at EBX: a program
/// writes all of them to the first serial port.
#[test]
fn args_elf() -> Result<()> {
    let lab = Lab::open()?;
    let wide = [
        &[0x48, 0x89, 0xfe, 0x8b, 0x4f, 0x04],
        tiny::WRITE_MANY,
        tiny::RESET,
    ];
    let narrow = [
        &[0x89, 0xde, 0x8b, 0x4b, 0x04],
        tiny::WRITE_MANY,
        tiny::RESET,
    ];
    for file in [
        tiny::elf64(&wide.concat()),
        tiny::elf32(&[], &narrow.concat()),
    ] {
        let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
            .with(&lab.product()?.files)
            .file("tiny", file)
            .script(
                "run load kexec -c -l /tiny --args-elf --append 'told by notes'\njump kexec -e\n",
            )
            .observe()?;
        assert_eq!(outcome.stage("first")?.run("load")?.err(), "");
        for text in ["kexec-rs\0", "told by notes\0"] {
            ensure!(outcome.console.contains(text), "{}", outcome.tail());
        }
        assert_eq!(outcome.end, kexec_lab::End::Reset);
    }
    Ok(())
}

/// A device tree, seen by the second kernel among its boot data; and a type that
/// the kernel is not.
#[test]
fn device_tree_and_type() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    // An empty tree: the header, no reservation, the root, the end.
    let words: [u32; 18] = [
        0xd00d_feed,
        72,
        56,
        72,
        40,
        17,
        16,
        0,
        0,
        16,
        0,
        0,
        0,
        0, // header and no reservation
        1,
        0,
        2,
        9, // BEGIN_NODE "", END_NODE, END
    ];
    let tree: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
    let next = NextKernel::new(&kernel).script(
        "for item in /sys/kernel/boot_params/setup_data/*; do\n\
         [ \"$(cat $item/type)\" = 0x2 ] && put_file tree $item/data\n\
         done\n",
    );
    let outcome = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .file("tree.dtb", tree.as_slice())
        .next(next)
        .script(&format!(
            "run other kexec -c -l $NEXT -t multiboot-x86\n\
             run load kexec -c -l $NEXT -t bzImage64 --dtb /tree.dtb --initrd $NEXT_INITRD \
             --append '{CONSOLE}'\n\
             jump kexec -e\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    let other = one.run("other")?;
    assert_eq!(other.code, 255);
    ensure!(
        other.err().contains("of the type bzImage64 and bzImage"),
        "{}",
        other.err()
    );
    assert_eq!(one.run("load")?.err(), "");
    assert_eq!(outcome.stage("second")?.file("tree")?, tree);
    Ok(())
}

/// A verb takes kexec_load where nothing is in its way, says so, and boots; the
/// old spelling does as ever. A process that sees no addresses is told why not.
#[test]
fn verbs_choose_the_shortest_downtime() -> Result<()> {
    let lab = Lab::open()?;
    let second = lab.kernel("6.1")?;
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&second))
        .script(&format!(
            "mount -t securityfs securityfs /sys/kernel/security\nmkdir -p /etc\n\
             echo 'nobody:x:65534:65534::/:/bin/sh' > /etc/passwd\n\
             run hidden start-stop-daemon -S -c 65534:65534 -x /bin/kexec -- plan $NEXT --json\n\
             run old kexec -l -d $NEXT --initrd $NEXT_INITRD --append '{CONSOLE}'\n\
             run load kexec load $NEXT --initrd $NEXT_INITRD --append '{CONSOLE}'\n\
             run status kexec status\n\
             jump kexec -e\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    let fastest = "kexec_load: the shortest downtime";
    for label in ["load", "status"] {
        let said = one.run(label)?.out();
        ensure!(said.contains(fastest), "{label}: {said}");
    }
    ensure!(
        one.run("old")?
            .err()
            .contains("kexec_file_load: the running kernel reads")
    );
    let hidden: serde_json::Value = serde_json::from_slice(&one.run("hidden")?.stdout)?;
    let method = &hidden["method"];
    assert_eq!(method["method"], "file_load");
    ensure!(
        method["reason"].to_string().contains("/proc/iomem"),
        "{method}"
    );
    let two = &outcome.stage("second")?.report;
    assert_eq!(two.release, second.release);
    same_machine(&outcome)
}

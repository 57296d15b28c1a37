//! What the next kernel is told, field by field: `kexec -c` beside `kexec -s`,
//! where the running kernel writes boot_params itself, and beside the real
//! kexec-tools' `-c`; and `kexec -c` with the bzImage beside a kernel that was unpacked
//! before the jump.
//!
//! The same kernel, initrd and command line are loaded in three machines that are
//! the same, and the second kernels' boot_params are compared. Every difference
//! has a row in [`DIFFERENCES`] with its reason; a difference without a row fails,
//! a row without a difference fails too. docs/boot-params.md shows the table.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail, ensure};
use kexec_lab::{Guest, GuestFirmware, GuestRun, Lab, NextKernel, Stage};

mod differences;

use differences::{Against, DIFFERENCES, Difference, Pair};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/boot-params.md");

/// Fields whose value is an address that each loader chooses: compared is
/// whether there is one.
const PLACES: &[&str] = &[
    "cmd_line_ptr",
    "ramdisk_image",
    "setup_data",
    "efi_info.efi_memmap",
];

/// One program does the load; which one is the only difference between the
/// machines, and all of them are in each.
const FIRST: &str = r#"
case $(cat /proc/cmdline) in
*loader=file*) set -- /bin/kexec -s ;;
*loader=ours*) set -- /bin/kexec -c ;;
*loader=tool*) set -- /ref/kexec -c ;;
*loader=fast*) set -- /bin/kexec -c --unpack=always ;;
esac
run load "$@" -l $NEXT --initrd $NEXT_INITRD --append "$CONSOLE"
jump kexec -e
"#;

const SECOND: &str = r#"
cat /proc/iomem | put resources
for file in config_table fw_platform_size fw_vendor runtime systab; do
	[ -r /sys/firmware/efi/$file ] && sed "s/^/$file /" /sys/firmware/efi/$file
done | put efi-tables
"#;

/// The name of what a kernel shows of its memory. Whoever loads another kernel out of
/// another program gets another one; only the kernels of our own two ways are compared.
const RESOURCES: &str = "/proc/iomem";

/// What a second kernel was told and found.
type Fields = BTreeMap<String, String>;

fn load(lab: &Lab, label: &str, firmware: GuestFirmware, loader: &str) -> Result<GuestRun> {
    let kernel = lab.kernel(label)?;
    Guest::new(lab, &kernel)
        .firmware(firmware)
        .append(&format!("loader={loader}"))
        .with(&lab.product()?.files)
        .with(&lab.kexec_tools()?)
        .next(NextKernel::new(&kernel).script(SECOND))
        .script(FIRST)
        .run()
        .with_context(|| format!("kernel {label}, {firmware}, loader {loader}"))
}

fn facts(stage: &Stage) -> Result<Fields> {
    let report = &stage.report;
    let params = report.boot_params()?;
    let mut facts = params.facts();
    for place in PLACES {
        let address = params.number(place)?;
        let in_ram = |m: &kexec_lab::MemmapEntry| {
            m.kind == "System RAM" && m.start <= address && address <= m.end
        };
        ensure!(
            address == 0 || report.memmap.iter().any(in_ram),
            "{place}: {address:#x} is not in memory"
        );
        let there = if address == 0 { "0" } else { "an address" };
        facts.insert((*place).to_owned(), there.to_owned());
    }
    let mut map = report.efi_runtime_map.clone();
    map.sort();
    let acpi = report
        .acpi
        .iter()
        .map(|(path, hash)| format!("{path} {hash}"));
    let tables = stage.files.get("efi-tables").context("no efi-tables")?;
    let resources = stage.files.get("resources").context("no resources")?;
    let more = [
        (RESOURCES, resources_of(&String::from_utf8_lossy(resources))),
        ("EFI runtime map", map.join("\n")),
        ("EFI tables", String::from_utf8_lossy(tables).into_owned()),
        ("ACPI tables", acpi.collect::<Vec<_>>().join("\n")),
        ("command line", report.command_line()),
        ("processors", report.cpus.to_string()),
    ];
    facts.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Ok(facts)
}

/// What /proc/iomem shows, without the places that each load chooses: those of the kernel
/// itself, and of boot_params, at whose ends System RAM is cut in two.
fn resources_of(iomem: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in iomem.lines() {
        if line.contains(" : Kernel ") {
            continue;
        }
        let joined = lines.last().and_then(|last| {
            let (before, name) = last.split_once(" : ")?;
            let (start, end) = before.split_once('-')?;
            let (next, same) = line.split_once(" : ")?;
            let (next, last) = next.split_once('-')?;
            let number = |digits: &str| u64::from_str_radix(digits.trim(), 16).ok();
            let meets = name == same && number(end)?.checked_add(1)? == number(next)?;
            meets.then(|| format!("{start}-{last} : {name}"))
        });
        match joined {
            Some(both) => {
                lines.pop();
                lines.push(both);
            }
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

/// The differences that the table does not have, and its rows that show none.
fn unexplained(
    against: Against,
    label: &str,
    firmware: GuestFirmware,
    theirs: &Fields,
    ours: &Fields,
) -> String {
    let rows: Vec<&Difference> = DIFFERENCES
        .iter()
        .filter(|d| d.is_expected(against, label, firmware))
        .collect();
    let nothing = String::new();
    let mut wrong = String::new();
    let names: std::collections::BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for name in names {
        let value = |facts: &Fields| facts.get(name).unwrap_or(&nothing).clone();
        let pair = Pair {
            theirs: value(theirs),
            ours: value(ours),
            runtime_map: ours.get("EFI runtime map").unwrap_or(&nothing).clone(),
        };
        let row = rows.iter().find(|row| row.field == name);
        let says = match row {
            None if pair.theirs == pair.ours => continue,
            Some(row) if pair.theirs != pair.ours && (row.holds)(&pair) => continue,
            None => "a difference without a reason",
            Some(_) if pair.theirs == pair.ours => "no difference any more, and a reason for one",
            Some(_) => "another difference than the reason says",
        };
        let _ = writeln!(
            wrong,
            "{name}: {says}\n  {against:?}: {}\n  ours: {}",
            pair.theirs, pair.ours
        );
    }
    for row in rows {
        if !theirs.contains_key(row.field) && !ours.contains_key(row.field) {
            let _ = writeln!(wrong, "{}: there is no such field", row.field);
        }
    }
    wrong
}

/// What a kernel was told, without what it made of it.
fn told(fields: &Fields) -> Fields {
    let mut told = fields.clone();
    told.remove(RESOURCES);
    told
}

fn compare(label: &str, firmware: GuestFirmware) -> Result<()> {
    let lab = Lab::open()?;
    if lab.product()?.is_reference {
        return Ok(());
    }
    let mut second = BTreeMap::new();
    let mut first = Vec::new();
    for loader in ["file", "ours", "tool", "fast"] {
        let outcome = load(&lab, label, firmware, loader)?;
        let before = outcome.stage("first")?;
        assert_eq!(before.run("load")?.err(), "", "{loader}");
        first.push((before.report.memmap.clone(), before.report.acpi.clone()));
        second.insert(loader, facts(outcome.stage("second")?)?);
    }
    ensure!(
        first.windows(2).all(|pair| pair.first() == pair.last()),
        "the machines are not the same, so that nothing can be compared"
    );
    let of = |loader| second.get(loader);
    let (Some(file), Some(ours), Some(tool), Some(fast)) =
        (of("file"), of("ours"), of("tool"), of("fast"))
    else {
        bail!("a loader is missing");
    };
    ensure!(file.len() > 80, "only {} fields", file.len());
    let wrong = [
        unexplained(Against::File, label, firmware, &told(file), &told(ours)),
        unexplained(Against::Tools, label, firmware, &told(tool), &told(ours)),
        unexplained(Against::BzImage, label, firmware, ours, fast),
    ]
    .concat();
    ensure!(wrong.is_empty(), "kernel {label}, {firmware}:\n{wrong}");
    Ok(())
}

macro_rules! comparisons {
    ($($(#[$ignored:meta])? $name:ident: $label:literal, $firmware:ident;)*) => {
        $(
            #[test]
            $(#[$ignored])?
            fn $name() -> Result<()> {
                compare($label, GuestFirmware::$firmware)
            }
        )*
    };
}

comparisons! {
    as_the_kernel_6_12_seabios: "6.12", SeaBios;
    #[ignore = "one more pair of kernel and firmware: cargo xtask test --all"]
    as_the_kernel_6_12_ovmf: "6.12", Ovmf;
    #[ignore = "one more pair of kernel and firmware: cargo xtask test --all"]
    as_the_kernel_7_seabios: "7.x", SeaBios;
    as_the_kernel_7_ovmf: "7.x", Ovmf;
}

/// The document has every row, and no other.
#[test]
fn every_difference_is_documented() -> Result<()> {
    let text = std::fs::read_to_string(DOCUMENT)?;
    let documented: Vec<&str> = text.lines().filter(|l| l.starts_with("| `")).collect();
    let expected: Vec<String> = DIFFERENCES.iter().map(Difference::row).collect();
    for row in &expected {
        ensure!(
            documented.contains(&row.as_str()),
            "docs/boot-params.md lacks:\n{row}"
        );
    }
    for row in &documented {
        ensure!(
            expected.iter().any(|e| e == row),
            "docs/boot-params.md has what no test shows:\n{row}"
        );
    }
    Ok(())
}

/// What the comparison itself can tell.
#[test]
fn a_difference_is_found_and_a_stale_reason_too() {
    let facts = |pairs: &[(&str, &str)]| -> Fields {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    };
    let judge = |theirs: &[(&str, &str)], ours: &[(&str, &str)]| {
        let (theirs, ours) = (facts(theirs), facts(ours));
        unexplained(
            Against::File,
            "6.12",
            GuestFirmware::SeaBios,
            &theirs,
            &ours,
        )
    };
    let explained = |theirs: &'static str, ours: &'static str| {
        let mut pair = [vec![], vec![]];
        for row in DIFFERENCES {
            if row.is_expected(Against::File, "6.12", GuestFirmware::SeaBios) {
                pair[0].push((row.field, "0x100000"));
                pair[1].push((row.field, "0x100001"));
            }
        }
        pair[0].push(("pref_address", theirs));
        pair[1].push(("pref_address", ours));
        pair
    };
    let [theirs, ours] = explained("0x1", "0x2");
    let said = judge(&theirs, &ours);
    assert!(
        said.contains("pref_address: a difference without a reason"),
        "{said}"
    );
    let said = judge(&theirs, &theirs);
    assert!(said.contains("alt_mem_k: no difference any more"), "{said}");
    let said = judge(&[], &[]);
    assert!(said.contains("alt_mem_k: there is no such field"), "{said}");
    let said = judge(&[("alt_mem_k", "0x1")], &[("alt_mem_k", "0x9")]);
    assert!(said.contains("alt_mem_k: another difference"), "{said}");
}

//! The screen across `kexec -c`: a second kernel that draws into the firmware's
//! framebuffer from its start, and one that must not.

use anyhow::{Context, Result, ensure};
use kexec_lab::{Guest, GuestFirmware, GuestRun, Lab, LabKernel, NextKernel, Stage};

/// `VIDEO_TYPE_VLFB` and `VIDEO_TYPE_EFI` of `screen_info.orig_video_isVGA`
/// (`linux/screen_info.h`): who set the framebuffer up.
const BY_VESA: u64 = 0x23;
const BY_EFI: u64 = 0x70;

/// Also on the screen, whatever it is.
const LINE: &str = "console=ttyS0 console=tty0 panic=-1";

/// What a kernel says about its screens.
const SCREENS: &str = "put_file fb /proc/fb\ndmesg | put dmesg\n";

/// Loads with -c after `before`, and jumps.
fn script(before: &str) -> String {
    format!(
        "{before}\n{SCREENS}\n\
         run check kexec check -c $NEXT --initrd $NEXT_INITRD\n\
         run load kexec -c -l $NEXT --initrd $NEXT_INITRD --append '{LINE}'\n\
         jump kexec -e\n"
    )
}

/// A machine with QEMU's standard graphics card.
fn guest<'lab>(lab: &'lab Lab, first: &LabKernel, second: &LabKernel) -> Result<Guest<'lab>> {
    Ok(Guest::new(lab, first)
        .with(&lab.product()?.files)
        .qemu_arguments(&["-vga", "std"])
        .next(NextKernel::new(second).script(SCREENS)))
}

fn text(stage: &Stage, file: &str) -> Result<String> {
    let bytes = stage
        .files
        .get(file)
        .with_context(|| format!("no {file}"))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn kind(stage: &Stage) -> Result<u64> {
    let params = stage.report.boot_params()?;
    params.number("screen_info.orig_video_isVGA")
}

/// What the check of the name `screen` said.
fn check(outcome: &GuestRun) -> Result<String> {
    let check = outcome.stage("first")?.run("check")?;
    assert_eq!(check.code, 0, "{}", check.err());
    let out = check.out();
    let about = "console on the screen";
    let at = out.lines().position(|line| line.contains(about));
    let at = at.with_context(|| format!("nothing about the screen in\n{out}"))?;
    let lines: Vec<&str> = out.lines().skip(at).take(4).collect();
    Ok(lines.join(" "))
}

/// The second kernel was told of the same screen as the first one, and its
/// console was there before its user space ran.
fn same_screen(outcome: &GuestRun, by: u64, driver: &str, message: &str) -> Result<()> {
    let (one, two) = (outcome.stage("first")?, outcome.stage("second")?);
    assert_eq!(one.run("load")?.err(), "");
    assert_eq!(kind(one)?, by, "the first kernel has no framebuffer");
    for stage in [one, two] {
        let screens = text(stage, "fb")?;
        assert_eq!(screens.trim(), format!("0 {driver}"), "{}", stage.name);
    }
    let mut screens = Vec::new();
    for stage in [one, two] {
        let mut facts = stage.report.boot_params()?.facts();
        facts.retain(|name, _| name.starts_with("screen_info."));
        // The size of the memory, which the screen has nothing to do with, and
        // where the first loader's command line was.
        facts.remove("screen_info.ext_mem_k");
        facts.remove("screen_info.cl_magic");
        screens.push(facts);
    }
    assert_eq!(screens.first(), screens.last(), "screen_info");
    let said = text(two, "dmesg")?;
    let position = |what: &str| {
        let line = said.lines().position(|line| line.contains(what));
        line.with_context(|| format!("the second kernel did not say {what:?}:\n{said}"))
    };
    let console = position("switching to colour frame buffer device")?;
    ensure!(position(message)? <= console);
    ensure!(console < position("Run /init as init process")?);
    let said = check(outcome)?;
    ensure!(said.contains("the firmware's framebuffer"), "{said}");
    Ok(())
}

fn efifb(first: &str, second: &str) -> Result<()> {
    let lab = Lab::open()?;
    let (first, second) = (lab.kernel(first)?, lab.kernel(second)?);
    let outcome = guest(&lab, &first, &second)?
        .firmware(GuestFirmware::Ovmf)
        .append("console=tty0")
        .script(&script(""))
        .run()?;
    same_screen(&outcome, BY_EFI, "EFI VGA", "efifb: mode is")
}

#[test]
fn efifb_from_6_12_to_7() -> Result<()> {
    efifb("6.12", "7.x")
}

#[test]
fn efifb_from_7_to_6_1() -> Result<()> {
    efifb("7.x", "6.1")
}

/// A mode of the BIOS, set by the first kernel's setup code.
#[test]
fn vesafb() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.generic_kernel()?;
    let outcome = guest(&lab, &kernel, &kernel)?
        .append("console=tty0 vga=0x318")
        .script(&script(""))
        .run()?;
    same_screen(&outcome, BY_VESA, "VESA VGA", "vesafb: mode is")
}

/// The modules of QEMU's standard graphics card, each after those it needs.
const BOCHS: &[&str] = &[
    "drm",
    "drm_kms_helper",
    "ttm/ttm",
    "drm_ttm_helper",
    "drm_vram_helper",
    "tiny/bochs",
];

/// Once a driver of the card itself has it, the firmware's framebuffer is gone:
/// the next kernel must not draw there.
#[test]
fn a_driver_of_the_card_itself() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.generic_kernel()?;
    let mut guest = guest(&lab, &kernel, &kernel)?
        .firmware(GuestFirmware::Ovmf)
        .append("console=tty0");
    let mut before = String::new();
    for module in BOCHS {
        let name = module.rsplit('/').next().unwrap_or(module);
        let file = kernel.module(&format!("kernel/drivers/gpu/drm/{module}.ko"))?;
        guest = guest.file(&format!("{name}.ko"), file);
        before.push_str(&format!("run {name} insmod /{name}.ko\n"));
    }
    let outcome = guest.script(&script(&before)).run()?;
    let (one, two) = (outcome.stage("first")?, outcome.stage("second")?);
    for run in &one.runs {
        assert_eq!(run.err(), "", "{}", run.label);
    }
    assert_eq!(kind(one)?, BY_EFI);
    ensure!(
        text(one, "fb")?.contains("bochs-drm"),
        "{}",
        text(one, "fb")?
    );
    let said = check(&outcome)?;
    ensure!(
        said.contains("bochs") && said.contains("may be gone"),
        "{said}"
    );
    let told = two.report.boot_params()?.screen_info();
    let screen = told
        .iter()
        .enumerate()
        .filter(|(at, _)| !matches!(at, 2 | 3));
    ensure!(
        screen.map(|(_, byte)| byte).all(|byte| *byte == 0),
        "{told:?}"
    );
    assert_eq!(text(two, "fb")?, "");
    Ok(())
}

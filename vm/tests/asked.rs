//! Who asks for the reboot: cells of the README's table, each on an installed
//! system. `cargo xtask table asked` runs all of them and prints the table.

use anyhow::{Context, Result};
use vm::Lab;
use vm::apt::Suite;
use vm::asked::{Cell, Outcome, Seen, Way};
use vm::installed::Layout;

fn run(suite: Suite, layout: Layout, way: Way) -> Result<Seen> {
    let cell = Cell { suite, layout, way };
    let seen = cell.run(&Lab::open()?)?;
    println!("{}: {seen:#?}", cell.name());
    Ok(seen)
}

/// Why the units of the wiki are started by hand in the table: what people type
/// does not get as far as that, on a machine without UEFI. And what becomes of
/// the first of them when it does: nobody says a word, and the firmware runs.
#[test]
fn what_people_do_today_is_refused_and_then_a_cold_boot() -> Result<()> {
    let seen = run(Suite::Trixie, Layout::BiosGrubBoot, Way::WikiStart)?;
    let [typed, started] = seen.answers.as_slice() else {
        anyhow::bail!("expected two answers, found {seen:?}");
    };
    let Outcome::Refused(why) = &typed.outcome else {
        anyhow::bail!("expected a refusal, found {typed:?}");
    };
    assert!(why.contains("No kexec kernel loaded"), "{why}");
    assert_eq!(started.outcome, Outcome::Cold);
    assert_eq!(seen.flaws, Vec::<String>::new());
    Ok(())
}

/// Where systemd reads the boot entries itself, kexec-tools are enough.
#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn systemctl_alone_does_it_with_systemd_boot() -> Result<()> {
    let seen = run(Suite::Trixie, Layout::EfiSystemdBoot, Way::Alone)?;
    let outcome = seen.first().context("nothing was tried")?;
    assert_eq!(outcome, &Outcome::Kexec);
    assert_eq!(seen.flaws, Vec::<String>::new());
    Ok(())
}

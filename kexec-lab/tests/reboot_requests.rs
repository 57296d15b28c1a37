//! Reboots as users request them: cells of the README's table, each on an installed
//! system. `cargo xtask table run` runs all of them and prints the table.

use anyhow::{Context, Result, ensure};
use kexec_lab::Lab;
use kexec_lab::apt::Suite;
use kexec_lab::installed::SystemLayout;
use kexec_lab::reboot_requests::{Cell, Observation, RebootCommand, RebootResult, Setup, cells};

fn run(suite: Suite, layout: SystemLayout, setup: Setup) -> Result<Observation> {
    let cell = Cell {
        suite,
        layout,
        setup,
    };
    let seen = cell.run(&Lab::open()?)?;
    println!("{}: {seen:#?}", cell.name());
    Ok(seen)
}

/// Why the units of the wiki are started by hand in the table: what people type
/// does not get as far as that, on a machine without UEFI. And what becomes of
/// the first of them when it does: nobody says a word, and the firmware runs.
#[test]
fn what_people_do_today_is_refused_and_then_a_cold_boot() -> Result<()> {
    let seen = run(Suite::Trixie, SystemLayout::BiosGrubBoot, Setup::WikiStart)?;
    let [typed, started] = seen.results.as_slice() else {
        anyhow::bail!("expected two results, found {seen:?}");
    };
    let RebootResult::Refused(why) = &typed.result else {
        anyhow::bail!("expected a refusal, found {typed:?}");
    };
    assert!(why.contains("No kexec kernel loaded"), "{why}");
    assert_eq!(started.result, RebootResult::Cold);
    assert_eq!(seen.flaws, Vec::<String>::new());
    Ok(())
}

/// Where systemd reads the boot entries itself, kexec-tools are enough.
#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn systemctl_alone_does_it_with_systemd_boot() -> Result<()> {
    let seen = run(
        Suite::Trixie,
        SystemLayout::EfiSystemdBoot,
        Setup::KexecToolsAlone,
    )?;
    let result = seen.first().context("nothing was tried")?;
    assert_eq!(result, &RebootResult::Kexec);
    assert_eq!(seen.flaws, Vec::<String>::new());
    Ok(())
}

/// Another kernel than the one that runs, without the firmware, with everything
/// stopped and unmounted, and told by `kexec status`.
fn arrives(suite: Suite, layout: SystemLayout, request: RebootCommand) -> Result<()> {
    let seen = run(suite, layout, Setup::KexecRs(request))?;
    ensure!(
        seen.first() == Some(&RebootResult::Kexec) && seen.flaws.is_empty(),
        "{suite} {layout} {request:?}: {seen:?}"
    );
    Ok(())
}

#[test]
fn systemctl_reboot_of_systemd_252_arrives() -> Result<()> {
    let request = RebootCommand::SystemctlReboot;
    arrives(Suite::Bookworm, SystemLayout::EfiSystemdBoot, request)
}

#[test]
fn the_template_arrives_with_a_boot_of_its_own() -> Result<()> {
    arrives(
        Suite::Bookworm,
        SystemLayout::BiosGrubBoot,
        RebootCommand::Template,
    )
}

#[test]
fn shutdown_arrives_with_a_boot_that_is_not_mounted() -> Result<()> {
    arrives(
        Suite::Trixie,
        SystemLayout::BiosGrubNoauto,
        RebootCommand::Shutdown,
    )
}

/// Every cell of this package with this version of systemd; all that do not arrive
/// are told.
fn all_arrive(suite: Suite) -> Result<()> {
    let mut failed = Vec::new();
    for cell in cells().into_iter().filter(|cell| cell.suite == suite) {
        if let Setup::KexecRs(request) = cell.setup
            && let Err(error) = arrives(suite, cell.layout, request)
        {
            failed.push(format!("{error:#}"));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

#[test]
#[ignore = "cells of cargo xtask test --all"]
fn all_arrive_with_systemd_252() -> Result<()> {
    all_arrive(Suite::Bookworm)
}

#[test]
#[ignore = "cells of cargo xtask test --all"]
fn all_arrive_with_systemd_257() -> Result<()> {
    all_arrive(Suite::Trixie)
}

#[test]
#[ignore = "cells of cargo xtask test --all"]
fn all_arrive_with_systemd_262() -> Result<()> {
    all_arrive(Suite::Sid)
}

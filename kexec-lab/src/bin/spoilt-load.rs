//! `spoilt-load KERNEL INITRD COMMAND-LINE INTEGRITY TEXT [crash]`: for the lab's guests.
//!
//! Loads with `kexec_load(2)` as `kexec -c -l` does, or `kexec -c -p`, with one difference: when the
//! purgatory is finished and knows what every segment must hold, the first byte of
//! `TEXT` in the initrd is changed. That is what a damaged memory looks like after
//! the jump.

use anyhow::{Context, Result, bail};
use kexec_load::inputs::Carried;
use kexec_load::request::ClassicLoadOptions;
use kexec_load::{CmdlineChoice, LoadRequest, SyscallChoice, pipeline};
use kexec_machine::Snapshot;
use kexec_plan::classic::{ClassicOptions, Integrity, SegmentKind};
use kexec_plan::{Cmdline, LoadPlan, Piece};
use kexec_sys::{FileFlags, Linux, Slot};
use std::path::Path;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (words, slot) = match words.split_last() {
        Some((last, others)) if last == "crash" => (others, Slot::Crash),
        _ => (words.as_slice(), Slot::Normal),
    };
    let [kernel, initrd, cmdline, integrity, text] = words else {
        bail!("expected KERNEL INITRD COMMAND-LINE INTEGRITY TEXT [crash], found {words:?}");
    };
    let request = LoadRequest {
        initrds: vec![initrd.into()],
        cmdline: CmdlineChoice {
            append: Some(Cmdline::from(cmdline.as_str())),
            ..CmdlineChoice::default()
        },
        slot,
        syscall: SyscallChoice::Classic,
        classic: ClassicLoadOptions {
            options: ClassicOptions {
                integrity: integrity_of(integrity)?,
                ..ClassicOptions::default()
            },
            ..ClassicLoadOptions::default()
        },
        ..LoadRequest::new(kernel)
    };
    let root = Path::new("/");
    let host = Snapshot::read(root);
    let inputs = pipeline::read(&request, None, None)?;
    let inputs = inputs.carrying(Carried::read(root, &request, &host));
    let mut prepared = pipeline::prepare(&request, &inputs, &host)?;
    let plan = prepared.placed.as_mut().context("no plan was made")?;
    spoil(plan, text.as_bytes())?;
    pipeline::load(
        &Linux,
        &request,
        FileFlags::EMPTY,
        &inputs,
        prepared,
        &host,
        &mut |_| Ok(()),
    )?;
    Ok(())
}

fn integrity_of(name: &str) -> Result<Integrity> {
    Ok(match name {
        "crc32c" => Integrity::Crc32c,
        "sha256" => Integrity::Sha256,
        "none" => Integrity::None,
        _ => bail!("expected crc32c, sha256 or none, found {name:?}"),
    })
}

/// Changes the first byte of `text` in the initrd.
fn spoil(plan: &mut LoadPlan, text: &[u8]) -> Result<()> {
    let initrd = plan
        .segments
        .iter_mut()
        .find(|segment| segment.kind == SegmentKind::Initrd)
        .context("the plan has no initrd")?;
    let mut bytes = initrd.bytes().to_vec();
    let at = bytes
        .windows(text.len())
        .position(|window| window == text)
        .context("the text is not in the initrd")?;
    let byte = bytes.get_mut(at).context("the text is empty")?;
    *byte ^= 1;
    initrd.content = vec![Piece {
        origin: "initrd with one wrong byte".to_owned(),
        len: bytes.len(),
        padding: 0,
        bytes: bytes.into(),
    }];
    Ok(())
}

//! `seeded-load KERNEL INITRD COMMAND-LINE SEED`: for the lab's guests.
//!
//! Loads with `kexec_load(2)` as `kexec -c --unpack=always -l` does, but with a seed in
//! place of random numbers, and prints where in physical memory the kernel will be, in
//! hexadecimal.

use anyhow::{Context, Result, bail};
use kexec_load::inputs::Carried;
use kexec_load::request::{Unpack, UnpackChoice};
use kexec_load::{CmdlineChoice, LoadRequest, SyscallChoice, pipeline};
use kexec_machine::Snapshot;
use kexec_plan::Cmdline;
use kexec_plan::classic::{KaslrSeed, SegmentKind};
use kexec_sys::{FileFlags, Linux};
use std::path::Path;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kernel, initrd, cmdline, seed] = words.as_slice() else {
        bail!("expected KERNEL INITRD COMMAND-LINE SEED, found {words:?}");
    };
    let seed: u64 = seed.parse()?;
    let request = LoadRequest {
        initrds: vec![initrd.into()],
        cmdline: CmdlineChoice {
            append: Some(Cmdline::from(cmdline.as_str())),
            ..CmdlineChoice::default()
        },
        syscall: SyscallChoice::Classic,
        unpack: Unpack {
            choice: UnpackChoice::Always,
            ..Unpack::default()
        },
        ..LoadRequest::new(kernel)
    };
    let root = Path::new("/");
    let host = Snapshot::read(root);
    let inputs = pipeline::read(&request, None, None)?;
    let inputs = inputs.carrying(Carried {
        kaslr: Some([KaslrSeed(seed); 2]),
        ..Carried::read(root, &request, &host)
    });
    let prepared = pipeline::prepare(&request, &inputs, &host)?;
    let prepared = pipeline::load(
        &Linux,
        &request,
        FileFlags::EMPTY,
        &inputs,
        prepared,
        &host,
        &mut |_| Ok(()),
    )?;
    let placed = prepared.placed.context("no plan was made")?;
    let segment = placed.segment(SegmentKind::Kernel).context("no kernel")?;
    println!("{:x}", segment.memory.start);
    Ok(())
}

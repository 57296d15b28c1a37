//! The way of a load from its files on, with a described machine's kernel at its end.

use kexec_load::pipeline::{self, Prepared};
use kexec_load::{Error, LoadRequest};
use kexec_machine::Snapshot;
use kexec_sys::FileFlags;
use kexec_sys::double::Double;

pub fn prepared(request: &LoadRequest, host: &Snapshot) -> Result<Prepared, Error> {
    let inputs = pipeline::read(request, None, None)?;
    pipeline::prepare(request, &inputs, host)
}

pub fn load(kernel: &Double, request: &LoadRequest, host: &Snapshot) -> Result<Prepared, Error> {
    let inputs = pipeline::read(request, None, None)?;
    let prepared = pipeline::prepare(request, &inputs, host)?;
    pipeline::load(
        kernel,
        request,
        FileFlags::EMPTY,
        &inputs,
        prepared,
        host,
        &mut |_| Ok(()),
    )
}

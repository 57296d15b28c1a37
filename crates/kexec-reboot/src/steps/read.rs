//! The second step: every file of a load, each of them once.

use kexec_image::Image;
use kexec_load::pipeline::{self, Inputs};
use kexec_load::{Error, LoadRequest};
use kexec_machine::Snapshot;

use super::ChosenLoad;
use crate::record::Fingerprint;
use crate::world::{Told, World};

impl ChosenLoad {
    /// Reads every file of the load once.
    ///
    /// # Errors
    /// As [`pipeline::read`].
    pub fn read(&self, world: &World<'_>, host: &Snapshot) -> Result<Inputs, Error> {
        let available = host.memory.usable().bytes.known().copied();
        world.onlooker.told(Told::Reading(self.sizes()));
        pipeline::read(&self.request, self.volumes.as_ref(), available)
    }

    /// The names of the files and their sizes in bytes; 0 where it is unknown.
    fn sizes(&self) -> Vec<(String, u64)> {
        let files = std::iter::once(&self.request.kernel).chain(&self.request.initrds);
        let sizes = files.map(|file| {
            let opened = file.open_regular(self.volumes.as_ref());
            let metadata = opened.ok().and_then(|file| file.metadata().ok());
            (
                file.shown().display().to_string(),
                metadata.map_or(0, |m| m.len()),
            )
        });
        sizes.collect()
    }

    /// What the load is made of now.
    ///
    /// # Errors
    /// With the file that cannot be looked at, and why.
    pub fn fingerprint(&self) -> Result<Fingerprint, String> {
        let id = self.entry.as_ref().map_or("", |entry| entry.id.as_str());
        Fingerprint::of(id, &self.request, self.volumes.as_ref())
    }

    /// What the kernel file is.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn kernel(&self, host: &Snapshot) -> Result<Image, Error> {
        let alone = LoadRequest {
            profile: self.request.profile,
            ..LoadRequest::new(self.request.kernel.clone())
        };
        let available = host.memory.usable().bytes.known().copied();
        let inputs = pipeline::read(&alone, self.volumes.as_ref(), available)?;
        let options = pipeline::image_options(alone.profile, &inputs, host);
        let image = kexec_image::recognise(inputs.kernel.sealed.bytes(), &options);
        image.map_err(|source| Error::Image {
            path: alone.kernel.shown(),
            source,
        })
    }
}

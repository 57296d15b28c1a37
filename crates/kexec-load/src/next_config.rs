//! How the next kernel was built, as far as that decides which initrds it reads.
//!
//! Its own word comes first: a kernel may carry its configuration. Else it is in a file
//! beside it, which may be that of another build with the same release.

use std::path::Path;
use std::sync::OnceLock;

use bytes::Bytes;
use kexec_image::decompress::Checked;
use kexec_image::formats::bzimage::PayloadCodec;
use kexec_image::{Image, ImageError, Kernel, Options, Proof, ikconfig};

use crate::initrd::intact::CompressedPart;
use crate::initrd::reads::Reads;
use kexec_machine::snapshot::config_beside;

/// A configuration in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The path of the file, for messages.
    pub file: String,
    /// Which initrds a kernel that is built so reads.
    pub reads: Reads,
}

impl Installed {
    /// Reads that of a kernel file: beside it, where somebody named it, or where distributions install it below
    /// `root`.
    pub(crate) fn read(root: &Path, kernel: Option<&Path>, bytes: Bytes) -> Option<Installed> {
        // Nothing is unpacked for it.
        let options = Options {
            profile: None,
            max_output: 0,
        };
        let image = kexec_image::recognise(bytes, &options).ok()?;
        let release = kexec_plan::file::release(&image)?;
        let (file, text) = config_beside(root, kernel, &release)?;
        let reads = Reads::of(&text)?;
        Some(Installed { file, reads })
    }
}

/// What is known of the configuration of the next kernel.
#[derive(Debug, Default)]
pub struct NextConfig {
    /// What the kernel carries itself, once somebody looked.
    own: OnceLock<Option<Reads>>,
    installed: Option<Installed>,
}

/// What a configuration lacks.
#[derive(Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The option that is not set: `CONFIG_RD_ZSTD`.
    pub option: String,
    /// Who says so, for people.
    pub from: String,
    /// The codecs that it has, for people.
    pub codecs: Vec<String>,
}

impl NextConfig {
    /// What is installed, if anything.
    pub fn new(installed: Option<Installed>) -> NextConfig {
        NextConfig {
            own: OnceLock::new(),
            installed,
        }
    }

    /// Proves the image as [`kexec_image::verify`]; where it is `wanted`, the
    /// configuration that comes by is kept. A kernel that was `unpacked` already is not
    /// unpacked for it.
    ///
    /// # Errors
    /// As [`kexec_image::verify`].
    pub fn verify(
        &self,
        image: &Image,
        wanted: bool,
        unpacked: Option<(&[u8], Checked)>,
    ) -> Result<Vec<Proof>, ImageError> {
        if let Some((kernel, payload)) = unpacked {
            if wanted {
                let own = ikconfig::of_unpacked(kernel);
                let _ = self.own.set(reads(own));
            }
            return kexec_image::verify_unpacked(image, payload);
        }
        if !wanted {
            return kexec_image::verify(image);
        }
        let mut finder = ikconfig::Finder::default();
        let mut seen = false;
        let proofs = kexec_image::verify_showing(image, &mut |bytes| {
            seen = true;
            finder.look(bytes);
        })?;
        if seen {
            let _ = self.own.set(reads(finder.text()));
        }
        Ok(proofs)
    }

    /// What the kernel lacks, by the word that counts; nothing where nobody knows.
    pub fn lacking(
        &self,
        image: &Image,
        lacks: impl Fn(&Reads) -> Option<String>,
    ) -> Option<Lacking> {
        let installed = self.installed.as_ref();
        if self.own.get().is_none() {
            let unsure = installed.map(|installed| lacks(&installed.reads).is_some());
            // It is unpacked for that only where somebody says that something is
            // missing, or where it costs no seconds.
            if !unsure.unwrap_or_else(|| is_fast(image)) {
                return None;
            }
        }
        let own = self.own.get_or_init(|| reads(ikconfig::of(image)));
        let (reads, from) = match (own, installed) {
            (Some(own), _) => (own, "the configuration that the kernel carries".to_owned()),
            (None, Some(installed)) => (&installed.reads, installed.file.clone()),
            (None, None) => return None,
        };
        lacks(reads).map(|option| Lacking {
            option,
            from,
            codecs: reads.codecs(),
        })
    }
}

impl NextConfig {
    /// Whether the kernel is known to read initrds of this codec. Nothing is unpacked to find
    /// out.
    pub fn is_known_to_read(&self, codec: &'static str) -> bool {
        let part = CompressedPart {
            at: 0,
            codec,
            len: 0,
            unpacked: 0,
            filters: Vec::new(),
        };
        // Where the kernel carries a configuration, its own word counts; it was looked for
        // if `own` is set.
        let own = self.own.get().and_then(Option::as_ref);
        let beside = || self.installed.as_ref().map(|installed| &installed.reads);
        let reads = own.or_else(beside);
        reads.is_some_and(|reads| reads.any() && reads.lacks(&part).is_none())
    }
}

fn reads(config: Option<String>) -> Option<Reads> {
    config.as_deref().and_then(Reads::of)
}

/// Whether a kernel is unpacked in some tenths of a second.
fn is_fast(image: &Image) -> bool {
    let Kernel::BzImage(kernel) = &image.kernel else {
        return true;
    };
    let payload = kernel.payload.as_ref();
    payload.is_some_and(|p| matches!(p.codec, PayloadCodec::Known("zstd" | "gzip" | "lz4")))
}

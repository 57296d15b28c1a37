//! Files that are too large for the serial line, out of any kernel of a guest: a disk onto
//! which the guest writes an archive, and which the host reads afterwards.

use crate::initramfs::Initramfs;
use crate::lab::LabKernel;
use crate::modules;
use crate::programs::StartProgram;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The serial number by which a guest finds the disk.
const SERIAL: &str = "kept";

/// The drivers, where they are not built in.
const DRIVERS: [&str; 2] = ["virtio_pci", "virtio_blk"];

/// Shell, behind the commands that load the drivers: finds the disk, `$KEPT`.
///
/// - `keep FOLDER`: the files of a folder, in the place of those that were there.
/// - `is_kept`: whether a kernel before this one has kept files.
const FUNCTIONS: &str = r#"
for disk in /sys/block/vd*; do
	[ "$(cat "$disk/serial")" = kept ] && KEPT=/dev/${disk##*/}
done
keep() { tar -cf "$KEPT" -C "$1" . && sync; }
is_kept() { [ "$(head -c 1 "$KEPT")" = . ]; }
"#;

/// An empty disk of a guest.
#[derive(Debug)]
pub struct KeptFiles {
    image: PathBuf,
}

impl KeptFiles {
    /// A disk of this size, in a file without blocks below `folder`.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn new(folder: &Path, mb: u32) -> Result<Self> {
        let image = folder.join("kept.img");
        File::create_new(&image)
            .and_then(|file| file.set_len(u64::from(mb) << 20))
            .with_context(|| format!("making {}", image.display()))?;
        Ok(Self { image })
    }

    /// The arguments of QEMU that give the disk to a guest.
    #[must_use]
    pub fn qemu_arguments(&self) -> [String; 4] {
        [
            "-drive".to_owned(),
            format!("if=none,id=kept,format=raw,file={}", self.image.display()),
            "-device".to_owned(),
            format!("virtio-blk-pci,drive=kept,serial={SERIAL}"),
        ]
    }

    /// What a kernel of the guest needs for the words `keep FOLDER` (its files, in the place
    /// of those that were kept before) and `is_kept` (whether there are any) of a script that
    /// begins with `. /lab/kept`.
    ///
    /// # Errors
    /// If the kernel's drivers cannot be read.
    pub fn files(kernel: &LabKernel) -> Result<Initramfs> {
        let mut files = Initramfs::new();
        let mut script = String::new();
        for (name, content) in modules::load_order(&kernel.modules, &DRIVERS)? {
            let path = format!("lab/{name}.ko");
            script.push_str(&format!("insmod /{path}\n"));
            files.file(&path, content);
        }
        script.push_str(FUNCTIONS);
        files.file("lab/kept", script);
        Ok(files)
    }

    /// Unpacks what was kept into an empty folder.
    ///
    /// # Errors
    /// If nothing was kept.
    pub fn unpack(&self, into: &Path) -> Result<()> {
        let mut first = [0];
        File::open(&self.image)
            .and_then(|mut file| file.read_exact(&mut first))
            .with_context(|| format!("reading {}", self.image.display()))?;
        ensure!(
            first == *b".",
            "looked for kept files on the guest's disk {}: it is empty",
            self.image.display()
        );
        let output = Command::new("tar")
            .arg("-xf")
            .arg(&self.image)
            .arg("-C")
            .arg(into)
            .arg("--no-same-owner")
            .start_output()?;
        if !output.status.success() {
            bail!(
                "tar -xf {} ended with {}: {}",
                self.image.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }
}

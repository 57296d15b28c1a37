//! Trees like those of sysfs, the choice over them, and the acting.

mod acting;
mod chosen;
mod tables;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::*;

/// A machine below a folder.
struct Machine {
    root: tempfile::TempDir,
    mounts: Vec<String>,
}

/// A mount of the kernel's, so that the table is never empty.
const PROC: &str = "22 1 0:21 / /proc rw - proc proc rw";

impl Machine {
    fn new() -> Machine {
        let machine = Machine {
            root: tempfile::tempdir().unwrap(),
            mounts: Vec::new(),
        };
        machine.put("proc/swaps", "Filename Type Size Used Priority\n");
        machine.put("sys/class/tty/console/active", "tty0 ttyS0\n");
        machine.mounted(&[])
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn below(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.below(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A link with as many `..` as its place needs, as sysfs has them.
    fn link(&self, at: &str, to: &str) {
        let up = "../".repeat(at.matches('/').count());
        let path = self.below(at);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::create_dir_all(self.below(to)).unwrap();
        symlink(format!("{up}{to}"), path).unwrap();
    }

    /// The mount table.
    fn mounted(mut self, mounts: &[&str]) -> Machine {
        self.mounts = [PROC]
            .iter()
            .chain(mounts)
            .map(|line| (*line).to_owned())
            .collect();
        self.put("proc/self/mountinfo", &(self.mounts.join("\n") + "\n"));
        self
    }

    fn device(&self, bus: &str, path: &str, kind: &str, driver: &str) {
        let name = path.rsplit('/').next().unwrap();
        let attribute = if bus == "pci" { "class" } else { "device" };
        self.put(
            &format!("sys/devices/{path}/{attribute}"),
            &format!("{kind}\n"),
        );
        self.link(
            &format!("sys/bus/{bus}/devices/{name}"),
            &format!("sys/devices/{path}"),
        );
        if !driver.is_empty() {
            let folder = format!("sys/bus/{bus}/drivers/{driver}");
            self.put(&format!("{folder}/unbind"), "");
            self.link(&format!("sys/devices/{path}/driver"), &folder);
        }
    }

    /// A PCI device on the first bus.
    fn pci(self, name: &str, class: &str, driver: &str) -> Machine {
        self.device("pci", &format!("pci0000:00/{name}"), class, driver);
        self
    }

    /// A virtio device behind PCI.
    fn virtio(self, pci: &str, name: &str, kind: &str, driver: &str) -> Machine {
        let machine = self.pci(pci, "0x018000", "virtio-pci");
        machine.device("virtio", &format!("pci0000:00/{pci}/{name}"), kind, driver);
        machine
    }

    /// A block device below a folder of /sys/devices.
    fn disk(self, folder: &str, name: &str, number: &str) -> Machine {
        let path = format!("sys/devices/{folder}/{name}");
        self.put(&format!("{path}/dev"), &format!("{number}\n"));
        self.link(&format!("sys/class/block/{name}"), &path);
        self
    }

    fn part(self, class: &str, folder: &str, name: &str) -> Machine {
        self.link(
            &format!("sys/class/{class}/{name}"),
            &format!("sys/devices/{folder}/{name}"),
        );
        self
    }

    fn choice(&self) -> Choice {
        choose(&Devices::read(self.path()))
    }

    /// The names of what is unbound.
    fn unbound(&self) -> Vec<String> {
        let choice = self.choice();
        choice.unbind.into_iter().map(|one| one.device).collect()
    }

    /// Why a device is kept.
    fn kept(&self, device: &str) -> String {
        let choice = self.choice();
        let kept = choice.kept.into_iter().find(|one| one.device == device);
        kept.map_or_else(|| format!("{device} is unbound"), |one| one.why)
    }
}

/// A machine with an NVMe disk of one partition.
fn nvme() -> Machine {
    let folder = "pci0000:00/0000:00:04.0/nvme/nvme0";
    Machine::new()
        .pci("0000:00:04.0", "0x010802", "nvme")
        .disk(folder, "nvme0n1", "259:0")
        .disk(&format!("{folder}/nvme0n1"), "nvme0n1p1", "259:1")
}

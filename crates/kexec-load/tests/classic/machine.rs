//! Machines for these tests.

use std::path::{Path, PathBuf};

use kexec_machine::Snapshot;

/// The machines that were recorded from real kernels.
pub const RECORDED: &[&str] = &[
    "6.1-ovmf",
    "6.1-seabios",
    "6.12-ovmf",
    "6.12-seabios",
    "7.x-ovmf",
    "7.x-seabios",
];

/// A root directory, written file by file.
pub struct Tree(tempfile::TempDir);

impl Tree {
    pub fn new() -> Tree {
        let tree = Tree(tempfile::tempdir().unwrap());
        tree.put("proc/sys/kernel/arch", "x86_64\n");
        tree
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub fn put(&self, path: &str, content: impl AsRef<[u8]>) -> &Tree {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub fn link(&self, path: &str, target: &str) -> &Tree {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
        self
    }

    pub fn read(&self) -> Snapshot {
        Snapshot::read(self.0.path())
    }

    /// A serial port of the 8250 driver.
    pub fn serial(&self, line: u32, port: &str, kind: u32, io_type: u32, clock: u32) -> &Tree {
        let folder = format!("sys/class/tty/ttyS{line}");
        self.put(&format!("{folder}/port"), format!("{port}\n"))
            .put(&format!("{folder}/type"), format!("{kind}\n"))
            .put(&format!("{folder}/io_type"), format!("{io_type}\n"))
            .put(&format!("{folder}/uartclk"), format!("{clock}\n"))
    }
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../kexec-lab/fixtures/machines")
        .join(name)
}

/// A recorded machine, laid out as the kernel had it.
pub fn recorded(name: &str) -> Tree {
    let folder = fixture(name);
    let bytes = |file: &str| std::fs::read(folder.join(file)).unwrap();
    let text = |file: &str| String::from_utf8(bytes(file)).unwrap();
    let tree = Tree::new();
    tree.put("proc/sys/kernel/osrelease", bytes("release"))
        .put("proc/cmdline", bytes("cmdline"))
        .put("proc/iomem", bytes("iomem"))
        .put("proc/meminfo", "MemTotal:        4026532 kB\n")
        .put("sys/kernel/boot_params/data", bytes("boot_params"));
    std::fs::create_dir_all(tree.path("sys/class")).unwrap();
    for (number, line) in text("memmap").lines().enumerate() {
        let mut words = line.splitn(3, ' ');
        for file in ["start", "end", "type"] {
            let word = words.next().unwrap();
            tree.put(&format!("sys/firmware/memmap/{number}/{file}"), word);
        }
    }
    if folder.join("efi").exists() {
        let mut systab = String::new();
        for line in text("efi").lines() {
            match line.split_once(": ").unwrap() {
                ("systab", table) => systab.push_str(&format!("{table}\n")),
                (file, value) => {
                    tree.put(&format!("sys/firmware/efi/{file}"), format!("{value}\n"));
                }
            }
        }
        tree.put("sys/firmware/efi/systab", systab);
        for (number, line) in text("efi-runtime-map").lines().enumerate() {
            let files = ["type", "phys_addr", "virt_addr", "num_pages", "attribute"];
            for (file, word) in files.iter().zip(line.split(' ')) {
                let path = format!("sys/firmware/efi/runtime-map/{number}/{file}");
                tree.put(&path, format!("{word}\n"));
            }
        }
    }
    tree
}

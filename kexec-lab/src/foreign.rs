//! Machines of other architectures, which panic for want of a root file system: their dumps are
//! read on this one.

use crate::apt::{Keep, Suite};
use crate::lab::Lab;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A machine of QEMU, and Debian's kernel for it.
#[derive(Debug, Clone, Copy)]
pub struct ForeignMachine {
    /// The name of its fixture.
    pub name: &'static str,
    /// Where the kernel comes from.
    pub suite: Suite,
    /// The kernel's package.
    pub kernel: &'static str,
    /// Debian 13's package of its QEMU.
    pub qemu: &'static str,
    /// The program in that.
    pub program: &'static str,
    /// Machine, processor and memory.
    pub arguments: &'static [&'static str],
    /// The kernel's name for its serial console.
    pub console: &'static str,
}

/// Those whose dumps are fixtures of kexec-vmcore.
pub const FOREIGN_MACHINES: [ForeignMachine; 6] = [
    ForeignMachine {
        name: "i386-6.1",
        suite: Suite::BookwormI386,
        kernel: "linux-image-686-pae",
        qemu: "qemu-system-x86",
        program: "qemu-system-i386",
        arguments: &["-machine", "q35", "-m", "128"],
        console: "ttyS0",
    },
    ForeignMachine {
        name: "armhf-6.1",
        suite: Suite::BookwormArmhf,
        kernel: "linux-image-armmp",
        qemu: "qemu-system-arm",
        program: "qemu-system-arm",
        arguments: &["-machine", "virt", "-m", "128"],
        console: "ttyAMA0",
    },
    ForeignMachine {
        name: "arm64-6.1",
        suite: Suite::BookwormArm64,
        kernel: "linux-image-cloud-arm64",
        qemu: "qemu-system-arm",
        program: "qemu-system-aarch64",
        arguments: &["-machine", "virt", "-cpu", "cortex-a57", "-m", "128"],
        console: "ttyAMA0",
    },
    ForeignMachine {
        name: "s390x-6.1",
        suite: Suite::BookwormS390x,
        kernel: "linux-image-s390x",
        qemu: "qemu-system-s390x",
        program: "qemu-system-s390x",
        arguments: &["-machine", "s390-ccw-virtio", "-m", "256"],
        console: "ttysclp0",
    },
    ForeignMachine {
        name: "ppc64el-6.1",
        suite: Suite::BookwormPpc64el,
        kernel: "linux-image-powerpc64le",
        qemu: "qemu-system-ppc",
        program: "qemu-system-ppc64",
        arguments: &["-machine", "pseries", "-m", "512"],
        console: "hvc0",
    },
    ForeignMachine {
        name: "amd64-5.10",
        suite: Suite::Bullseye,
        kernel: "linux-image-cloud-amd64",
        qemu: "qemu-system-x86",
        program: "qemu-system-x86_64",
        arguments: &["-machine", "q35", "-m", "128"],
        console: "ttyS0",
    },
];

impl ForeignMachine {
    /// A QEMU with this machine, which stays, stopped or not, when its kernel has panicked. Its
    /// console goes to one file, and its monitor (QMP) to a socket.
    ///
    /// # Errors
    /// If a package cannot be fetched, or does not look as expected.
    pub fn command(&self, lab: &Lab, console: &Path, monitor: &Path) -> Result<Command> {
        let tree = lab.package(Suite::Trixie, self.qemu, Keep::Closure)?.path;
        let libraries = tree.join("usr/lib/x86_64-linux-gnu");
        let kernel = self.kernel(lab)?;
        let mut words: Vec<OsString> = vec![
            libraries.join("ld-linux-x86-64.so.2").into(),
            "--library-path".into(),
            libraries.into(),
            tree.join("usr/bin").join(self.program).into(),
        ];
        for data in ["usr/share/qemu", "usr/share/seabios"] {
            words.extend(["-L".into(), tree.join(data).into()]);
        }
        words.extend(self.arguments.iter().map(OsString::from));
        words.extend(["-accel", "tcg", "-display", "none", "-nodefaults"].map(OsString::from));
        words.extend(["-no-shutdown", "-action", "panic=pause"].map(OsString::from));
        let line = format!("console={} panic=0 ignore_loglevel", self.console);
        for (option, value) in [
            ("-serial", format!("file:{}", console.display())),
            (
                "-qmp",
                format!("unix:{},server=on,wait=off", monitor.display()),
            ),
            ("-append", line),
        ] {
            words.extend([option.into(), value.into()]);
        }
        words.extend(["-kernel".into(), kernel.into()]);
        if crate::programs::find("setpriv").is_some() {
            let dies = ["setpriv", "--pdeathsig", "KILL", "--"].map(OsString::from);
            words.splice(0..0, dies);
        }
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().context("no program")?);
        command.args(words);
        Ok(command)
    }

    /// The file of its kernel: vmlinuz, or vmlinux where that is what is booted.
    fn kernel(&self, lab: &Lab) -> Result<PathBuf> {
        let keep = Keep::Named(&["linux-image-"]);
        let boot = lab
            .package(self.suite, self.kernel, keep)?
            .path
            .join("boot");
        let entries = std::fs::read_dir(&boot).with_context(|| boot.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("vmlinu") {
                return Ok(path);
            }
        }
        bail!("looked for a kernel in {}: there is none", boot.display())
    }
}

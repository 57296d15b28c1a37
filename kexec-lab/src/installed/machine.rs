//! One trial of an installed system: its stages, its disk, its run.

use super::base::{self, Base, Generator, InitSystem, Recipe};
use super::files::call;
use super::image::{self, Initrd};
use super::layout::SystemLayout;
use super::payload;
use super::trial::{FirmwareBoot, Trial};
use crate::apt::Suite;
use crate::guest::restart::{self, TimeLimits};
use crate::guest::{CPU, End, watch};
use crate::initramfs::Initramfs;
use crate::lab::Lab;
use crate::qemu::GuestSlot;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The unit of [`InstalledMachine::witness`].
const WITNESS: &str = include_str!("scripts/witness.service");
/// The unit and the script of [`InstalledMachine::least_memory`].
const LEAST: [&str; 2] = [
    include_str!("scripts/least.service"),
    include_str!("scripts/least.sh"),
];
/// Brings the card of [`InstalledMachine::ssh`] up.
const NETWORK: &str = include_str!("scripts/network.service");

/// How long an installed system may take to its first stage. One that takes longer
/// is started once more, and then has the time of [`InstalledMachine::timeout`].
const FIRST_STAGE: Duration = Duration::from_secs(240);

/// An installed system to be tried once. Its disk is a copy: nothing that it
/// does lasts.
#[derive(Debug)]
pub struct InstalledMachine<'lab> {
    lab: &'lab Lab,
    recipe: Recipe,
    layout: SystemLayout,
    initrd: Initrd,
    files: Initramfs,
    stages: Vec<(String, String)>,
    cold_boots: usize,
    timeout: Duration,
    memory_mb: u32,
    qemu_arguments: Vec<String>,
}

impl<'lab> InstalledMachine<'lab> {
    /// A machine with this suite, systemd and the lab's small initramfs
    /// images, installed in this layout.
    #[must_use]
    pub fn new(lab: &'lab Lab, suite: Suite, layout: SystemLayout) -> Self {
        Self {
            lab,
            recipe: Recipe {
                suite,
                init: InitSystem::Systemd,
                generator: layout.generator(),
                packages: Vec::new(),
            },
            layout,
            initrd: match layout.generator() {
                Generator::InitramfsTools => Initrd::Fast,
                Generator::Dracut => Initrd::Distribution,
            },
            files: Initramfs::new(),
            stages: Vec::new(),
            cold_boots: 0,
            timeout: Duration::from_secs(300),
            memory_mb: 1024,
            qemu_arguments: Vec::new(),
        }
    }

    /// Another init than systemd.
    #[must_use]
    pub fn init(mut self, init: InitSystem) -> Self {
        self.recipe.init = init;
        self
    }

    /// The initramfs images that the distribution's own generator made.
    #[must_use]
    pub fn distribution_initrd(mut self) -> Self {
        self.initrd = Initrd::Distribution;
        self
    }

    /// More Debian packages. Every other list is another base system in the
    /// cache, which takes minutes to make.
    #[must_use]
    pub fn packages(mut self, names: &[&str]) -> Self {
        self.recipe.packages = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Adds a file of mode 0644 to the root file system.
    #[must_use]
    pub fn file(mut self, name: &str, data: impl Into<Vec<u8>>) -> Self {
        self.files.file(name, data);
        self
    }

    /// Adds a program to the root file system.
    #[must_use]
    pub fn program(mut self, name: &str, data: impl Into<Vec<u8>>) -> Self {
        self.files.program(name, data);
        self
    }

    /// Adds the program under test as /usr/sbin/kexec.
    ///
    /// # Errors
    /// If it has not been built.
    pub fn product(self) -> Result<Self> {
        let program = crate::files::read(&crate::kexec_binary()?)?;
        Ok(self.program("usr/sbin/kexec", program))
    }

    /// Adds a Debian package of the machine's suite, with what it depends on and
    /// the system has not, as files in /lab/debs. They are not installed yet:
    /// `dpkg -i /lab/debs/*.deb` in a stage does that.
    ///
    /// # Errors
    /// If the package cannot be fetched or the base system cannot be made.
    pub fn debs(mut self, package: &str) -> Result<Self> {
        let there = base::prepare(self.lab, &self.recipe)?.packages()?;
        for deb in self.lab.debs(self.recipe.suite, package, &there)? {
            let name = deb.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("lab/debs/{name}");
            self.files.file(&name, crate::files::read(&deb)?);
        }
        Ok(self)
    }

    /// Adds this project's package as a file in /lab/debs, see [`InstalledMachine::debs`].
    ///
    /// # Errors
    /// If it has not been built.
    pub fn product_deb(self) -> Result<Self> {
        let deb = crate::files::read(&crate::kexec_deb()?)?;
        Ok(self.file("lab/debs/kexec-rs.deb", deb))
    }

    /// Adds a unit to /etc/systemd/system and enables it for this target (or
    /// other unit).
    #[must_use]
    pub fn unit(mut self, name: &str, wanted_by: &str, text: &str) -> Self {
        let folder = "etc/systemd/system";
        self.files.file(&format!("{folder}/{name}"), text);
        self.files.symlink(
            &format!("{folder}/{wanted_by}.wants/{name}"),
            &format!("/{folder}/{name}"),
        );
        self
    }

    /// Adds a unit that stops with the system, in the ordinary order, and leaves
    /// `stopped` in /var/lib/witness.
    #[must_use]
    pub fn witness(self) -> Self {
        self.unit("witness.service", "multi-user.target", WITNESS)
    }

    /// Adds a unit that keeps, in a crash kernel, the least memory that was available since systemd
    /// took over from the initrd: KiB, in /var/lib/least.
    #[must_use]
    pub fn least_memory(self) -> Self {
        let [unit, script] = LEAST;
        self.file("lab/least", script)
            .unit("lab-least.service", "sysinit.target", unit)
    }

    /// Adds files to the root file system. They are there before the system
    /// boots; its own files of the same name are replaced. Nothing can be added
    /// to /boot where that is a file system of its own.
    #[must_use]
    pub fn with(mut self, files: &Initramfs) -> Self {
        self.files.merge(files);
        self
    }

    /// What is run in the next boot, once that has reached multi-user.target: a
    /// POSIX shell script, run by root with the words `run LABEL COMMAND...`,
    /// `jump COMMAND...`, `put NAME`, `put_file NAME PATH` of
    /// [`crate::Guest::script`]. A `jump` that succeeds waits for the end of
    /// this boot. Where the script of the last stage ends, the machine is
    /// switched off.
    #[must_use]
    pub fn stage(mut self, name: &str, script: &str) -> Self {
        self.stages.push((name.to_owned(), script.to_owned()));
        self
    }

    /// How often the machine may go through its firmware again. None at first:
    /// a cold reboot ends the trial, and is an error.
    #[must_use]
    pub fn cold_boots(mut self, count: usize) -> Self {
        self.cold_boots = count;
        self
    }

    /// How long each time between two cold boots may last.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Memory in MiB; 1024 at first.
    #[must_use]
    pub fn memory_mb(mut self, memory_mb: u32) -> Self {
        self.memory_mb = memory_mb;
        self
    }

    /// More arguments for QEMU.
    #[must_use]
    pub fn qemu_arguments(mut self, arguments: &[&str]) -> Self {
        self.qemu_arguments
            .extend(arguments.iter().map(|one| (*one).to_owned()));
        self
    }

    /// A network with nobody but the host in it, whose port `port` of 127.0.0.1 is
    /// the machine's port 22. Whoever has the key may log in as root. Asks for the
    /// packages openssh-server and iproute2.
    #[must_use]
    pub fn ssh(self, port: u16, public_key: &str) -> Self {
        let network = format!("user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22");
        self.file("root/.ssh/authorized_keys", public_key)
            .unit("lab-network.service", "ssh.service", NETWORK)
            .qemu_arguments(&["-netdev", &network])
            // No option ROM: nobody boots from it.
            .qemu_arguments(&["-device", "virtio-net-pci,netdev=ssh,romfile="])
    }

    /// The releases of the system's two kernels: the one that its boot loader
    /// starts by default, and the other one.
    ///
    /// # Errors
    /// If the base system cannot be made.
    pub fn kernels(&self) -> Result<(String, String)> {
        let base = base::prepare(self.lab, &self.recipe)?;
        match base.kernels.as_slice() {
            [first, second, ..] => Ok((first.clone(), second.clone())),
            other => anyhow::bail!("expected two kernels in {}, found {other:?}", base.key),
        }
    }

    /// Runs the trial: every stage must be reached and finished, and the
    /// firmware must run exactly as often as was allowed.
    ///
    /// # Errors
    /// If that is not so, with the end of the console.
    pub fn run(self) -> Result<Trial> {
        let cold_boots = self.cold_boots;
        let names: Vec<String> = self.stages.iter().map(|(name, _)| name.clone()).collect();
        self.observe()?.check(&names, cold_boots)
    }

    /// Runs the trial and reports however it ends.
    ///
    /// # Errors
    /// If the machine cannot be made or started, or what it reports cannot be
    /// read.
    pub fn observe(self) -> Result<Trial> {
        let base: Base = base::prepare(self.lab, &self.recipe)?;
        let image = image::prepare(self.lab, &base, self.layout, self.initrd)?;
        let mut slot = image.slot;
        let what = format!("{}, {}", self.recipe.suite.name(), self.layout);
        let limits = TimeLimits {
            whole: self.timeout,
            first_stage: FIRST_STAGE,
        };
        let boots = restart::run(&what, limits, |limits| {
            self.start(&image.disk, image.root_offset, limits, &mut slot)
        })?;
        Ok(Trial { boots })
    }

    /// Runs the trial on a new copy of this disk, in its turn, until the machine is
    /// off or has gone through its firmware as often as it may.
    fn start(
        &self,
        image: &Path,
        root_offset: u64,
        limits: TimeLimits,
        slot: &mut Option<GuestSlot>,
    ) -> Result<Vec<FirmwareBoot>> {
        let scratch = tempfile::tempdir().context("making a folder for the machine's disk")?;
        let disk = scratch.path().join("disk");
        call(
            Command::new("cp")
                .args(["--sparse=always", "--reflink=auto"])
                .args([image, disk.as_path()]),
        )?;
        let mut files = Initramfs::new();
        files.file("etc/fstab", image::fstab(self.layout));
        files.merge(&self.files);
        for (number, (name, script)) in (1_u32..).zip(&self.stages) {
            files.file(&format!("lab/trial/{number}"), script.as_str());
            files.file(&format!("lab/trial/{number}.name"), format!("{name}\n"));
        }
        payload::write(&disk, root_offset, &files, scratch.path())
            .context("writing the trial's files to the machine's disk")?;
        // Made once: the firmware's variables outlive a cold boot.
        let firmware = self
            .lab
            .qemu()
            .firmware(self.layout.firmware(), scratch.path())?;
        let slot = GuestSlot::keep(slot)?;
        let mut boots: Vec<FirmwareBoot> = Vec::new();
        while boots.len() <= self.cold_boots {
            let mut command = qemu(self.lab, &firmware, self.memory_mb);
            command
                .args(disk_arguments(&disk))
                .args(&self.qemu_arguments);
            // Nothing is repeated once the first boot was gone through.
            let limits = if boots.is_empty() {
                limits
            } else {
                TimeLimits::whole(limits.whole)
            };
            let outcome = watch(&mut command, scratch.path(), limits, slot)?;
            let again = outcome.end == End::Reset;
            boots.push(outcome);
            if !again {
                break;
            }
        }
        Ok(boots)
    }
}

/// A QEMU that ends where a machine would start anew, and has no disk yet.
pub(super) fn qemu(lab: &Lab, firmware: &[String], memory_mb: u32) -> Command {
    let mut command = lab.qemu().command();
    command
        .args(["-accel", "tcg", "-machine", "q35", "-cpu", CPU])
        .args(["-display", "none", "-vga", "none"])
        .args(["-nic", "none", "-no-user-config", "-monitor", "none"])
        .args(["-no-reboot", "-m", &memory_mb.to_string()])
        .args(firmware);
    command
}

/// The machine's disk. Nothing is synchronised with the host's own disk: a
/// machine that is lost with its host is of no use.
pub(super) fn disk_arguments(disk: &Path) -> [String; 4] {
    [
        "-drive".to_owned(),
        format!(
            "if=none,id=root,format=raw,cache=unsafe,discard=unmap,file={}",
            disk.display()
        ),
        "-device".to_owned(),
        "virtio-blk-pci,drive=root,serial=root".to_owned(),
    ]
}

//! Ansible itself, from PyPI, reboots a guest over ssh with the playbooks of
//! docs/fleets.md.

use super::{DOCS, TO_OTHER, arrived, machine};
use anyhow::{Context, Result, bail, ensure};
use kexec_lab::programs::StartProgram;
use kexec_lab::{Lab, PythonProgram};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long one playbook may take, for timeout(1).
const LONGEST: &str = "250";

/// Runs a tool of the host; its standard output. An error has everything that it
/// said, and `remedy`.
pub(super) fn call(command: &mut Command, remedy: &str) -> Result<String> {
    let output = command.start_output()?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}: {out}{}\n{remedy}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(out)
}

/// The folder of Ansible's programs.
pub(super) fn installed(lab: &Lab) -> Result<PathBuf> {
    lab.python_program(PythonProgram {
        folder: "ansible",
        package: "ansible-core",
        program: "ansible-playbook",
    })
}

/// Whether an ssh server answers on this port before `over` says that none will.
/// (QEMU itself takes the connection, whether the guest listens or not.)
pub(super) fn answers(port: u16, over: impl Fn() -> bool) -> bool {
    const PAUSE: Duration = Duration::from_millis(500);
    while !over() {
        let mut greeting = [0; 4];
        let greeted = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                stream.read_exact(&mut greeting)
            })
            .is_ok();
        if greeted && greeting == *b"SSH-" {
            return true;
        }
        std::thread::sleep(PAUSE);
    }
    false
}

/// Ansible with its inventory: one machine.
pub(super) struct Ansible {
    programs: PathBuf,
    folder: PathBuf,
}

impl Ansible {
    pub(super) fn new(programs: PathBuf, folder: &Path, port: u16) -> Result<Self> {
        let key = folder.join("key");
        std::fs::write(
            folder.join("inventory"),
            format!(
                "guest ansible_host=127.0.0.1 ansible_port={port} ansible_user=root \
                 ansible_ssh_private_key_file={} ansible_python_interpreter=/usr/bin/python3\n",
                key.display()
            ),
        )
        .context("writing the inventory")?;
        // Without one, those of this host's /etc and home count.
        std::fs::write(folder.join("ansible.cfg"), "").context("writing Ansible's settings")?;
        Ok(Self {
            programs,
            folder: folder.to_owned(),
        })
    }

    /// One of its programs, which knows nothing of this host's own settings.
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("timeout");
        command
            .arg(LONGEST)
            .arg(self.programs.join(program))
            .args(["--inventory", "inventory"])
            .args(arguments)
            .current_dir(&self.folder)
            .env("ANSIBLE_HOME", self.folder.join("home"))
            .env("ANSIBLE_CONFIG", self.folder.join("ansible.cfg"))
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_ROLES_PATH", self.folder.join("roles"))
            .env("ANSIBLE_HOST_KEY_CHECKING", "False")
            // The guest is interpreted.
            .env("ANSIBLE_TIMEOUT", "60")
            .env("LC_ALL", "C.UTF-8")
            .env(
                "ANSIBLE_SSH_COMMON_ARGS",
                "-F /dev/null -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes \
                 -o IdentityAgent=none",
            );
        call(&mut command, "what it says is above; the guest is below")
    }

    /// Its folder, in which programs run.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn play(&self, playbook: &str) -> Result<String> {
        let name = "playbook.yaml";
        std::fs::write(self.folder.join(name), playbook).context("writing a playbook")?;
        self.run("ansible-playbook", &[name])
    }
}

/// A port of the loopback that nobody listens on. Not one that the kernel gives to
/// whoever connects (ip_local_port_range): the guest may have to wait for its turn.
pub(super) fn free_port(number: usize) -> Result<u16> {
    let start = std::process::id() as usize * 2 + number;
    (start..start + 100)
        .filter_map(|port| u16::try_from(20_000 + port % 10_000).ok())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("looked for a free port from 20000 to 29999: a hundred were taken")
}

/// Makes the key that Ansible shows to the machine; its public half.
pub(super) fn key(folder: &Path) -> Result<String> {
    call(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f"])
            .arg(folder.join("key")),
        "install openssh-client",
    )?;
    std::fs::read_to_string(folder.join("key.pub")).context("reading the public key")
}

/// Ansible runs this playbook of the document, says that so much was changed, and
/// finds the machine in the next kernel.
fn reboots(number: usize, changed: usize) -> Result<()> {
    let playbook = DOCS
        .split("```yaml\n")
        .nth(number)
        .and_then(|rest| rest.split_once("```"))
        .map(|(playbook, _)| playbook)
        .with_context(|| format!("docs/fleets.md has no playbook {number}"))?;
    let lab = Lab::open()?;
    let folder = tempfile::tempdir()?;
    let programs = installed(&lab)?;
    let public = key(folder.path())?;
    let port = free_port(number)?;
    let ansible = Ansible::new(programs, folder.path(), port)?;
    let (machine, first, other) = machine(&lab)?;
    let id = "run id cat /proc/sys/kernel/random/boot_id\n";
    let machine = machine
        .timeout(Duration::from_secs(300))
        .ssh(port, &public)
        // Ansible ends it.
        .stage("before", &format!("{id}{TO_OTHER}jump true\n"))
        .stage(
            "after",
            &format!(
                "{id}run witness cat /var/lib/witness\n\
                 while [ ! -e /run/seen ]; do sleep 1; done\n"
            ),
        );
    let (told, trial) = std::thread::scope(|scope| {
        let guest = scope.spawn(|| machine.run());
        let told = if answers(port, || guest.is_finished()) {
            ansible.play(playbook).and_then(|told| {
                let seen = ["all", "-m", "raw", "-a", "touch /run/seen"];
                ansible.run("ansible", &seen)?;
                Ok(told)
            })
        } else {
            Err(anyhow::anyhow!("no ssh server answered on port {port}"))
        };
        (told, guest.join())
    });
    let Ok(trial) = trial else {
        bail!("the thread of the guest panicked");
    };
    // What Ansible says explains why a guest waited in vain, and the other way
    // round.
    let (told, trial) = match (told, trial) {
        (Ok(told), Ok(trial)) => (told, trial),
        (Ok(_), Err(error)) | (Err(error), Ok(_)) => return Err(error),
        (Err(error), Err(guest)) => bail!("{error:#}\n{guest:#}"),
    };
    println!("{told}");
    for (stage, _) in trial.stages() {
        println!("# {} at {:.1} s", stage.name, stage.started.as_secs_f64());
    }
    println!("all: {:.1} s", trial.seconds());

    ensure!(told.contains(&format!(" changed={changed} ")), "{told}");
    arrived(&trial, "after", &other, 1)?;
    let (before, after) = (trial.stage("before")?, trial.stage("after")?);
    assert_eq!(before.report.release, first);
    let line = after.report.command_line();
    ensure!(line.contains(" kexec.id="), "{line}");
    let (old, new) = (before.run("id")?.out(), after.run("id")?.out());
    ensure!(old.len() == new.len() && old != new, "boot_id {old}, {new}");
    Ok(())
}

#[test]
fn kexec_reboot_as_ansibles_command() -> Result<()> {
    // Looking changes nothing.
    reboots(1, 1)
}

#[test]
#[ignore = "needs PyPI, and 2 minutes; cargo xtask test --all"]
fn ansibles_own_command_where_preload_is_on() -> Result<()> {
    reboots(2, 2)
}

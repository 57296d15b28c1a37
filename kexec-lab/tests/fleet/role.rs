//! The role that is shipped, dist/ansible/kexec_rs: installed by ansible-galaxy from a
//! tarball, run by Ansible itself over ssh. And what docs/fleets.md has for cloud-init.

use super::ansible::{Ansible, answers, call, free_port, installed, key};
use super::{DOCS, PACKAGES};
use anyhow::{Context, Result, bail, ensure};
use kexec_lab::Lab;
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, SystemLayout};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What stands in code blocks of YAML in the document, and begins so.
fn documented(start: &str) -> Vec<&'static str> {
    let blocks = DOCS.split("```yaml\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split_once("```"));
    let texts = blocks.map(|(text, _)| text);
    texts.filter(|text| text.starts_with(start)).collect()
}

/// The playbook of the document that has the role.
fn playbook() -> Result<&'static str> {
    let mut playbooks = documented("- hosts: all\n  roles:").into_iter();
    playbooks.next().context("docs/fleets.md has no role")
}

/// Packs the role as the document does, and has ansible-galaxy install it.
fn install_role(programs: &Path, folder: &Path) -> Result<()> {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/ansible");
    call(
        Command::new("tar")
            .arg("-czf")
            .arg(folder.join("kexec_rs.tar.gz"))
            .arg("-C")
            .arg(dist)
            .arg("kexec_rs"),
        "install tar and gzip",
    )?;
    let line = DOCS
        .lines()
        .find(|line| line.starts_with("ansible-galaxy "));
    let line = line.context("docs/fleets.md has no ansible-galaxy")?;
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let told = call(
        Command::new(programs.join("ansible-galaxy"))
            .args(words)
            .args(["--roles-path", "roles"])
            .current_dir(folder)
            .env("ANSIBLE_HOME", folder.join("home"))
            .env("LC_ALL", "C.UTF-8"),
        "what it says is above",
    )?;
    ensure!(
        told.contains("kexec_rs was installed successfully"),
        "{told}"
    );
    Ok(())
}

/// The role as a whole is one that Ansible reads, and every task is one that it knows.
#[test]
fn is_installed_from_a_tarball_and_read() -> Result<()> {
    let lab = Lab::open()?;
    let programs = installed(&lab)?;
    let folder = tempfile::tempdir()?;
    install_role(&programs, folder.path())?;
    // Files that tasks include are read where they are needed: here all of them.
    let mut text = playbook()?.to_owned();
    for manager in ["apt", "dnf"] {
        text.push_str(&format!(
            "- hosts: all\n  tasks:\n    - import_tasks: roles/kexec_rs/tasks/install-{manager}.yml\n"
        ));
    }
    std::fs::write(folder.path().join("playbook.yaml"), text)?;
    let ansible = Ansible::new(programs, folder.path(), 1)?;
    let told = ansible.run("ansible-playbook", &["--syntax-check", "playbook.yaml"])?;
    ensure!(told.contains("playbook: playbook.yaml"), "{told}");
    Ok(())
}

/// How many tasks of a play were `changed`, `failed` ...
fn count(told: &str, what: &str) -> Result<u32> {
    let (_, rest) = told
        .split_once(&format!(" {what}="))
        .with_context(|| format!("Ansible did not count {what}: {told}"))?;
    let number = rest.split_whitespace().next().unwrap_or_default();
    number.parse().with_context(|| format!("reading {number}"))
}

#[test]
#[ignore = "needs PyPI, and 4 minutes; cargo xtask test --all"]
fn changes_a_machine_once() -> Result<()> {
    let lab = Lab::open()?;
    let folder = tempfile::tempdir()?;
    let programs = installed(&lab)?;
    install_role(&programs, folder.path())?;
    std::fs::copy(kexec_lab::kexec_deb()?, folder.path().join("kexec-rs.deb"))
        .context("copying the package")?;
    let public = key(folder.path())?;
    let port = free_port(3)?;
    let ansible = Ansible::new(programs, folder.path(), port)?;
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .packages(&PACKAGES)
        .debs("kexec-tools")?
        .timeout(Duration::from_secs(900))
        .ssh(port, &public)
        .stage(
            "only",
            "run old dpkg -i --force-depends /lab/debs/kexec-tools_*.deb\n\
             touch /run/ready\n\
             while [ ! -e /run/seen ]; do sleep 1; done\n\
             run version kexec --version\n\
             run old-gone sh -c '! dpkg-query -W -f=\"${db:Status-Status}\" kexec-tools | grep -x installed'\n\
             run enabled systemctl is-enabled kexec-preload.service kexec-refresh.service\n",
        );
    let (told, trial) = std::thread::scope(|scope| {
        let guest = scope.spawn(|| machine.run());
        let told = if answers(port, || guest.is_finished()) {
            let plays = plays(&ansible);
            // Whatever came of it, the guest ends.
            let seen = ansible.run("ansible", &["all", "-m", "raw", "-a", "touch /run/seen"]);
            plays.and_then(|()| seen.map(drop))
        } else {
            Err(anyhow::anyhow!("no ssh server answered on port {port}"))
        };
        (told, guest.join())
    });
    let Ok(trial) = trial else {
        bail!("the thread of the guest panicked");
    };
    told?;
    let trial = trial?;
    println!("all: {:.1} s", trial.seconds());
    let only = trial.stage("only")?;
    ensure!(only.good("version")?.out().starts_with("kexec-rs "));
    only.good("old-gone")?;
    let enabled = only.good("enabled")?.out();
    assert_eq!(enabled, "enabled\nenabled\n");
    Ok(())
}

/// With `--check`, for the first time, again, switched off, and with `--check` again.
fn plays(ansible: &Ansible) -> Result<()> {
    let wait = "while [ ! -e /run/ready ]; do sleep 1; done";
    ansible.run("ansible", &["all", "-m", "raw", "-a", wait])?;
    let text = playbook()?;
    std::fs::write(ansible.folder().join("playbook.yaml"), text)?;
    let play = |more: &[&str]| {
        let words = [&["playbook.yaml"], more].concat();
        let told = ansible.run("ansible-playbook", &words)?;
        println!("# {more:?}\n{told}");
        count(&told, "changed")
    };
    let here = |command: &str| ansible.run("ansible", &["all", "-m", "raw", "-a", command]);
    ensure!(play(&["--check"])? > 0, "--check announces nothing");
    here("dpkg-query -W kexec-tools && ! dpkg-query -W kexec-rs")?;
    here("test ! -e /var/cache/kexec-rs.deb")?;
    ensure!(play(&[])? >= 3, "copied, installed, switched on");
    here("systemctl is-enabled kexec-preload.service")?;
    assert_eq!(play(&[])?, 0, "the second run");
    let off = ["-e", "kexec_preload=false kexec_install=false"];
    ensure!(play(&[&off[..], &["--check"]].concat())? == 1);
    here("systemctl is-enabled kexec-preload.service")?;
    ensure!(play(&off)? == 1, "switched off");
    assert_eq!(play(&off)?, 0, "already off");
    ensure!(play(&[])? == 1, "switched on again");
    Ok(())
}

/// By the parser that cloud-init uses (PyYAML), which Ansible needs as well.
#[test]
fn the_user_data_for_cloud_init_is_read() -> Result<()> {
    let programs = installed(&Lab::open()?)?;
    let documents = documented("#cloud-config\n");
    assert_eq!(documents.len(), 2);
    for text in documents {
        // What cloud-init's schema has for these keys.
        let check = "import sys, yaml\n\
            data = yaml.safe_load(sys.argv[1])\n\
            known = {'write_files', 'package_update', 'packages', 'runcmd'}\n\
            assert set(data) <= known, set(data) - known\n\
            for file in data.get('write_files', []):\n\
            \x20   assert set(file) == {'path', 'content'} and file['path'].startswith('/')\n\
            assert all(isinstance(name, str) for name in data.get('packages', []))\n\
            lines = ['\\n'.join([line] if isinstance(line, str) else [' '.join(line)])\n\
            \x20        for line in data['runcmd']]\n\
            print('\\n'.join(lines))\n";
        let shell = call(
            Command::new(programs.join("python")).args(["-c", check, text]),
            "correct docs/fleets.md",
        )?;
        ensure!(shell.contains("kexec enable preload"), "{shell}");
        call(
            Command::new("sh").args(["-n", "-c", &shell]),
            "correct docs/fleets.md",
        )?;
    }
    Ok(())
}

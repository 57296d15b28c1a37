use super::*;

fn requirement(name: &str) -> &'static Requirement {
    let mut requirements = programs::REQUIREMENTS.iter();
    requirements
        .find(|requirement| requirement.name == name)
        .unwrap()
}

#[test]
fn one_list_with_everything() {
    let requirements = [
        requirement("mandoc"),
        requirement("rpmbuild"),
        requirement("rpm"),
    ];
    assert_eq!(
        refusal(&requirements, STATIC, Some(Family::Debian)),
        "this machine lacks what the command needs:
  mandoc                   for manual pages and completions
  rpmbuild                 for the RPM package
  rpm                      for the RPM package
Install it as root and try again:
  apt-get install mandoc rpm"
    );
    let text = refusal(
        &[requirement("pacman"), requirement("fish")],
        STATIC,
        Some(Family::Suse),
    );
    assert!(text.contains("zypper install fish\n"), "{text}");
    assert!(text.contains("no package has pacman"), "{text}");
    let text = refusal(&requirements, STATIC, None);
    assert!(
        text.contains("dnf install mandoc rpm-build rpm\n"),
        "{text}"
    );
}

#[test]
fn only_what_the_command_needs() {
    let names = |command, words: &[&str], flag| {
        let requirements = programs::needed(&of(command, words, |name| name == flag));
        requirements
            .iter()
            .map(|requirement| requirement.name)
            .collect::<Vec<_>>()
    };
    let demo = names("demo", &[], "");
    assert!(
        demo.contains(&"cc") && demo.contains(&"apt-get"),
        "{demo:?}"
    );
    assert!(!demo.contains(&"zsh") && !demo.contains(&"g++"), "{demo:?}");
    let everything = names("test", &[], "");
    for one in ["makepkg", "mcopy", "g++", "cargo fmt", "ssh-keygen"] {
        assert!(everything.contains(&one), "{one}");
    }
    let steady = names("test", &[], "--static");
    assert!(
        steady.contains(&"makepkg") && !steady.contains(&"mcopy"),
        "{steady:?}"
    );
    let release = names("dist", &["release"], "");
    assert!(
        release.contains(&"createrepo_c") && !release.contains(&"makepkg"),
        "{release:?}"
    );
    assert!(names("dist", &["rpm"], "").contains(&"ldd"));
    assert!(names("table", &["seen"], "").is_empty());
}

#[test]
fn every_place_names_the_rust_that_cargo_asks_for() {
    let oldest = crate::msrv::OLDEST;
    for (name, wanted) in [
        ("Cargo.toml", format!("rust-version = \"{oldest}\"")),
        (
            "README.md",
            format!("[Rust](https://rustup.rs) {oldest} or newer"),
        ),
        // Arch Linux's package has the epoch 1.
        ("dist/arch/PKGBUILD", format!("'rust>=1:{oldest}'")),
        ("docs/packaging.md", format!("Rust {oldest} or newer")),
    ] {
        let text = std::fs::read_to_string(host::root().join(name)).unwrap();
        assert!(text.contains(&wanted), "looked for {wanted:?} in {name}");
    }
}

/// What starts a program by its name is in the table.
#[test]
fn every_program_that_is_started_is_in_the_table() {
    // Shells and programs of every Linux; what is started only if it is there; what
    // the lab itself fetches; and cargo, which started this.
    let known = ["sh", "env", "sudo", "rustup", "rustc"];
    let mut files = Vec::new();
    for folder in ["xtask/src", "kexec-lab/src", "kexec-lab/tests"] {
        sources(&host::root().join(folder), &mut files);
    }
    let mut seen = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for rest in text.split(concat!("Command::new", "(\"")).skip(1) {
            let name = rest.split('"').next().unwrap();
            let listed = programs::REQUIREMENTS
                .iter()
                .any(|requirement| requirement.name == name);
            assert!(
                listed || known.contains(&name) || name.starts_with("no-such-"),
                "{} starts {name}, which kexec-lab/src/programs/mod.rs does not know",
                file.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 30, "found only {seen} places that start a program");
}

fn sources(folder: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

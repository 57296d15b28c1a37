//! The image that mkinitcpio's unit makes while the machine shuts down: which of
//! its two hooks is in it, and so which /shutdown. Since v39 every Arch machine
//! has a configuration with `HOOKS=(sd-shutdown)` for it; the hook `shutdown` is
//! there only where somebody put it (mkinitcpio(8), and its files
//! tmpfiles/20-mkinitcpio.conf, install/sd-shutdown and install/shutdown).

use super::{ExitrdJump, ExitrdKind, Libraries, scripted, text};
use kexec_machine::Fact;
use kexec_machine::volumes::Volumes;

use super::program::Runs;

/// The unit of mkinitcpio that makes the shutdown image.
pub(super) const SERVICE: &str = "mkinitcpio-generate-shutdown-ramfs.service";
/// The configuration that the unit waits for and hands to mkinitcpio.
const CONFIG: &str = "/run/initramfs/mkinitcpio-shutdown.conf";
/// Where units are, the first counts (systemd.unit(5)).
const UNITS: &[&str] = &[
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];
/// The script of the hook `shutdown`.
const SCRIPTS: &[&str] = &["/usr/lib/initcpio/shutdown", "/lib/initcpio/shutdown"];

/// What that image will be; none when there will be none, or one without /shutdown.
pub(super) fn planned(volumes: &Volumes) -> Option<(ExitrdKind, ExitrdJump)> {
    if !generates(volumes) {
        return None;
    }
    let unit = ServiceText::read(volumes);
    let missing = |path: &String| !volumes.machine_has(path);
    if unit.waits_for.iter().any(missing) {
        return None;
    }
    let config = text(volumes, &unit.config).and_then(|file| words(&file));
    let Some(words) = config.filter(|_| unit.is_mkinitcpio) else {
        let why = format!(
            "what {SERVICE} puts into it cannot be determined from {}",
            unit.config
        );
        return Some((ExitrdKind::Other, ExitrdJump::Unknown { why }));
    };
    let mut hooks = unit.hooks.iter().chain(&words.hooks);
    match hooks.rfind(|hook| ["sd-shutdown", "shutdown"].contains(&hook.as_str()))? {
        hook if hook == "sd-shutdown" => {
            let by = "its hook sd-shutdown has systemd-shutdown, which jumps".to_owned();
            Some((ExitrdKind::Systemd, ExitrdJump::Yes { by }))
        }
        _ => {
            let listed = words.hooks.iter().chain(&words.binaries);
            let listed = listed
                .filter(|word| word.rsplit('/').next() == Some("kexec"))
                .map(|_| format!("kexec, listed in {}", unit.config));
            let inside = listed.chain(unit.brings).next();
            // mkinitcpio brings the libraries of what is listed.
            let inside = inside.map(|what| (what, Runs::Yes));
            let script = SCRIPTS.iter().find_map(|path| text(volumes, path));
            let jump = match script {
                Some(script) => scripted(volumes, &script, inside, Libraries::Mkinitcpio),
                None => ExitrdJump::Unknown {
                    why: format!("its script {} cannot be read", SCRIPTS.join(" or ")),
                },
            };
            Some((ExitrdKind::Mkinitcpio, jump))
        }
    }
}

/// Whether a shutdown starts the unit.
fn generates(volumes: &Volumes) -> bool {
    let masked = UNITS.iter().take(2).any(|folder| {
        volumes.machine_link(&format!("{folder}/{SERVICE}")) == Fact::Known("/dev/null".to_owned())
    });
    !masked
        && UNITS.iter().any(|folder| {
            ["kexec", "shutdown", "reboot"].iter().any(|target| {
                volumes.machine_has(&format!("{folder}/{target}.target.wants/{SERVICE}"))
            })
        })
}

/// What the unit's text says.
struct ServiceText {
    /// Whether it runs mkinitcpio at all.
    is_mkinitcpio: bool,
    /// The configuration that it names.
    config: String,
    /// Hooks that it adds itself (`-A`).
    hooks: Vec<String>,
    /// Files without which it does nothing.
    waits_for: Vec<String>,
    /// A command of its drop-ins that puts kexec into the image, as `kexec enable
    /// exitrd` writes one.
    brings: Option<String>,
}

impl ServiceText {
    fn read(volumes: &Volumes) -> ServiceText {
        let mut files = UNITS.iter().map(|folder| format!("{folder}/{SERVICE}"));
        let own = files.find_map(|path| text(volumes, &path));
        let mut unit = ServiceText {
            // A unit that cannot be read is taken for the package's.
            is_mkinitcpio: own.is_none(),
            config: CONFIG.to_owned(),
            hooks: Vec::new(),
            waits_for: match own {
                Some(_) => Vec::new(),
                None => vec![CONFIG.to_owned()],
            },
            brings: None,
        };
        for line in own.iter().flat_map(|file| file.lines()) {
            unit.line(line);
        }
        for folder in UNITS {
            let folder = format!("{folder}/{SERVICE}.d");
            let names = volumes.machine_entries(&folder);
            let names = names.known().into_iter().flatten();
            for name in names.filter(|name| name.ends_with(".conf")) {
                let path = format!("{folder}/{name}");
                let file = text(volumes, &path).unwrap_or_default();
                for line in file.lines() {
                    unit.line(line);
                    if line.starts_with("ExecStart") && line.contains("kexec") {
                        unit.brings = Some(format!("kexec, by {path}"));
                    }
                }
            }
        }
        unit
    }

    fn line(&mut self, line: &str) {
        let Some((key, value)) = line.trim().split_once('=') else {
            return;
        };
        match key.trim_end() {
            "ConditionPathExists" if value.trim().starts_with('/') => {
                self.waits_for.push(value.trim().to_owned());
            }
            "ExecStart" if value.trim().is_empty() => self.is_mkinitcpio = false,
            "ExecStart" => {
                let words: Vec<&str> = value.split_whitespace().collect();
                let first = words.first().copied().unwrap_or_default();
                let program = first.trim_start_matches(['-', '@', '!', ':', '+']);
                self.is_mkinitcpio |= program.rsplit('/').next() == Some("mkinitcpio");
                for pair in words.windows(2) {
                    match pair {
                        ["-c" | "--config", path] => self.config = (*path).to_owned(),
                        ["-A" | "--addhooks", hooks] => {
                            self.hooks.extend(hooks.split(',').map(str::to_owned));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// What mkinitcpio's configuration says, a file that bash reads (mkinitcpio.conf(5)).
#[derive(Debug, Default, PartialEq, Eq)]
struct ShellWords {
    hooks: Vec<String>,
    binaries: Vec<String>,
}

/// The two lists; `None` where one of them is something that only bash can tell.
fn words(file: &str) -> Option<ShellWords> {
    let mut found = ShellWords::default();
    let mut rest = file;
    while let Some(line) = rest.lines().next() {
        let after = rest.get(line.len()..).unwrap_or_default();
        rest = after.strip_prefix('\n').unwrap_or(after);
        let Some((name, value)) = line.trim_start().split_once('=') else {
            continue;
        };
        let (name, adds) = match name.strip_suffix('+') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let list = match name {
            "HOOKS" => &mut found.hooks,
            "BINARIES" => &mut found.binaries,
            _ => continue,
        };
        let uncommented = |line: &str| line.split(" #").next().unwrap_or_default().to_owned();
        let mut value = uncommented(value);
        while value.starts_with('(') && !value.contains(')') {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            if rest.is_empty() {
                return None;
            }
            value.push(' ');
            value.push_str(&uncommented(line));
            rest = after;
        }
        let inner = match value.strip_prefix('(') {
            Some(list) => list.split_once(')')?.0,
            None => value.trim(),
        };
        if inner.contains(['$', '`', '\\', '*']) {
            return None;
        }
        if !adds {
            list.clear();
        }
        let bare = inner.replace(['"', '\''], " ");
        list.extend(bare.split_whitespace().map(str::to_owned));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_bash_has_them() {
        let hooks = |file: &str| words(file).map(|words| words.hooks.join(" "));
        assert_eq!(hooks("HOOKS=(sd-shutdown)\n").unwrap(), "sd-shutdown");
        assert_eq!(hooks("HOOKS=(a)\nHOOKS+=(b 'c')").unwrap(), "a b c");
        assert_eq!(hooks("HOOKS=(a)\nHOOKS=\"b c\" # d").unwrap(), "b c");
        assert_eq!(hooks("HOOKS=(a # why\n  b\n  c)\n").unwrap(), "a b c");
        assert_eq!(hooks("# HOOKS=(a)\nFILES=(b)\n").unwrap(), "");
        assert_eq!(hooks("HOOKS=(a $more)\n"), None);
        assert_eq!(hooks("HOOKS=(a\nb\n"), None);
        assert_eq!(words("BINARIES=(kexec)").unwrap().binaries, ["kexec"]);
    }
}

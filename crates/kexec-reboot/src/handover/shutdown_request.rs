//! How init is asked for the shutdown that ends in the jump: one table from the
//! facts of init to a command, or to a refusal before anything is done.

use serde::Serialize;

use super::init::{Inhibitor, Init, InitFacts};
use kexec_load::Error;
use kexec_machine::{Problem, programs};

/// What the caller wants of the shutdown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShutdownRequest {
    /// `-i`: shut down although somebody holds a lock against it.
    pub ignore_inhibitors: bool,
    /// `--when`: at this time (systemctl(1)).
    pub when: Option<String>,
}

/// The way to the shutdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Handover {
    /// Which init is asked.
    pub init: Init,
    /// The command, and what follows it.
    pub command: Vec<String>,
    /// Environment variables for it.
    pub environment: Vec<(String, String)>,
    /// Why this way, where that is not plain.
    pub why: String,
}

impl Handover {
    fn new(init: Init, command: &[&str]) -> Handover {
        Handover {
            init,
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            environment: Vec::new(),
            why: String::new(),
        }
    }

    /// The command as people would type it.
    pub fn text(&self) -> String {
        let variables = self.environment.iter().map(|(k, v)| format!("{k}={v}"));
        let words = variables.chain(self.command.iter().cloned());
        words.collect::<Vec<_>>().join(" ")
    }
}

/// The first systemd whose logind no longer looks for a kexec program.
const NO_PROGRAM: u32 = 261;
/// The first systemd with `systemctl --when` (NEWS, version 254).
const WHEN: u32 = 254;
/// The first systemd whose locks hold for root, too, and for `systemctl -i` where no
/// polkit says otherwise (NEWS, version 257; "Access denied" in a guest without it).
const STRONG_LOCKS: u32 = 257;

/// What jumps without init.
const NOW: &str = "kexec reboot --now jumps without stopping services: file systems are written \
                   out and frozen first";

fn refusal(facts: &InitFacts, why: String, remedy: &str) -> Error {
    Error::refused(
        format!("asking {} for the shutdown", facts.init.name()),
        why,
        remedy,
    )
}

/// Whether init takes the time, where there is one.
fn can_wait(facts: &InitFacts, request: &ShutdownRequest) -> Result<(), Error> {
    let why = match (facts.init, facts.systemd) {
        _ if request.when.is_none() => return Ok(()),
        (Init::Systemd, Some(version)) if version < WHEN => {
            format!("systemd {version} cannot schedule a kexec (--when needs {WHEN})")
        }
        (Init::Systemd, _) => return Ok(()),
        _ => "it cannot schedule a shutdown".to_owned(),
    };
    Err(refusal(facts, why, "leave --when out"))
}

/// The way to a shutdown that ends in the jump.
///
/// # Errors
/// [`Error::Refused`]: init would not do it, or would boot cold.
pub fn plan(facts: &InitFacts, request: &ShutdownRequest) -> Result<Handover, Error> {
    let refused = |why: String, remedy: &str| refusal(facts, why, remedy);
    if let (Some(first), false) = (facts.inhibitors.first(), request.ignore_inhibitors) {
        return Err(refused(locks(first, facts.inhibitors.len()), LOCKS));
    }
    can_wait(facts, request)?;
    let by_hook = |command: &[&str], place: &str| match &facts.hook {
        Some(file) => Ok(Handover {
            why: format!("{file} jumps at its end"),
            ..Handover::new(facts.init, command)
        }),
        None => Err(refused(
            format!("its reboot does not jump into a loaded kernel: nothing in {place} runs kexec"),
            NOW,
        )),
    };
    match facts.init {
        Init::Systemd => systemd(facts, request, refused),
        Init::OpenrcInit => Ok(Handover::new(
            facts.init,
            &["openrc-shutdown", "--kexec", "now"],
        )),
        Init::Dinit => Ok(Handover::new(facts.init, &["shutdown", "-k"])),
        Init::Sysvinit => by_hook(
            &["shutdown", "-r", "now"],
            "/etc/rc6.d or /etc/runlevels/shutdown",
        ),
        Init::Runit => by_hook(&["shutdown", "-r", "now"], "/etc/runit/3"),
        Init::Busybox => by_hook(&["reboot"], "a ::shutdown: line of /etc/inittab"),
        Init::S6 | Init::Other => Err(refused(
            "it cannot end a shutdown in a kexec".to_owned(),
            NOW,
        )),
    }
}

const LOCKS: &str = "wait until it is done (systemd-inhibit --list), or use -i to shut down anyway";

fn locks(first: &Inhibitor, count: usize) -> String {
    let more = match count {
        0 | 1 => String::new(),
        more => format!(", and {} more", more - 1),
    };
    format!(
        "{} holds a shutdown inhibitor lock ({}){more}",
        first.who, first.why
    )
}

fn systemd(
    facts: &InitFacts,
    request: &ShutdownRequest,
    refused: impl Fn(String, &str) -> Error,
) -> Result<Handover, Error> {
    let older = |version: u32| facts.systemd.is_some_and(|running| running < version);
    if older(NO_PROGRAM) && !facts.kexec_installed {
        if request.when.is_some() {
            return Err(refused(
                "logind refuses without a program at /usr/sbin/kexec".to_owned(),
                "install this program there",
            ));
        }
        return Ok(by_manager(
            "kexec.target",
            "logind of this version refuses without a program at /usr/sbin/kexec; the service \
             manager does not",
        ));
    }
    if over_strong_locks(facts, request) {
        return Ok(by_manager(
            "kexec.target",
            "logind of this version overrides a lock only with polkit, which may not be \
             installed; the service manager is not asked to honour locks",
        ));
    }
    // Said in words, because versions differ in what they do for root when
    // nothing is said.
    let check = if request.ignore_inhibitors {
        "no"
    } else {
        "yes"
    };
    let mut handover = Handover::new(facts.init, &["systemctl", "kexec"]);
    handover.command.push(format!("--check-inhibitors={check}"));
    if let Some(when) = &request.when {
        handover.command.push(format!("--when={when}"));
    }
    Ok(handover)
}

/// Whether there are locks that logind would not go over.
fn over_strong_locks(facts: &InitFacts, request: &ShutdownRequest) -> bool {
    let strong = facts.systemd.is_none_or(|running| running >= STRONG_LOCKS);
    request.ignore_inhibitors && request.when.is_none() && !facts.inhibitors.is_empty() && strong
}

/// The service manager itself, without logind.
fn by_manager(target: &str, why: &str) -> Handover {
    let command = [
        "systemctl",
        "start",
        target,
        "--job-mode=replace-irreversibly",
        "--no-block",
    ];
    Handover {
        why: why.to_owned(),
        ..Handover::new(Init::Systemd, &command)
    }
}

/// The way to a reboot through the firmware, for `--or-cold` and `--cold`.
///
/// # Errors
/// [`Error::Refused`]: init takes no time for it.
pub fn cold(facts: &InitFacts, request: &ShutdownRequest) -> Result<Handover, Error> {
    can_wait(facts, request)?;
    Ok(match facts.init {
        Init::Systemd if over_strong_locks(facts, request) => {
            by_manager("reboot.target", "the service manager ignores locks")
        }
        Init::Systemd => {
            let check = if request.ignore_inhibitors {
                "no"
            } else {
                "yes"
            };
            let mut handover = Handover::new(facts.init, &["systemctl", "reboot"]);
            handover.command.push(format!("--check-inhibitors={check}"));
            // Something else that is loaded must not be jumped into.
            let variable = ("SYSTEMCTL_SKIP_AUTO_KEXEC".to_owned(), "1".to_owned());
            handover.environment.push(variable);
            let when = request.when.iter().map(|when| format!("--when={when}"));
            handover.command.extend(when);
            handover
        }
        Init::Busybox => Handover::new(facts.init, &["reboot"]),
        _ => Handover::new(facts.init, &["shutdown", "-r", "now"]),
    })
}

/// Runs the command of a plan and waits for its answer. The shutdown itself
/// goes on when it returns.
///
/// # Errors
/// [`Error::System`], with what the command said.
pub fn carry_out(handover: &Handover) -> Result<(), Error> {
    let what = format!("asking for the shutdown with `{}`", handover.text());
    let remedy = "read its message; nothing was shut down";
    let Some((program, words)) = handover.command.split_first() else {
        return Err(Error::system(what, "there is no command", remedy));
    };
    let variables = handover.environment.iter().map(|(k, v)| (k, v));
    let output = programs::command(program)
        .args(words)
        .envs(variables)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(e) => return Err(Error::System(Problem::caused(what, e, remedy))),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let why = match said.as_str() {
        "" => output.status.to_string(),
        said => format!("{} ({said})", output.status),
    };
    Err(Error::system(what, why, remedy))
}

/// Whether systemd is on the way into another target than the kexec: its own
/// words about the jobs under way. `None` when it cannot be asked any more.
pub fn jobs() -> Option<String> {
    let output = programs::command("systemctl")
        .args(["list-jobs", "--no-legend", "--no-pager", "--full"])
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The target that a list of jobs leads to, of those that end a boot.
pub fn target_of(jobs: &str) -> Option<&str> {
    let ends = [
        "kexec.target",
        "reboot.target",
        "poweroff.target",
        "halt.target",
        "soft-reboot.target",
    ];
    jobs.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let unit = fields.find(|field| ends.contains(field))?;
        (fields.next() == Some("start")).then_some(unit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(init: Init) -> InitFacts {
        InitFacts {
            init,
            systemd: (init == Init::Systemd).then_some(257),
            kexec_installed: true,
            inhibitors: vec![],
            hook: None,
        }
    }

    fn text(facts: &InitFacts, request: &ShutdownRequest) -> String {
        plan(facts, request).unwrap().text()
    }

    fn refusal(facts: &InitFacts, request: &ShutdownRequest) -> String {
        plan(facts, request).unwrap_err().to_string()
    }

    fn when() -> ShutdownRequest {
        ShutdownRequest {
            when: Some("03:00".into()),
            ..ShutdownRequest::default()
        }
    }

    #[test]
    fn systemd_by_version() {
        let mut systemd = facts(Init::Systemd);
        let plain = ShutdownRequest::default();
        assert_eq!(
            text(&systemd, &plain),
            "systemctl kexec --check-inhibitors=yes"
        );
        assert_eq!(
            text(&systemd, &when()),
            "systemctl kexec --check-inhibitors=yes --when=03:00"
        );
        systemd.kexec_installed = false;
        assert!(text(&systemd, &plain).starts_with("systemctl start kexec.target"));
        assert!(refusal(&systemd, &when()).contains("/usr/sbin/kexec"));
        systemd.systemd = Some(262);
        assert!(text(&systemd, &plain).starts_with("systemctl kexec"));
        systemd.systemd = Some(252);
        assert!(refusal(&systemd, &when()).contains("--when needs 254"));
    }

    #[test]
    fn locks_are_heeded_and_can_be_ignored() {
        let mut systemd = facts(Init::Systemd);
        let lock = |who: &str| Inhibitor {
            who: who.into(),
            why: "half way".into(),
        };
        systemd.inhibitors = vec![lock("apt"), lock("player")];
        assert_eq!(
            refusal(&systemd, &ShutdownRequest::default()),
            "asking systemd for the shutdown: apt holds a shutdown inhibitor lock (half way), and \
             1 more"
        );
        let ignore = ShutdownRequest {
            ignore_inhibitors: true,
            ..ShutdownRequest::default()
        };
        assert!(text(&systemd, &ignore).starts_with("systemctl start kexec.target"));
        for (version, locks) in [(Some(252), true), (Some(257), false)] {
            let mut other = systemd.clone();
            other.systemd = version;
            if !locks {
                other.inhibitors.clear();
            }
            assert_eq!(
                text(&other, &ignore),
                "systemctl kexec --check-inhibitors=no"
            );
        }
    }

    #[test]
    fn other_inits() {
        let plain = ShutdownRequest::default();
        assert_eq!(
            text(&facts(Init::OpenrcInit), &plain),
            "openrc-shutdown --kexec now"
        );
        assert_eq!(text(&facts(Init::Dinit), &plain), "shutdown -k");
        for init in [Init::Sysvinit, Init::Runit, Init::Busybox] {
            let mut facts = facts(init);
            let error = plan(&facts, &plain).unwrap_err();
            assert!(error.to_string().contains("does not jump"), "{error}");
            assert!(error.remedy().contains("--now"));
            facts.hook = Some("/etc/hook".into());
            assert!(plan(&facts, &plain).unwrap().why.contains("/etc/hook"));
            assert!(refusal(&facts, &when()).contains("cannot schedule"));
        }
        for init in [Init::S6, Init::Other] {
            assert!(plan(&facts(init), &plain).is_err());
        }
    }

    #[test]
    fn a_cold_reboot_stays_cold() {
        let text = cold(&facts(Init::Systemd), &ShutdownRequest::default())
            .unwrap()
            .text();
        assert_eq!(
            text,
            "SYSTEMCTL_SKIP_AUTO_KEXEC=1 systemctl reboot --check-inhibitors=yes"
        );
        let later = cold(&facts(Init::Systemd), &when()).unwrap().text();
        assert!(later.ends_with(" --when=03:00"), "{later}");
        assert!(cold(&facts(Init::Sysvinit), &when()).is_err());
        let mut locked = facts(Init::Systemd);
        locked.inhibitors = vec![Inhibitor {
            who: "apt".into(),
            why: String::new(),
        }];
        let ignore = ShutdownRequest {
            ignore_inhibitors: true,
            ..ShutdownRequest::default()
        };
        let text = cold(&locked, &ignore).unwrap().text();
        assert!(text.starts_with("systemctl start reboot.target"), "{text}");
        assert_eq!(
            cold(&facts(Init::Sysvinit), &ShutdownRequest::default())
                .unwrap()
                .text(),
            "shutdown -r now"
        );
    }

    #[test]
    fn jobs_tell_where_it_goes() {
        let jobs = "123 systemd-kexec.service start waiting\n124 kexec.target start waiting\n";
        assert_eq!(target_of(jobs), Some("kexec.target"));
        assert_eq!(
            target_of("7 reboot.target start waiting"),
            Some("reboot.target")
        );
        assert_eq!(target_of("7 reboot.target stop waiting"), None);
        assert_eq!(target_of(""), None);
    }
}

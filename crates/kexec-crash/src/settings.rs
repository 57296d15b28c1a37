//! What the configuration of a service sets for the command line: its initrd was made for that,
//! and whoever wrote it there wants it in the crash kernel.

use kexec_plan::Cmdline;

use crate::shell::{Assigned, assigned};
use crate::target::Service;

/// What a service sets. Of two services, each has its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineSettings {
    /// Whose it is.
    pub service: Service,
    /// What the line is derived from, in place of the running kernel's.
    pub base: Option<Cmdline>,
    /// Names of parameters that are removed.
    pub remove: Vec<String>,
    /// Parameters that are added, in place of what a rule would add.
    pub append: Option<Cmdline>,
    /// What could not be read, for people.
    pub unclear: Vec<String>,
}

impl LineSettings {
    /// Nothing is set.
    pub fn none(service: Service) -> LineSettings {
        LineSettings {
            service,
            base: None,
            remove: Vec::new(),
            append: None,
            unclear: Vec::new(),
        }
    }

    /// The file could not be read.
    pub fn unread(service: Service, why: String) -> LineSettings {
        LineSettings {
            unclear: vec![why],
            ..LineSettings::none(service)
        }
    }

    /// Of the text of its file ([`Service::line_variables`]).
    pub fn parse(service: Service, text: &str) -> LineSettings {
        let names = service.line_variables();
        let mut unclear = Vec::new();
        let mut value = |name: &str| match assigned(text, name)? {
            // Lines and tabs are blanks on a command line.
            Assigned::Text(value) => {
                let words: Vec<&str> = value.split_whitespace().collect();
                Some(words.join(" ")).filter(|value| !value.is_empty())
            }
            Assigned::Unclear(why) => {
                unclear.push(format!("{name} in {} is not used: {why}", names.file));
                None
            }
        };
        let base = value(names.base).map(|line| Cmdline::from(line.as_str()));
        let append = value(names.append).map(|line| Cmdline::from(line.as_str()));
        let remove = names.remove.and_then(&mut value).unwrap_or_default();
        LineSettings {
            service,
            base,
            remove: remove.split(' ').map(str::to_owned).collect(),
            append,
            unclear,
        }
        .without_nothing()
    }

    /// An empty list has one empty name.
    fn without_nothing(mut self) -> LineSettings {
        self.remove.retain(|name| !name.is_empty());
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_services_have() {
        let debian = "USE_KDUMP=1\n#KDUMP_CMDLINE=\"no\"\n\
            KDUMP_CMDLINE_APPEND=\"reset_devices  nr_cpus=4\n usbcore.nousb\"\n";
        let set = LineSettings::parse(Service::KdumpTools, debian);
        assert_eq!(set.base, None);
        assert_eq!(
            set.append,
            Some("reset_devices nr_cpus=4 usbcore.nousb".into())
        );
        let fedora = "KDUMP_COMMANDLINE=\"\"\n\
            KDUMP_COMMANDLINE_REMOVE=\"hugepages hugepagesz slub_debug\"\n\
            KDUMP_COMMANDLINE_APPEND=\"irqpoll nr_cpus=1\"\nKEXEC_ARGS=\"-s\"\n";
        let set = LineSettings::parse(Service::KdumpUtils, fedora);
        assert_eq!(set.base, None);
        assert_eq!(set.remove, ["hugepages", "hugepagesz", "slub_debug"]);
        assert_eq!(set.append, Some("irqpoll nr_cpus=1".into()));
        // openSUSE's has no list of what is removed.
        let suse = LineSettings::parse(Service::Kdump, fedora);
        assert_eq!(suse.remove, Vec::<String>::new());
        let none = LineSettings::parse(Service::KdumpTools, "USE_KDUMP=1\n");
        assert_eq!(none, LineSettings::none(Service::KdumpTools));
    }

    #[test]
    fn what_only_a_shell_knows_is_named() {
        let text = "KDUMP_CMDLINE=\"$(cat /proc/cmdline)\"\nKDUMP_CMDLINE_APPEND=a\n";
        let set = LineSettings::parse(Service::KdumpTools, text);
        assert_eq!((set.base, set.append), (None, Some("a".into())));
        assert_eq!(
            set.unclear,
            [
                "KDUMP_CMDLINE in /etc/default/kdump-tools is not used: the shell puts something into \
              it ($ or `)"
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text(value in ".{0,80}", text in ".{0,80}") {
            for service in Service::ALL {
                let _ = LineSettings::parse(*service, &text);
                let name = service.line_variables().append;
                let set = LineSettings::parse(*service, &format!("{name}={value}\n"));
                prop_assert!(set.append.is_none_or(|line| !line.to_string().contains('\n')));
            }
        }
    }
}

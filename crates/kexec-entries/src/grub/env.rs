//! The variables of a run, and what GRUB itself puts there before it reads its
//! first line.

use std::collections::BTreeMap;

use super::devices::FilePath;
use super::text::{Place, Text, Why};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValueOrigin {
    /// The line that set it.
    pub place: Place,
    /// The variables that were expanded to make it.
    pub through: Vec<String>,
    /// The environment block that it was loaded from.
    pub block: Option<FilePath>,
}

/// A variable of the environment: its value, and where that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    /// Its value, as far as that is known.
    pub text: Text,
    /// Whether submenus and other configuration files see it.
    pub exported: bool,
    /// Where the value came from; `None` for what GRUB set itself.
    pub origin: Option<ValueOrigin>,
}

/// The environment: every variable that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Env {
    variables: BTreeMap<String, Variable>,
    /// Why nothing is known any more, not even that a variable is not set.
    forgotten: Option<Why>,
}

/// Names that GRUB itself may have set to something that only it knows: the
/// manual's "Special environment variables" and its `datehook` and `net`
/// modules.
const BOOT_TIME: [&str; 22] = [
    "DAY",
    "HOUR",
    "MINUTE",
    "MONTH",
    "SECOND",
    "WEEKDAY",
    "YEAR",
    "biosnum",
    "check_signatures",
    "cmdpath",
    "color_highlight",
    "color_normal",
    "debug",
    "fw_path",
    "lang",
    "locale_dir",
    "lockdown",
    "pager",
    "secondary_locale_dir",
    "shim_lock",
    "tpm_fail_fatal",
    "gfxmode",
];

/// And the beginnings of such names.
const BOOT_TIME_STARTS: [&str; 3] = ["net_", "pxe_", "feature_"];

/// What GRUB 2.02 and later set to `y`: seen in `set` of 2.06, 2.12 and 2.14.
pub(super) const FEATURES: [&str; 10] = [
    "feature_200_final",
    "feature_all_video_module",
    "feature_chainloader_bpb",
    "feature_default_font_path",
    "feature_menuentry_id",
    "feature_menuentry_options",
    "feature_nativedisk_cmd",
    "feature_ntldr",
    "feature_platform_search_hint",
    "feature_timeout_style",
];

impl Env {
    /// A variable, if it is set.
    pub(super) fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.get(name)
    }

    /// The value of a variable: empty when nobody set it, unknown when GRUB may
    /// have.
    pub(super) fn get(&self, name: &str) -> Text {
        if let Some(variable) = self.variables.get(name) {
            return variable.text.clone();
        }
        if let Some(why) = &self.forgotten {
            return Text::unknown(why.clone());
        }
        let starts = BOOT_TIME_STARTS.iter().any(|start| name.starts_with(start));
        if starts || BOOT_TIME.contains(&name) {
            let what = format!("${name} is set by GRUB when it starts");
            return Text::unknown(Why::of(what));
        }
        Text::default()
    }

    /// Sets a variable and leaves it exported or not, as it was.
    pub(super) fn set(&mut self, name: &str, text: Text, origin: Option<ValueOrigin>) {
        let exported = self.variables.get(name).is_some_and(|v| v.exported);
        let variable = Variable {
            text,
            exported,
            origin,
        };
        self.variables.insert(name.to_owned(), variable);
    }

    /// Takes a variable away.
    pub(super) fn unset(&mut self, name: &str) {
        let empty = Text::default();
        match self.variables.get_mut(name) {
            // One that GRUB may have set must not look as if GRUB still had it.
            Some(variable) => {
                variable.text = empty;
                variable.origin = None;
            }
            None => self.set(name, empty, None),
        }
    }

    /// Makes a variable visible to submenus and other configuration files.
    pub(super) fn export(&mut self, name: &str) {
        match self.variables.get_mut(name) {
            Some(variable) => variable.exported = true,
            None => {
                let text = self.get(name);
                let variable = Variable {
                    text,
                    exported: true,
                    origin: None,
                };
                self.variables.insert(name.to_owned(), variable);
            }
        }
    }

    /// Sets a variable that is exported.
    pub(super) fn set_exported(&mut self, name: &str, text: Text) {
        self.set(name, text, None);
        self.export(name);
    }

    /// What a submenu or another configuration file starts with.
    pub(super) fn inherited(&self) -> Env {
        let exported = |(name, variable): (&String, &Variable)| {
            variable.exported.then(|| (name.clone(), variable.clone()))
        };
        Env {
            variables: self.variables.iter().filter_map(exported).collect(),
            forgotten: self.forgotten.clone(),
        }
    }

    /// Its size, to charge for a copy.
    pub(super) fn weight(&self) -> u64 {
        let weight = |(name, variable): (&String, &Variable)| name.len() + variable.text.len();
        let bytes: usize = self.variables.iter().map(weight).sum();
        u64::try_from(bytes / 16 + self.variables.len()).unwrap_or(u64::MAX)
    }

    /// What is known when either this happened or that: only what is the same.
    pub(super) fn join(self, other: Env, why: &Why) -> Env {
        let names: Vec<String> = self
            .variables
            .keys()
            .chain(other.variables.keys())
            .cloned()
            .collect();
        let mut joined = Env {
            variables: BTreeMap::new(),
            forgotten: self.forgotten.clone().or(other.forgotten.clone()),
        };
        for name in names {
            let (a, b) = (self.get(&name), other.get(&name));
            let exported = |env: &Env| env.variable(&name).is_some_and(|v| v.exported);
            let text = if a == b {
                a
            } else {
                Text::unknown(why.clone())
            };
            let origin = self.variable(&name).and_then(|v| v.origin.clone());
            let variable = Variable {
                text,
                exported: exported(&self) || exported(&other),
                origin,
            };
            joined.variables.insert(name, variable);
        }
        joined
    }

    /// Forgets every value.
    pub(super) fn forget(&mut self, why: &Why) {
        self.forgotten.get_or_insert_with(|| why.clone());
        for variable in self.variables.values_mut() {
            variable.text = Text::unknown(why.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grub_may_have_set_is_not_taken_for_empty() {
        let mut env = Env::default();
        assert!(env.get("mine").is_empty());
        assert!(env.get("net_default_ip").why_unknown().is_some());
        assert!(env.get("feature_of_tomorrow").why_unknown().is_some());
        env.unset("lang");
        assert!(env.get("lang").is_empty());
        env.forget(&Why::of("lost"));
        assert!(env.get("lang").why_unknown().is_some());
        assert!(env.get("mine").why_unknown().is_some());
    }

    #[test]
    fn only_what_is_exported_is_inherited() {
        let mut env = Env::default();
        env.set("a", Text::known("1"), None);
        env.export("b");
        env.set("b", Text::known("2"), None);
        let inner = env.inherited();
        assert!(inner.get("a").is_empty());
        assert_eq!(inner.get("b"), Text::known("2"));
    }

    #[test]
    fn joining_keeps_what_is_the_same() {
        let (mut a, mut b) = (Env::default(), Env::default());
        for env in [&mut a, &mut b] {
            env.set("same", Text::known("1"), None);
        }
        a.set("one", Text::known("1"), None);
        b.set("two", Text::default(), None);
        let joined = a.join(b, &Why::of("keystatus"));
        assert_eq!(joined.get("same"), Text::known("1"));
        assert!(joined.get("one").why_unknown().is_some());
        assert!(joined.get("two").is_empty());
    }
}

//! Which mirror, and through which proxy: read from the host's apt.

use std::path::Path;
use std::process::Command;

/// Where packages come from when the host's own sources name no mirror.
const DEFAULT: &str = "http://deb.debian.org/debian";

/// A Debian mirror and the host's settings for reaching it.
#[derive(Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Address of the archive, without a trailing slash.
    pub uri: String,
    /// Lines of apt configuration (proxies and the like). They can hold a
    /// password: never printed.
    pub(super) settings: String,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror").field("uri", &self.uri).finish()
    }
}

impl Mirror {
    /// Lines of apt configuration for reaching it. They can hold a password: never
    /// printed.
    #[must_use]
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// The environment's `KEXEC_LAB_MIRROR`, or the mirror of the host's own
    /// Debian sources, or deb.debian.org.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let uri = std::env::var("KEXEC_LAB_MIRROR")
            .ok()
            .filter(|uri| !uri.is_empty())
            .or_else(|| in_folder(Path::new("/etc/apt")))
            .unwrap_or_else(|| DEFAULT.to_owned());
        Self {
            uri: uri.trim_end_matches('/').to_owned(),
            settings: settings(),
        }
    }
}

/// First Debian mirror that the sources below `etc` name.
fn in_folder(etc: &Path) -> Option<String> {
    let mut files = vec![etc.join("sources.list")];
    if let Ok(entries) = std::fs::read_dir(etc.join("sources.list.d")) {
        let mut more: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    files.iter().find_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        match file.extension()?.to_str()? {
            "list" => one_line_style(&text),
            "sources" => deb822_style(&text),
            _ => None,
        }
    })
}

/// Whether a source is the Debian archive itself, not one that is made like it.
fn is_debian(uri: &str, suites: &[&str], components: &[&str]) -> bool {
    const RELEASES: [&str; 7] = [
        "bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable",
    ];
    uri.starts_with("http")
        && uri.trim_end_matches('/').ends_with("/debian")
        && suites.iter().any(|suite| RELEASES.contains(suite))
        && components.contains(&"main")
}

/// sources.list(5), "ONE-LINE-STYLE FORMAT".
fn one_line_style(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        // Options stand in brackets and may contain spaces.
        let line = match (line.find('['), line.find(']')) {
            (Some(open), Some(close)) if open < close => {
                let (head, tail) = (line.get(..open)?, line.get(close.saturating_add(1)..)?);
                format!("{head} {tail}")
            }
            _ => line.to_owned(),
        };
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            ["deb", uri, suite, components @ ..] if is_debian(uri, &[suite], components) => {
                Some((*uri).to_owned())
            }
            _ => None,
        }
    })
}

/// sources.list(5), "DEB822-STYLE FORMAT".
fn deb822_style(text: &str) -> Option<String> {
    text.split("\n\n").find_map(|stanza| {
        let value = |key: &str| -> Vec<&str> {
            stanza
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case(key))
                .map(|(_, value)| value.split_whitespace().collect())
                .unwrap_or_default()
        };
        if value("Enabled") == ["no"] || !value("Types").contains(&"deb") {
            return None;
        }
        value("URIs")
            .into_iter()
            .find(|uri| is_debian(uri, &value("Suites"), &value("Components")))
            .map(str::to_owned)
    })
}

/// The host's apt settings that decide how a mirror is reached.
fn settings() -> String {
    let Ok(output) = Command::new("apt-config")
        .args(["dump", "--no-empty", "--format", "%F \"%v\";%n"])
        .output()
    else {
        return String::new();
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| is_transport_setting(line))
        .flat_map(|line| [line, "\n"])
        .collect()
}

fn is_transport_setting(line: &str) -> bool {
    let key = line.split_whitespace().next().unwrap_or_default();
    ["Acquire::http::", "Acquire::https::", "Acquire::Check-Date"]
        .iter()
        .any(|start| {
            key.get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_12_sources() {
        let text = "Types: deb\n# a comment: with a colon\nURIs: http://mirror.example/debian\n\
                    Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /x.gpg\n";
        assert_eq!(
            deb822_style(text).as_deref(),
            Some("http://mirror.example/debian")
        );
    }

    #[test]
    fn one_line_with_options() {
        let text = "# deb http://a.example/debian sid main\n\
                    deb-src http://b.example/debian sid main\n\
                    deb [arch=amd64 signed-by=/k.gpg] https://c.example/debian/ trixie main contrib\n";
        assert_eq!(
            one_line_style(text).as_deref(),
            Some("https://c.example/debian/")
        );
    }

    #[test]
    fn not_the_archive() {
        for line in [
            "deb https://download.docker.com/linux/debian bookworm stable",
            "deb http://archive.ubuntu.com/ubuntu noble main",
            "deb http://deb.debian.org/debian-security bookworm-security main",
            "deb http://deb.debian.org/debian bookworm contrib",
            "deb cdrom:[Debian]/debian bookworm main",
            "deb http://x.example/debian",
        ] {
            assert_eq!(one_line_style(line), None, "{line}");
        }
        let disabled = "Types: deb\nEnabled: no\nURIs: http://a.example/debian\nSuites: sid\nComponents: main\n";
        assert_eq!(deb822_style(disabled), None);
    }

    #[test]
    fn only_transport_settings_are_taken_over() {
        assert!(is_transport_setting(
            "Acquire::http::Proxy \"http://proxy.example:3128\";"
        ));
        assert!(is_transport_setting("Acquire::https::CaInfo \"/x\";"));
        for line in [
            "APT::Update::Post-Invoke:: \"rm -f /var/cache/apt/*.bin\";",
            "Dir::Cache::pkgcache \"\";",
            "Acquire::GzipIndexes \"true\";",
            "",
        ] {
            assert!(!is_transport_setting(line), "{line}");
        }
    }
}

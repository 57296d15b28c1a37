//! systemd-boot's own configuration, `/loader/loader.conf` on the ESP
//! (loader.conf(5)).

use serde::Serialize;

use super::lines::{self, LineProblem, LineValue};

/// What is in a loader.conf. Of a key that stands twice the last counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LoaderConf {
    /// `default`: a pattern, or `@saved`.
    pub default: Option<LineValue>,
    /// `preferred`: a pattern that passes over bad entries (systemd 260).
    pub preferred: Option<LineValue>,
    /// `timeout`: how long the menu is shown.
    pub timeout: Option<LineValue>,
    /// The other settings with their keys, in the order of the file.
    pub others: Vec<(String, LineValue)>,
    /// Lines that were left out.
    pub ignored: Vec<LineProblem>,
}

/// Reads the text of a loader.conf.
pub fn parse(text: &[u8]) -> LoaderConf {
    let mut conf = LoaderConf::default();
    for pair in lines::pairs(text) {
        let pair = match pair {
            Ok(pair) => pair,
            Err(problem) => {
                conf.ignored.push(problem);
                continue;
            }
        };
        let slot = match pair.key.as_str() {
            "default" => &mut conf.default,
            "preferred" => &mut conf.preferred,
            "timeout" => &mut conf.timeout,
            _ => {
                conf.others.push((pair.key, pair.value));
                continue;
            }
        };
        *slot = Some(pair.value);
    }
    conf
}

impl LoaderConf {
    /// Takes the quotes off that systemd-boot takes off.
    ///
    /// # Errors
    /// When whether it does that with a value is not known.
    pub(super) fn unquote(&mut self, single: Option<bool>) -> Result<(), LineProblem> {
        let all = [&mut self.default, &mut self.preferred, &mut self.timeout];
        for value in all.into_iter().flatten() {
            value.unquote(single)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, text: &str) -> LineValue {
        LineValue {
            text: text.to_owned(),
            line,
        }
    }

    #[test]
    fn the_keys_that_choose_an_entry() {
        let conf = parse(
            b"# comment\ntimeout menu-force\n default arch.conf \ndefault\tarch-*\npreferred x.conf\n\
              editor no\nconsole-mode\nDefault y\n",
        );
        assert_eq!(conf.default, Some(at(4, "arch-*")));
        assert_eq!(conf.preferred, Some(at(5, "x.conf")));
        assert_eq!(conf.timeout, Some(at(2, "menu-force")));
        let others: Vec<&str> = conf.others.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(others, ["editor", "Default"]);
        assert_eq!(conf.ignored.first().and_then(|p| p.line), Some(7));
        assert_eq!(parse(b""), LoaderConf::default());
    }
}

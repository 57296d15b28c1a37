//! Kernel command lines: bytes, split into words the way the kernel does it.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A kernel command line: bytes without a terminating NUL or newline.
///
/// It is serialised as text; bytes that are not UTF-8 are written as `\xNN`.
#[derive(Clone, PartialEq, Eq, Default, Hash)]
pub struct Cmdline(Vec<u8>);

impl Cmdline {
    /// From bytes as /proc/cmdline holds them: cut at the first newline or NUL.
    pub fn new(bytes: &[u8]) -> Cmdline {
        let end = bytes.iter().position(|b| matches!(b, b'\n' | 0));
        Cmdline(
            bytes
                .get(..end.unwrap_or(bytes.len()))
                .unwrap_or_default()
                .to_vec(),
        )
    }

    /// From the bytes of an argument, exactly; only a NUL ends it, because the
    /// kernel would stop there.
    pub fn exact(bytes: &[u8]) -> Cmdline {
        let end = bytes.iter().position(|b| *b == 0);
        Cmdline(
            bytes
                .get(..end.unwrap_or(bytes.len()))
                .unwrap_or_default()
                .to_vec(),
        )
    }

    /// The bytes, without a NUL behind them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The length as the kernel counts it, with the terminating NUL.
    pub fn len_with_nul(&self) -> usize {
        self.0.len().saturating_add(1)
    }

    /// The words, split as the kernel's `next_arg` does (Documentation/admin-guide/
    /// kernel-parameters.rst: double quotes protect spaces in values): white space
    /// separates, except between double quotes, which may stand anywhere.
    pub fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges().into_iter().filter_map(|r| self.0.get(r))
    }

    /// Whether there is this word for those who read the command line before the kernel
    /// has any of its own parsers (arch/x86/boot/cmdline.c): what separates words is a byte
    /// up to the blank, also between quotes.
    pub fn has_early_word(&self, word: &[u8]) -> bool {
        self.as_bytes().split(|b| *b <= b' ').any(|w| w == word)
    }

    fn ranges(&self) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let mut start = None;
        let mut quoted = false;
        for (at, &byte) in self.0.iter().enumerate() {
            let space = !quoted && byte.is_ascii_whitespace();
            if byte == b'"' {
                quoted = !quoted;
            }
            match (start, space) {
                (None, false) => start = Some(at),
                (Some(from), true) => {
                    ranges.push(from..at);
                    start = None;
                }
                _ => {}
            }
        }
        if let Some(from) = start {
            ranges.push(from..self.0.len());
        }
        ranges
    }

    /// The same without the parameters called `names` (`crashkernel` removes
    /// `crashkernel=256M`, not `crashkernel_other=1`). Words behind ` -- ` are
    /// init's and stay. What remains keeps its own spacing.
    pub fn without(&self, names: &[&str]) -> Cmdline {
        self.without_words(|word| {
            let name = word.split(|b| *b == b'=').next().unwrap_or_default();
            names.iter().any(|n| n.as_bytes() == name)
        })
    }

    /// The same without the words that `unwanted` says yes to. It is given a
    /// word without a quote in front of it. Words behind ` -- ` stay.
    pub fn without_words(&self, unwanted: impl Fn(&[u8]) -> bool) -> Cmdline {
        let mut kept: Vec<u8> = Vec::with_capacity(self.0.len());
        let mut copied = 0;
        for word in self.ranges() {
            let text = self.0.get(word.clone()).unwrap_or_default();
            if text == b"--" {
                break;
            }
            // The whole word may be in quotes: "BOOT_IMAGE=/my kernel".
            if !unwanted(text.strip_prefix(b"\"").unwrap_or(text)) {
                continue;
            }
            kept.extend_from_slice(self.0.get(copied..word.start).unwrap_or_default());
            copied = word.end;
            while self.0.get(copied).is_some_and(u8::is_ascii_whitespace) {
                copied += 1;
            }
        }
        kept.extend_from_slice(self.0.get(copied..).unwrap_or_default());
        if copied == self.0.len() && copied > 0 {
            kept.truncate(kept.trim_ascii_end().len());
        }
        Cmdline(kept)
    }

    /// This line, a space, and `more`; no space when one of the two is empty.
    pub fn followed_by(&self, more: &Cmdline) -> Cmdline {
        let mut bytes = self.0.clone();
        if !bytes.is_empty() && !more.0.is_empty() {
            bytes.push(b' ');
        }
        bytes.extend_from_slice(&more.0);
        Cmdline(bytes)
    }

    /// The same with `parameter` as the kernel's last one: in front of a ` -- `,
    /// because what follows that is init's.
    pub fn with_parameter(&self, parameter: &Cmdline) -> Cmdline {
        let mut ranges = self.ranges().into_iter();
        let Some(end) = ranges.find(|r| self.0.get(r.clone()) == Some(b"--")) else {
            return self.followed_by(parameter);
        };
        let (kernel, init) = self.0.split_at(end.start);
        Cmdline(kernel.trim_ascii_end().to_vec())
            .followed_by(parameter)
            .followed_by(&Cmdline(init.to_vec()))
    }

    /// Whether a ` -- ` ends the kernel's part, so that everything appended
    /// goes to init and is no kernel parameter.
    pub fn ends_in_init_arguments(&self) -> bool {
        self.words().any(|w| w == b"--")
    }

    /// The value of the last parameter called `name`, without its quotes.
    pub fn value(&self, name: &str) -> Option<String> {
        let mut found = None;
        for word in self.words().take_while(|w| *w != b"--") {
            let bare = word.strip_prefix(b"\"").unwrap_or(word);
            let rest = bare.strip_prefix(name.as_bytes());
            if let Some(value) = rest.and_then(|r| r.strip_prefix(b"=")) {
                let text = String::from_utf8_lossy(value).into_owned();
                found = Some(text.trim_matches('"').to_owned());
            }
        }
        found
    }
}

impl From<&str> for Cmdline {
    fn from(text: &str) -> Cmdline {
        Cmdline::exact(text.as_bytes())
    }
}

impl fmt::Display for Cmdline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Cmdline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl Serialize for Cmdline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cmdline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cmdline, D::Error> {
        Ok(Cmdline::exact(
            String::deserialize(deserializer)?.as_bytes(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn without(text: &str, names: &[&str]) -> String {
        Cmdline::from(text).without(names).to_string()
    }

    #[test]
    fn removes_whole_words_only() {
        let boot = ["BOOT_IMAGE"];
        assert_eq!(
            without("BOOT_IMAGE=/vmlinuz root=/dev/vda quiet", &boot),
            "root=/dev/vda quiet"
        );
        assert_eq!(
            without("root=/dev/vda BOOT_IMAGE=/vmlinuz", &boot),
            "root=/dev/vda"
        );
        assert_eq!(without("a BOOT_IMAGE=x b BOOT_IMAGE=y c", &boot), "a b c");
        // kexec-tools matches by prefix and gives up in the middle of a word.
        assert_eq!(
            without("xBOOT_IMAGE=1 BOOT_IMAGE=2 c", &boot),
            "xBOOT_IMAGE=1 c"
        );
        assert_eq!(without("BOOT_IMAGER=1 c", &boot), "BOOT_IMAGER=1 c");
        assert_eq!(without("BOOT_IMAGE", &boot), "");
    }

    #[test]
    fn quotes_protect_spaces() {
        let boot = ["BOOT_IMAGE"];
        assert_eq!(without("BOOT_IMAGE=\"/my kernel\" quiet", &boot), "quiet");
        assert_eq!(without("\"BOOT_IMAGE=/my kernel\" quiet", &boot), "quiet");
        assert_eq!(
            without("x=\"a BOOT_IMAGE=b\" quiet", &boot),
            "x=\"a BOOT_IMAGE=b\" quiet"
        );
    }

    #[test]
    fn words_of_init_stay() {
        assert_eq!(
            without("a -- BOOT_IMAGE=b", &["BOOT_IMAGE"]),
            "a -- BOOT_IMAGE=b"
        );
        assert!(Cmdline::from("a -- b").ends_in_init_arguments());
        assert!(!Cmdline::from("a --x b").ends_in_init_arguments());
    }

    #[test]
    fn parameters_go_before_the_words_of_init() {
        let with = |line: &str| {
            let line = Cmdline::from(line).with_parameter(&"x=1".into());
            line.to_string()
        };
        assert_eq!(with("a b"), "a b x=1");
        assert_eq!(with(""), "x=1");
        assert_eq!(with("a -- b -- c"), "a x=1 -- b -- c");
        assert_eq!(with("-- b"), "x=1 -- b");
        assert_eq!(with("a=\"-- \" b"), "a=\"-- \" b x=1");
    }

    #[test]
    fn cut_at_newline_and_nul() {
        assert_eq!(Cmdline::new(b"a b\nc").to_string(), "a b");
        assert_eq!(Cmdline::new(b"a b\0c").to_string(), "a b");
    }

    #[test]
    fn last_value_wins() {
        let line = Cmdline::from("root=/dev/a x root=\"LABEL=my root\"");
        assert_eq!(line.value("root").as_deref(), Some("LABEL=my root"));
        assert_eq!(line.value("ro"), None);
    }

    proptest! {
        #[test]
        fn removing_what_is_not_there_changes_nothing(text in "[a-z=\" ]{0,80}") {
            prop_assert_eq!(without(&text, &["NOT"]), text);
        }

        #[test]
        fn removed_is_gone(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let line = Cmdline::new(&bytes).without(&["a"]);
            let left = line.words().take_while(|w| *w != b"--").any(|w| w.starts_with(b"a="));
            // Taking a word with an open quote out may move where quotes pair
            // up, never when the quotes are balanced.
            let balanced = bytes.iter().filter(|b| **b == b'"').count() == 0;
            prop_assert!(!balanced || !left);
        }
    }
}

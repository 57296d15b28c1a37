//! The settings of this machine: /etc/kexec-rs.conf, a few lines for people.
//!
//! Only what more than one unit or command has to know is there: hooks of kernel packages
//! load ahead as units do, and `kexec plan` shows what a load would do.

use std::io;
use std::path::Path;

use kexec_load::request::UnpackChoice;
use kexec_machine::Tree;
use kexec_sys::in_words;

use crate::preload::cold_every::{ColdEvery, EXPECTED, number_of};

/// The file; optional. Not /etc/kexec.conf: that name is a fragment of shell on Gentoo
/// (docs/compatibility.md).
pub const PATH: &str = "/etc/kexec-rs.conf";

/// Every so many reboots go through the firmware.
pub const COLD_EVERY: &str = "cold-every";

/// What is unpacked before the jump where no option says it.
pub const UNPACK: &str = "unpack";

/// More than a file for people has, in bytes.
const MOST: u64 = 64 << 10;

/// What the file says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conf {
    /// `cold-every`: the number, if there is one; 0 is none.
    pub cold_every: Option<u64>,
    /// `unpack`: what `--unpack` takes.
    pub unpack: Option<UnpackChoice>,
}

/// Reads the file below `root`. One that does not exist says nothing.
///
/// # Errors
/// What is wrong with the file, and where.
pub fn read(root: &Path) -> Result<Conf, String> {
    match Tree::new(root).read(PATH, MOST + 1) {
        // What is cut off could be another number.
        Ok(text) if text.len() as u64 > MOST => Err(format!("{PATH} has more than {MOST} bytes")),
        Ok(text) => match str::from_utf8(&text) {
            Ok(text) => parse(text),
            Err(_) => Err(format!("{PATH} is not a text (UTF-8)")),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Conf::default()),
        Err(e) => Err(format!("{PATH} cannot be read: {}", in_words(e))),
    }
}

/// Reads the text: `cold-every = 10`, `unpack = never`; the last line of a setting counts,
/// and `#` begins a comment.
///
/// # Errors
/// The first line that is wrong, and what is expected there.
pub fn parse(text: &str) -> Result<Conf, String> {
    let mut conf = Conf::default();
    for (line, number) in text.lines().zip(1_u64..) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let wrong = |what: String| format!("{PATH}, line {number}: {what}");
        let (key, value) = line
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()))
            .ok_or_else(|| wrong("no \"SETTING = VALUE\"".to_owned()))?;
        match key {
            COLD_EVERY => {
                let every = number_of(value);
                let every = every.ok_or_else(|| wrong(format!("{key} is not {EXPECTED}")))?;
                conf.cold_every = match every {
                    ColdEvery::Never => None,
                    ColdEvery::Every(every) => Some(every),
                };
            }
            UNPACK => {
                let choice = UnpackChoice::from_word(value);
                let expected = || wrong(format!("{key} is not auto, always or never"));
                conf.unpack = Some(choice.ok_or_else(expected)?);
            }
            _ => {
                let known = format!("unknown setting; known are {COLD_EVERY} and {UNPACK}");
                return Err(wrong(known));
            }
        }
    }
    Ok(conf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preload::cold_every::text;

    fn cold_every(text: &str) -> Result<Option<u64>, String> {
        parse(text).map(|conf| conf.cold_every)
    }

    /// A pipe would be waited for, at every boot and every reboot.
    #[test]
    fn what_is_no_text_file_is_an_error_and_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read(root.path()), Ok(Conf::default()));
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let conf = root.path().join("etc/kexec-rs.conf");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &conf, fifo, mode, 0).unwrap();
        assert!(read(root.path()).is_err());
        for wrong in [&b"cold-every = \xff"[..], &vec![b'#'; 1 << 20]] {
            std::fs::remove_file(&conf).unwrap();
            std::fs::write(&conf, wrong).unwrap();
            assert!(read(root.path()).is_err());
        }
        // A link of an image leads to the image's own file.
        let outside = tempfile::tempdir().unwrap();
        let host = outside.path().join("host.conf");
        std::fs::write(&host, "cold-every = 3\n").unwrap();
        std::fs::remove_file(&conf).unwrap();
        std::os::unix::fs::symlink(&host, &conf).unwrap();
        assert_eq!(read(root.path()), Ok(Conf::default()));
        std::fs::remove_file(&conf).unwrap();
        std::fs::create_dir(&conf).unwrap();
        assert!(read(root.path()).is_err());
    }

    #[test]
    fn the_number() {
        assert_eq!(cold_every(""), Ok(None));
        assert_eq!(cold_every(&text(10)), Ok(Some(10)));
        assert_eq!(cold_every("\n # x\ncold-every=2 # two\n"), Ok(Some(2)));
        assert_eq!(cold_every("cold-every = 5\ncold-every = 0"), Ok(None));
        for (wrong, says) in [
            ("cold-every", "line 1: no \"SETTING = VALUE\""),
            ("#\ncold-evry = 3", "line 2: unknown setting; known are"),
            ("cold-every = 1", "a whole number from 2 to 50"),
            ("cold-every = 51", "a whole number from 2 to 50"),
            ("cold-every = +3", "a whole number from 2 to 50"),
            ("cold-every = ten", "a whole number from 2 to 50"),
            ("cold-every = 99999999999999999999", "a whole number"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn what_is_unpacked() {
        let unpack = |text: &str| parse(text).map(|conf| conf.unpack);
        assert_eq!(unpack("cold-every = 4"), Ok(None));
        for (word, choice) in [
            ("auto", UnpackChoice::Auto),
            ("always", UnpackChoice::Always),
            ("never", UnpackChoice::Never),
        ] {
            assert_eq!(unpack(&format!("unpack={word} # x")), Ok(Some(choice)));
        }
        let both = parse("unpack = never\ncold-every = 4\nunpack = auto").unwrap();
        assert_eq!(both.unpack, Some(UnpackChoice::Auto));
        assert_eq!(both.cold_every, Some(4));
        for wrong in [
            "unpack =",
            "unpack = yes",
            "unpack = Never",
            "unpack = never always",
        ] {
            let error = unpack(wrong).unwrap_err();
            assert!(error.contains("line 1: unpack is not auto, always or never"));
        }
        assert!(unpack("unpacked = never").is_err());
    }
}

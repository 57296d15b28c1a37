//! The token on the next command line, by which the next boot is recognised.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Cmdline;

/// The parameter that carries it. The kernel keeps parameters with a dot for
/// modules (Documentation/admin-guide/kernel-parameters.rst), so that it neither
/// complains about this one nor hands it to init.
const PARAMETER: &str = "kexec.id";

/// The parameter that tells the time of the jump, in ticks of the processor's
/// counter: zeros, until the purgatory of `kexec_load(2)` writes it.
pub const STAMP: &str = "kexec.at";
/// The same with the room for it.
pub const STAMP_ROOM: &str = "kexec.at=0000000000000000";

/// The time of the jump on a command line; `None` where nothing was written.
pub fn stamp_on(cmdline: &Cmdline) -> Option<u64> {
    let digits = cmdline.value(STAMP)?;
    let ticks = u64::from_str_radix(&digits, 16).ok()?;
    (ticks != 0).then_some(ticks)
}

/// What is put on the next command line, so that its boot can be recognised.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The token of this load.
    pub token: Token,
    /// Leave room for the time of the jump ([`STAMP`]).
    pub stamp: bool,
    /// Keep systemd-bless-boot from running ([`MASK_BLESS_BOOT`]).
    pub mask_bless_boot: bool,
}

impl Mark {
    /// `cmdline` with this mark instead of an older one.
    pub fn put_on(&self, cmdline: &Cmdline) -> Cmdline {
        let mut marked = self.token.put_on(cmdline);
        if self.stamp {
            marked = marked.with_parameter(&STAMP_ROOM.into());
        }
        if self.mask_bless_boot {
            marked = marked.with_parameter(&MASK_BLESS_BOOT.into());
        }
        marked
    }
}

/// Put behind the token where the boot loader counts boots: systemd-bless-boot
/// would bless the entry of the last start through the firmware, whose EFI
/// variables are still there after a kexec (systemd-bless-boot.service(8)).
pub const MASK_BLESS_BOOT: &str = "systemd.mask=systemd-bless-boot.service";

/// A command line without what an earlier attempt put on it: that was about its
/// own start only.
pub fn without_token(cmdline: &Cmdline) -> Cmdline {
    cmdline.without_words(|word| {
        let ours = [PARAMETER, STAMP].iter().any(|name| {
            let rest = word.strip_prefix(name.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
        });
        ours || word == MASK_BLESS_BOOT.as_bytes()
    })
}

/// Names one attempt: 16 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(String);

impl Token {
    /// Bytes of randomness: enough that two never meet on one machine.
    pub const LEN: usize = 8;

    /// The token of these bytes.
    pub fn from_bytes(bytes: [u8; Token::LEN]) -> Token {
        Token(format!("{:016x}", u64::from_be_bytes(bytes)))
    }

    /// The one on a command line; nothing else that may stand there.
    pub fn on(cmdline: &Cmdline) -> Option<Token> {
        Token::try_from(cmdline.value(PARAMETER)?).ok()
    }

    /// `cmdline` with this token instead of an older one.
    pub fn put_on(&self, cmdline: &Cmdline) -> Cmdline {
        let parameter = Cmdline::from(format!("{PARAMETER}={self}").as_str());
        without_token(cmdline).with_parameter(&parameter)
    }

    /// Its sixteen hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Token> for String {
    fn from(token: Token) -> String {
        token.0
    }
}

impl TryFrom<String> for Token {
    type Error = String;

    fn try_from(text: String) -> Result<Token, String> {
        let right = text.len() == Token::LEN * 2 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if right {
            Ok(Token(text.to_ascii_lowercase()))
        } else {
            Err(format!(
                "{text:?} is not {} hexadecimal digits",
                Token::LEN * 2
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::from_bytes([0, 1, 2, 3, 0xaa, 0xbb, 0xcc, 0xdd])
    }

    #[test]
    fn put_and_found_again() {
        let line = token().put_on(&"root=/dev/vda1 quiet".into());
        assert_eq!(
            line.to_string(),
            "root=/dev/vda1 quiet kexec.id=00010203aabbccdd"
        );
        assert_eq!(Token::on(&line), Some(token()));
    }

    #[test]
    fn replaces_the_one_of_this_boot() {
        let line = token().put_on(&"a kexec.id=1111111111111111 b".into());
        assert_eq!(line.to_string(), "a b kexec.id=00010203aabbccdd");
    }

    #[test]
    fn the_mark_replaces_an_older_one_whole() {
        let mark = |mask_bless_boot| Mark {
            token: token(),
            stamp: mask_bless_boot,
            mask_bless_boot,
        };
        let first = mark(true).put_on(&"a -- b".into());
        assert_eq!(
            first.to_string(),
            format!("a kexec.id=00010203aabbccdd {STAMP_ROOM} {MASK_BLESS_BOOT} -- b")
        );
        let second = mark(false).put_on(&first);
        assert_eq!(second.to_string(), "a kexec.id=00010203aabbccdd -- b");
    }

    #[test]
    fn a_time_that_nobody_wrote_is_none() {
        assert_eq!(stamp_on(&STAMP_ROOM.into()), None);
        assert_eq!(
            stamp_on(&"a kexec.at=00000000deadbeef b".into()),
            Some(0xdead_beef)
        );
        assert_eq!(stamp_on(&"kexec.at=xyz".into()), None);
        assert_eq!(stamp_on(&"quiet".into()), None);
    }

    #[test]
    fn what_this_boot_was_given_goes() {
        let line = format!("a kexec.id=1111111111111111 {MASK_BLESS_BOOT} b kexec.idle=1");
        let line = without_token(&line.as_str().into());
        assert_eq!(line.to_string(), "a b kexec.idle=1");
        let other = "systemd.mask=x.service kexec.ids=2";
        assert_eq!(without_token(&other.into()).to_string(), other);
    }

    #[test]
    fn stands_before_the_arguments_of_init() {
        let line = token().put_on(&"a -- single".into());
        assert_eq!(line.to_string(), "a kexec.id=00010203aabbccdd -- single");
        assert_eq!(Token::on(&line), Some(token()));
    }

    #[test]
    fn what_is_no_token_is_none() {
        for text in [
            "kexec.id=",
            "kexec.id=xyz",
            "kexec.id=00010203aabbccdd0",
            "a",
        ] {
            assert_eq!(Token::on(&text.into()), None, "{text}");
        }
        assert_eq!(Token::on(&"a -- kexec.id=00010203aabbccdd".into()), None);
    }
}

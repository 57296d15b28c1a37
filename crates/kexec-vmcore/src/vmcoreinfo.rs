//! What a kernel says of itself for whoever reads its memory
//! (Documentation/admin-guide/kdump/vmcoreinfo.rst): lines of `KEY=VALUE`.

use crate::VmcoreError;
use std::collections::BTreeMap;

/// The most bytes of it that are read. The kernel has a page for it.
pub const MAX: u64 = 1 << 20;

/// The lines of a VMCOREINFO note, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vmcoreinfo {
    values: BTreeMap<String, String>,
}

impl Vmcoreinfo {
    /// Takes the lines apart. What is no text or no `KEY=VALUE` is passed over: the
    /// note is filled up with zeros. Of two lines with one key the later one counts,
    /// as when a kernel says `CRASHTIME` again.
    pub fn parse(note: &[u8]) -> Vmcoreinfo {
        let text = note.split(|byte| *byte == 0).next().unwrap_or_default();
        let lines = text.split(|byte| *byte == b'\n');
        let values = lines
            .filter_map(|line| std::str::from_utf8(line).ok()?.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        Vmcoreinfo {
            values: values.collect(),
        }
    }

    /// Every key with its value, in the order of the keys.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let values = self.values.iter();
        values.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A value as it stands there, such as that of `OSRELEASE`.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The first two numbers of `OSRELEASE`, such as 6 and 12 of `6.12.0-test`.
    pub fn release(&self) -> Option<(u32, u32)> {
        let (major, rest) = self.text("OSRELEASE")?.split_once('.')?;
        let end = rest.find(|letter: char| !letter.is_ascii_digit());
        let minor = rest.get(..end.unwrap_or(rest.len()))?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }

    /// `SYMBOL(name)`: the address of a variable, hexadecimal.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.hexadecimal(&format!("SYMBOL({name})"))
    }

    /// `NUMBER(name)`: decimal, with or without a sign, or hexadecimal behind `0x`. A
    /// negative one is what its 64 bits are without a sign.
    pub fn number(&self, name: &str) -> Option<u64> {
        let text = self.text(&format!("NUMBER({name})"))?;
        if let Some(digits) = text.strip_prefix("0x") {
            return u64::from_str_radix(digits, 16).ok();
        }
        match text.parse::<i64>() {
            Ok(number) => Some(number.cast_unsigned()),
            Err(_) => text.parse().ok(),
        }
    }

    /// A hexadecimal value with or without `0x`, such as that of `KERNELOFFSET`.
    pub fn hexadecimal(&self, key: &str) -> Option<u64> {
        let text = self.text(key)?;
        u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    }

    /// `SIZE(name)`: bytes of a structure.
    ///
    /// # Errors
    /// When it is not there, or larger than any structure that is asked for.
    pub fn size(&self, name: &str) -> Result<usize, VmcoreError> {
        self.small(format!("SIZE({name})"))
    }

    /// `OFFSET(structure.field)`: bytes from the start of the structure.
    ///
    /// # Errors
    /// As [`Vmcoreinfo::size`].
    pub fn offset(&self, name: &str) -> Result<usize, VmcoreError> {
        self.small(format!("OFFSET({name})"))
    }

    /// A number of bytes. The largest structure of a log has some hundred.
    fn small(&self, key: String) -> Result<usize, VmcoreError> {
        let Some(text) = self.text(&key) else {
            let found = "is not there".to_owned();
            return Err(VmcoreError::Vmcoreinfo { key, found });
        };
        match text.parse() {
            Ok(number) if number <= 4096_usize => Ok(number),
            _ => {
                let found = format!("is {text:?}, expected at most 4096 bytes");
                Err(VmcoreError::Vmcoreinfo { key, found })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kernel_says() {
        let info = Vmcoreinfo::parse(
            b"OSRELEASE=6.12.1\nSYMBOL(prb)=ffffffff82a5bd20\nNUMBER(phys_base)=-16777216\n\
              NUMBER(TCR)=0x19\nSIZE(prb_desc)=24\nOFFSET(list_head.next)=0\nSIZE(big)=4097\n\
              no pair\n\xff=1\nCRASHTIME=1\nCRASHTIME=2\n\0\0OSRELEASE=behind the end\n",
        );
        assert_eq!(info.text("OSRELEASE"), Some("6.12.1"));
        assert_eq!(info.release(), Some((6, 12)));
        for (text, release) in [
            ("3.5", Some((3, 5))),
            ("4.19-rc1", Some((4, 19))),
            ("4.-1", None),
            ("99999999999.1", None),
            ("4", None),
            ("", None),
        ] {
            let info = Vmcoreinfo::parse(format!("OSRELEASE={text}\n").as_bytes());
            assert_eq!(info.release(), release, "{text}");
        }
        assert_eq!(info.text("CRASHTIME"), Some("2"));
        assert_eq!(info.symbol("prb"), Some(0xffff_ffff_82a5_bd20));
        assert_eq!(
            info.number("phys_base"),
            Some(0_u64.wrapping_sub(16_777_216))
        );
        assert_eq!(info.number("TCR"), Some(0x19));
        assert_eq!(info.number("prb"), None);
        assert_eq!(info.size("prb_desc").ok(), Some(24));
        assert_eq!(info.offset("list_head.next").ok(), Some(0));
        assert_eq!(info.lines().count(), 8);
        let said = |wrong: Result<usize, VmcoreError>| wrong.map_err(|e| e.to_string());
        assert_eq!(
            said(info.size("list_head")),
            Err(
                "VMCOREINFO: SIZE(list_head) is not there: this program does not support the log \
                 format of that kernel"
                    .to_owned()
            )
        );
        assert!(said(info.size("big")).is_err());
    }
}

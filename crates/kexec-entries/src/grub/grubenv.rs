//! The environment block: a file of 1024 bytes in which GRUB keeps a few
//! variables (GNU GRUB manual, "The GRUB environment block").

use super::bytes;

/// How the block begins.
pub const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";

/// How long the block is when `grub-editenv create` made it.
pub const SIZE: usize = 1024;

/// No block is longer than this; larger files are not read as one.
pub const MAX_SIZE: usize = 64 << 10;

/// Variables in the order of the block; a name that comes again counts once,
/// with its last value.
///
/// # Errors
/// What is wrong with the block, in words.
pub fn parse(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    if bytes.len() > MAX_SIZE {
        return Err(format!("{} bytes are too many for it", bytes.len()));
    }
    let Some(rest) = bytes.strip_prefix(SIGNATURE) else {
        let expected = String::from_utf8_lossy(SIGNATURE);
        return Err(format!("it does not begin with {:?}", expected.trim_end()));
    };
    let mut variables: Vec<(String, String)> = Vec::new();
    for line in lines(rest) {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let known = variables.iter_mut().find(|(known, _)| known == name);
        match known {
            Some(known) => known.1 = value.to_owned(),
            None => variables.push((name.to_owned(), value.to_owned())),
        }
    }
    Ok(variables)
}

/// The lines that set something: comments (and the `#` that fill the block) are
/// left out, and a backslash keeps the character after it, newlines included.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = bytes::decode(bytes);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut comment = false;
    let mut escaped = false;
    for c in text.chars() {
        match c {
            _ if comment => comment = c != '\n',
            _ if escaped => {
                line.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '\n' => lines.push(std::mem::take(&mut line)),
            '#' if line.is_empty() => comment = true,
            c => line.push(c),
        }
    }
    // What no newline ends is no variable: the block was cut.
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(lines: &str) -> Vec<u8> {
        let mut bytes = [SIGNATURE, lines.as_bytes()].concat();
        bytes.resize(SIZE, b'#');
        bytes
    }

    fn read(lines: &str) -> Vec<(String, String)> {
        parse(&block(lines)).unwrap()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn variables_in_their_order() {
        let expected = [
            ("saved_entry", "1>2"),
            ("next_entry", ""),
            ("kernelopts", "root=UUID=1 ro"),
        ];
        assert_eq!(
            read(
                "# WARNING: Do not edit\nsaved_entry=1>2\nnext_entry=\nkernelopts=root=UUID=1 ro\n"
            ),
            pairs(&expected)
        );
        assert_eq!(read(""), []);
    }

    #[test]
    fn escapes_and_repetitions() {
        assert_eq!(
            read("a=one\nb=two\\\nlines \\\\ \\#\na=last\nnothing\n"),
            pairs(&[("a", "last"), ("b", "two\nlines \\ #")])
        );
        assert_eq!(read("a=x#y\ncut=off"), pairs(&[("a", "x#y")]));
    }

    #[test]
    fn what_is_no_block_is_said() {
        assert!(parse(b"").unwrap_err().contains("GRUB Environment Block"));
        assert!(parse(b"saved_entry=1\n").is_err());
        let long = [SIGNATURE, &vec![b'#'; MAX_SIZE]].concat();
        assert!(parse(&long).unwrap_err().contains("too many"));
    }

    proptest! {
        #[test]
        fn any_bytes_do(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
            let _ = parse(&bytes);
            let with_signature = [SIGNATURE, &bytes].concat();
            prop_assert!(parse(&with_signature).is_ok());
        }
    }
}

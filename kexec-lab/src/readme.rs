//! What README.md shows, to be compared with what happens.

use anyhow::{Context, Result, ensure};
use std::path::Path;

/// The block of README.md that starts with this command: the command, and the
/// lines below it.
///
/// # Errors
/// If README.md cannot be read or has no such block.
pub fn block(command: &str) -> Result<(String, Vec<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(&path).context("reading README.md")?;
    let mut lines = text.lines().skip_while(|line| !line.starts_with(command));
    let first = lines.next().with_context(|| format!("no {command:?}"))?;
    let command = first.trim_start_matches("$ ").to_owned();
    let below = lines.take_while(|line| *line != "```").map(str::to_owned);
    Ok((command, below.collect()))
}

/// Whether README.md shows this output, numbers aside: of kernels, sizes, times and
/// identifiers. A line `...` stands for any number of lines.
///
/// # Errors
/// If it shows something else; both are in the message.
pub fn ensure_shown(command: &str, out: &str) -> Result<()> {
    let (_, shown) = block(command)?;
    let shown: Vec<String> = shown.iter().map(|line| without_digits(line)).collect();
    ensure!(
        shows(&shown, &without_digits(out)),
        "README.md shows for {command}:\n{}\nthe command says:\n{out}",
        shown.join("\n")
    );
    Ok(())
}

/// The text with one `#` for each word of letters and digits that has a digit.
fn without_digits(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric();
        let end = match word(first) {
            true => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (part, behind) = rest.split_at(end);
        let has_digit = part.contains(|c: char| c.is_ascii_digit());
        out.push_str(if has_digit { "#" } else { part });
        rest = behind;
    }
    out
}

/// Whether these are the lines of `out`; a line `...` stands for any number of
/// them.
#[must_use]
pub fn shows(shown: &[String], out: &str) -> bool {
    let mut rest: Vec<&str> = out.lines().collect();
    for (number, part) in shown.split(|line| line == "...").enumerate() {
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        let at = match number {
            0 => rest.starts_with(&part).then_some(0),
            _ if part.is_empty() => Some(0),
            _ => rest.windows(part.len()).position(|lines| lines == part),
        };
        let Some(at) = at else { return false };
        rest.drain(..at + part.len());
    }
    rest.is_empty() || shown.last().is_some_and(|line| line == "...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_digits_are_left_out_and_nothing_else() {
        assert_eq!(
            without_digits("6.12.117+deb13-cloud: kexec.id=3f7a of 2.2 MB, a\n"),
            "#.#.#+#-cloud: kexec.id=# of #.# MB, a\n"
        );
    }

    #[test]
    fn left_out_lines() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        for shown in ["a\nb\nc", "...\nc", "a\n...", "a\n...\nc", "a\n...\nb\nc"] {
            assert!(shows(&lines(shown), "a\nb\nc\n"), "{shown:?}");
        }
        for shown in ["a\nb", "b\n...", "a\n...\nb", "a\n...\nd", "a\nc"] {
            assert!(!shows(&lines(shown), "a\nb\nc\n"), "{shown:?}");
        }
    }
}

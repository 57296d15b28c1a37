//! Words and numbers of a plan as people read them, in text and in pictures:
//! nothing that came from outside reaches a terminal or a document unchecked.

pub use kexec_cli::visible::visible;

use kexec_plan::size::{FileSize, Memory};

/// A number of bytes of memory: `60.2 MiB`.
pub fn bytes(bytes: u64) -> String {
    Memory(bytes).to_string()
}

/// A number of bytes of files or of a disk: `12.3 MB`.
pub fn size(bytes: u64) -> String {
    FileSize(bytes).to_string()
}

/// A number and its word: `1 range`, `2 ranges`.
pub fn counted(count: impl TryInto<u64>, word: &str) -> String {
    match count.try_into() {
        Ok(1) => format!("1 {word}"),
        Ok(count) => format!("{count} {word}s"),
        Err(_) => format!("many {word}s"),
    }
}

/// What part `part` is of `whole`: `< 1 %`, `42 %`.
pub fn percent(part: u64, whole: u64) -> String {
    match scaled(part, whole, 100) {
        0 if part > 0 => "< 1 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

/// `part` of `whole` on a scale up to `length`, rounded down and never more
/// than `length`.
pub fn scaled(part: u64, whole: u64, length: u64) -> u64 {
    let product = u128::from(part.min(whole)) * u128::from(length);
    let scaled = product.checked_div(u128::from(whole)).unwrap_or(0);
    u64::try_from(scaled).unwrap_or(length)
}

/// No line of a text for people is wider.
pub const WIDTH: usize = 100;

/// A label and its text from `column` on, in as many lines as it takes. Nothing
/// for no text.
pub fn field(out: &mut String, column: usize, label: &str, text: &str) {
    let text = visible(text);
    if text.is_empty() {
        return;
    }
    let mut label = label;
    for line in wrapped(&text, WIDTH.saturating_sub(column)) {
        // Blanks at the beginning of a path may have a line to themselves.
        let line = format!("{label:column$}{line}");
        out.push_str(line.trim_end());
        out.push('\n');
        label = "";
    }
}

/// The columns that a character takes: two for what may be wide. Too much for
/// some, never too little.
fn columns_of(c: char) -> usize {
    1 + usize::from(c >= '\u{1100}')
}

/// The columns that a text takes.
pub fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// The text in lines of at most `width` columns, parted behind spaces where
/// there are any; a word that is longer than a line is parted anywhere. At
/// least one line.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let bare = columns(word.trim_end());
        if used > 0 && used + bare > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        for c in word.chars() {
            let wide = columns_of(c);
            // A space may hang over the edge: it is trimmed.
            if used > 0 && used + wide > width && c != ' ' {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += wide;
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

/// The text when it fits, otherwise its two ends: `/very/long…/vmlinuz`.
pub fn shortened(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(columns_of('…'));
    let take = |chars: &mut dyn Iterator<Item = char>, room: usize| {
        let mut used = 0;
        let mut taken = Vec::new();
        for c in chars {
            used += columns_of(c);
            if used > room {
                break;
            }
            taken.push(c);
        }
        taken
    };
    let head = take(&mut text.chars(), room.div_ceil(2));
    let tail = take(&mut text.chars().rev(), room / 2);
    let tail = tail.into_iter().rev();
    head.into_iter()
        .chain(std::iter::once('…'))
        .chain(tail)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares() {
        assert_eq!(percent(0, 7), "0 %");
        assert_eq!(percent(1, 1000), "< 1 %");
        assert_eq!(percent(1, 2), "50 %");
        assert_eq!(percent(9, 2), "100 %");
        assert_eq!(percent(1, 0), "< 1 %");
        assert_eq!(scaled(u64::MAX / 2, u64::MAX, 1000), 499);
    }

    #[test]
    fn lines() {
        assert_eq!(wrapped("", 9), [""]);
        assert_eq!(wrapped("one two", 9), ["one two"]);
        assert_eq!(wrapped("one two", 3), ["one", "two"]);
        assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrapped("漢字", 2), ["漢", "字"]);
        assert_eq!(shortened("/boot/vmlinuz", 13), "/boot/vmlinuz");
        assert_eq!(shortened("/boot/long/path/vmlinuz", 13), "/boot/…linuz");
    }

    proptest! {
        #[test]
        fn lines_fit_and_lose_nothing(text in "\\PC{0,200}", width in 2..40_usize) {
            let lines = wrapped(&text, width);
            prop_assert!(lines.iter().all(|l| columns(l) <= width));
            let bare = |t: &str| t.split_whitespace().collect::<String>();
            prop_assert_eq!(bare(&lines.concat()), bare(&text));
            prop_assert!(columns(&shortened(&text, width)) <= width.max(2));
        }
    }
}

//! Text from outside, made fit for a terminal.

/// The same text with everything written out that a terminal would act on or
/// that hides or turns around what stands next to it. No XML document may
/// contain the rest of what is replaced here either (XML 1.0, production 2).
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}'
            | '\u{ffff}' => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_a_terminal() {
        assert_eq!(visible("a\x1b[2J\r\nb\u{9b}"), "a\\x1b[2J\\x0d\\x0ab\\x9b");
        assert_eq!(visible("x\u{202e}y\u{ffff}"), "x\\u{202e}y\\u{ffff}");
        assert_eq!(visible("größe 漢字"), "größe 漢字");
    }
}

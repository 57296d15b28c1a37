//! Which modules of its own crate a source file names: a scan of its text, which is
//! enough for code that rustfmt has formatted.

/// The text as words and marks, without comments, the content of literals, and what is
/// compiled for tests alone.
pub(super) fn tokens(text: &str) -> Vec<String> {
    without_tests(&split(text))
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn split(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let at = |index: usize| letters.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < letters.len() {
        match at(index) {
            '/' if at(index + 1) == '/' => {
                while index < letters.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            '/' if at(index + 1) == '*' => {
                let mut depth = 0;
                while index < letters.len() {
                    match (at(index), at(index + 1)) {
                        ('/', '*') => (depth, index) = (depth + 1, index + 2),
                        ('*', '/') => (depth, index) = (depth - 1, index + 2),
                        _ => index += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            '"' => {
                index += 1;
                while index < letters.len() && at(index) != '"' {
                    index += if at(index) == '\\' { 2 } else { 1 };
                }
                index += 1;
            }
            // A character; what else begins so is a lifetime.
            '\'' if at(index + 1) == '\\' => {
                index += 3;
                while index < letters.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            }
            '\'' if at(index + 2) == '\'' => index += 3,
            letter if is_word(letter) => {
                let start = index;
                while is_word(at(index)) {
                    index += 1;
                }
                let word: String = letters[start..index].iter().collect();
                let marks = (index..).take_while(|index| at(*index) == '#').count();
                if word.ends_with('r') && word.len() <= 2 && at(index + marks) == '"' {
                    let end: Vec<char> = std::iter::once('"')
                        .chain(std::iter::repeat_n('#', marks))
                        .collect();
                    index += marks + 1;
                    while index < letters.len() && !letters[index..].starts_with(&end) {
                        index += 1;
                    }
                    index += end.len();
                } else {
                    tokens.push(word);
                }
            }
            ':' if at(index + 1) == ':' => {
                tokens.push("::".to_owned());
                index += 2;
            }
            letter => {
                if !letter.is_whitespace() {
                    tokens.push(letter.to_string());
                }
                index += 1;
            }
        }
    }
    tokens
}

/// Where the item that begins here ends: behind its `;` or its braces.
fn end_of_item(tokens: &[String], start: usize) -> usize {
    let mut depth = 0;
    // `use a::{b};` and `const A: B = B {};` go on behind braces.
    let mut to_semicolon = false;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match token.as_str() {
            "use" | "const" | "static" | "type" if depth == 0 => to_semicolon = true,
            "fn" if depth == 0 => to_semicolon = false,
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 && !to_semicolon {
                    return index + 1;
                }
            }
            ";" if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

const TEST_ONLY: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

fn without_tests(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        if tokens[index..]
            .iter()
            .take(TEST_ONLY.len())
            .eq(TEST_ONLY.iter())
        {
            index = end_of_item(tokens, index + TEST_ONLY.len());
        } else {
            kept.push(tokens[index].clone());
            index += 1;
        }
    }
    kept
}

/// The modules that are compiled for tests alone and have a file of their own.
pub(super) fn test_modules(text: &str) -> Vec<String> {
    let tokens = split(text);
    tokens
        .windows(TEST_ONLY.len() + 3)
        .filter_map(|window| match window.split_at(TEST_ONLY.len()) {
            (attribute, [item, name, end]) => {
                let is_file = attribute.iter().eq(TEST_ONLY.iter()) && item == "mod" && end == ";";
                is_file.then(|| name.clone())
            }
            _ => None,
        })
        .collect()
}

/// A path that the source names, from the root of its crate on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedPath {
    /// Module names and the item's own name.
    pub path: Vec<String>,
    /// The name that the file uses: the last part, or that behind `as`.
    pub alias: String,
}

/// Every path that begins with `crate` or `super`, in a file of this module.
pub(super) fn named(tokens: &[String], module: &[String]) -> Vec<NamedPath> {
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let goes_on = tokens.get(index + 1).is_some_and(|next| next == "::");
        let is_start = index == 0 || tokens[index - 1] != "::";
        if goes_on && is_start && (token == "crate" || token == "super") {
            tree(tokens, &mut { index }, module.to_vec(), &mut found);
        }
    }
    found
}

/// What `use` brings into the root of a crate.
pub(super) fn imports_of_root(tokens: &[String]) -> Vec<NamedPath> {
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if token == "use" {
            tree(tokens, &mut { index + 1 }, Vec::new(), &mut found);
        }
    }
    found
}

/// Reads a path, or the tree of paths in braces, behind `path`.
fn tree(tokens: &[String], index: &mut usize, mut path: Vec<String>, found: &mut Vec<NamedPath>) {
    let at = |index: usize| tokens.get(index).map_or("", String::as_str);
    loop {
        match at(*index) {
            "crate" => path.clear(),
            "super" => {
                path.pop();
            }
            "self" => {}
            "{" => {
                *index += 1;
                while !matches!(at(*index), "}" | "") {
                    if at(*index) == "," {
                        *index += 1;
                    } else {
                        let before = *index;
                        tree(tokens, index, path.clone(), found);
                        if *index == before {
                            // Nothing that a tree of paths has.
                            return;
                        }
                    }
                }
                *index += 1;
                return;
            }
            word if word.starts_with(is_word) => path.push(word.to_owned()),
            "*" => *index += 1,
            _ => {}
        }
        if at(*index).starts_with(is_word) {
            *index += 1;
        }
        if at(*index) != "::" {
            break;
        }
        *index += 1;
    }
    let mut alias = path.last().cloned().unwrap_or_default();
    if at(*index) == "as" {
        at(*index + 1).clone_into(&mut alias);
        *index += 2;
    }
    found.push(NamedPath { path, alias });
}

#[test]
fn comments_literals_and_tests_are_left_out() {
    let text = r###"
        // crate::a
        /* crate::b /* nested */ crate::c */
        use crate::d;
        const TEXT: &str = "crate::e \" crate::f";
        const RAW: &[u8] = br#"crate::g " crate::h"#;
        fn quote<'a>(letter: &'a char) -> bool { *letter == '"' || *letter == '\'' }
        #[cfg(test)]
        use crate::{i, j};
        #[cfg(test)]
        mod tests { use crate::k; fn f() { {} } }
        #[cfg(test)]
        mod outside;
        use crate::l;
    "###;
    let paths: Vec<_> = named(&tokens(text), &[])
        .into_iter()
        .map(|named| named.path.join("::"))
        .collect();
    assert_eq!(paths, ["d", "l"]);
    assert_eq!(test_modules(text), ["outside"]);
}

#[test]
fn paths_are_read_from_the_root_on() {
    let text = "use crate::{A, b::{self, C as D}, e::*};\n\
        pub(in crate::f) fn g() { super::super::h::i::<u8>(super::j); crate::k!(); }";
    let module = ["m".to_owned(), "n".to_owned()];
    let found: Vec<_> = named(&tokens(text), &module)
        .into_iter()
        .map(|named| (named.path.join("::"), named.alias))
        .collect();
    let expected = [
        ("A", "A"),
        ("b", "b"),
        ("b::C", "D"),
        ("e", "e"),
        ("f", "f"),
        ("h::i", "i"),
        ("m::j", "j"),
        ("k", "k"),
    ];
    let expected = expected.map(|(path, alias)| (path.to_owned(), alias.to_owned()));
    assert_eq!(found, expected);
}

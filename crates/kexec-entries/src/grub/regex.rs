//! POSIX extended regular expressions for `regexp`: leftmost, and of the matches
//! that begin there the longest. The search tries every way within a limit, so
//! that a pattern cannot make it take for ever; what it did is told, so that many
//! searches can be paid for.

use super::eval::BYTES_A_UNIT;

/// How many steps a search may take.
const MAX_STEPS: u32 = 200_000;
/// How many steps of a short pattern cost as much as a command.
const STEPS_A_UNIT: u64 = 16;
/// How deep a search may go: each character of a repetition is one step down, and
/// the stack has an end.
const MAX_WAY: u32 = 600;
/// How long a pattern may be, and how deep its parentheses.
const MAX_PATTERN: usize = 512;
const MAX_DEPTH: u32 = 24;

/// Where the groups are: the whole match first, `None` for a group that took no
/// part.
pub(super) type Groups = Vec<Option<String>>;

/// What came of a search.
#[derive(Debug)]
pub(super) struct Searched {
    /// The match; or what is not understood in the pattern, or that the search
    /// takes too long.
    pub(super) found: Result<Option<Groups>, String>,
    /// What it took, in units of [`super::eval::FUEL`].
    pub(super) fuel: u64,
}

/// Searches for a pattern.
pub(super) fn search(pattern: &str, text: &str) -> Searched {
    let units = |bytes: usize| u64::try_from(bytes / BYTES_A_UNIT).unwrap_or(u64::MAX);
    let (node, groups) = match parse(pattern) {
        Ok(parsed) => parsed,
        Err(why) => {
            return Searched {
                found: Err(why),
                fuel: units(pattern.len()),
            };
        }
    };
    let text: Vec<char> = text.chars().collect();
    let mut search = Search {
        text: &text,
        steps: 0,
        way: 0,
    };
    let found = search.all(&node, groups, pattern);
    // A step looks at a set of characters and copies the groups; the pattern's
    // length bounds both.
    let step = units(pattern.len()).saturating_add(1);
    let steps = u64::from(search.steps).saturating_mul(step) / STEPS_A_UNIT;
    Searched {
        found,
        fuel: units(text.len()).saturating_add(steps),
    }
}
#[derive(Debug)]
enum Node {
    Empty,
    Start,
    End,
    Set(Set),
    Group(usize, Box<Node>),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat(Box<Node>, u32, Option<u32>),
}

/// Characters: ranges, or everything but them.
#[derive(Debug)]
struct Set {
    not: bool,
    ranges: Vec<(char, char)>,
}

impl Set {
    fn has(&self, c: char) -> bool {
        self.ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&c))
            != self.not
    }
}

#[derive(Clone)]
struct State {
    at: usize,
    groups: Vec<Option<(usize, usize)>>,
}

struct Search<'a> {
    text: &'a [char],
    steps: u32,
    /// How deep the present way is.
    way: u32,
}

type Found<'f> = &'f mut dyn FnMut(&mut Search<'_>, State);

impl Search<'_> {
    /// Every place of the text in turn.
    fn all(&mut self, node: &Node, groups: usize, pattern: &str) -> Result<Option<Groups>, String> {
        for start in 0..=self.text.len() {
            let mut best: Option<State> = None;
            let state = State {
                at: start,
                groups: vec![None; groups + 1],
            };
            self.run(node, state, &mut |_, state| {
                if best.as_ref().is_none_or(|best| state.at > best.at) {
                    best = Some(state);
                }
            });
            if self.steps >= MAX_STEPS {
                return Err(format!("{pattern:?} takes too long to search for"));
            }
            if let Some(best) = best {
                let part = |range: (usize, usize)| {
                    self.text.get(range.0..range.1).map(|c| c.iter().collect())
                };
                let mut groups: Groups = best.groups.into_iter().map(|g| part(g?)).collect();
                if let Some(whole) = groups.first_mut() {
                    *whole = part((start, best.at));
                }
                return Ok(Some(groups));
            }
        }
        Ok(None)
    }

    /// Hands every way in which the node matches to `found`.
    fn run(&mut self, node: &Node, state: State, found: Found<'_>) {
        self.steps = self.steps.saturating_add(1);
        if self.way >= MAX_WAY {
            self.steps = MAX_STEPS;
        }
        if self.steps >= MAX_STEPS {
            return;
        }
        self.way = self.way.saturating_add(1);
        self.step(node, state, found);
        self.way = self.way.saturating_sub(1);
    }

    fn step(&mut self, node: &Node, state: State, found: Found<'_>) {
        match node {
            Node::Empty => found(self, state),
            Node::Start if state.at == 0 => found(self, state),
            Node::End if state.at == self.text.len() => found(self, state),
            Node::Start | Node::End => {}
            Node::Set(set) => {
                if self.text.get(state.at).is_some_and(|c| set.has(*c)) {
                    let at = state.at + 1;
                    found(self, State { at, ..state });
                }
            }
            Node::Group(number, inner) => {
                let start = state.at;
                self.run(inner, state, &mut |search, mut state| {
                    let range = (start, state.at);
                    if let Some(group) = state.groups.get_mut(*number) {
                        *group = Some(range);
                    }
                    found(search, state);
                });
            }
            Node::Sequence(nodes) => self.sequence(nodes, state, found),
            Node::Either(nodes) => {
                for node in nodes {
                    self.run(node, state.clone(), found);
                }
            }
            Node::Repeat(inner, least, most) => self.repeat(inner, *least, *most, state, found),
        }
    }

    fn sequence(&mut self, nodes: &[Node], state: State, found: Found<'_>) {
        match nodes.split_first() {
            None => found(self, state),
            Some((first, rest)) => self.run(first, state, &mut |search, state| {
                search.sequence(rest, state, found);
            }),
        }
    }

    fn repeat(
        &mut self,
        inner: &Node,
        least: u32,
        most: Option<u32>,
        state: State,
        found: Found<'_>,
    ) {
        if most != Some(0) {
            let start = state.at;
            self.run(inner, state.clone(), &mut |search, state| {
                // A round that takes no character would go on for ever.
                if state.at > start {
                    let most = most.map(|most| most.saturating_sub(1));
                    search.repeat(inner, least.saturating_sub(1), most, state, found);
                } else if least > 0 {
                    search.repeat(inner, 0, Some(0), state, found);
                }
            });
        }
        if least == 0 {
            found(self, state);
        }
    }
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    groups: usize,
    depth: u32,
}

fn parse(pattern: &str) -> Result<(Node, usize), String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("the pattern is longer than {MAX_PATTERN} bytes"));
    }
    let mut reader = Reader {
        rest: pattern.chars().peekable(),
        groups: 0,
        depth: 0,
    };
    let node = reader.either();
    match (node, reader.rest.next()) {
        (Some(node), None) => Ok((node, reader.groups)),
        _ => Err(format!("the pattern {pattern:?} is not understood")),
    }
}

impl Reader<'_> {
    fn either(&mut self) -> Option<Node> {
        let mut ways = vec![self.sequence()?];
        while self.rest.next_if_eq(&'|').is_some() {
            ways.push(self.sequence()?);
        }
        Some(match ways.len() {
            1 => ways.pop()?,
            _ => Node::Either(ways),
        })
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut nodes = Vec::new();
        while self.rest.peek().is_some_and(|c| !matches!(c, '|' | ')')) {
            let node = self.atom()?;
            nodes.push(self.repeated(node)?);
        }
        Some(match nodes.is_empty() {
            true => Node::Empty,
            false => Node::Sequence(nodes),
        })
    }

    fn repeated(&mut self, mut node: Node) -> Option<Node> {
        while let Some(sign) = self.rest.next_if(|c| matches!(c, '*' | '+' | '?' | '{')) {
            let (least, most) = match sign {
                '*' => (0, None),
                '+' => (1, None),
                '?' => (0, Some(1)),
                _ => self.bounds()?,
            };
            self.depth = self.depth.saturating_add(1);
            if self.depth > MAX_DEPTH {
                return None;
            }
            node = Node::Repeat(Box::new(node), least, most);
        }
        Some(node)
    }

    fn bounds(&mut self) -> Option<(u32, Option<u32>)> {
        let mut text = String::new();
        while let Some(c) = self.rest.next_if(|c| *c != '}') {
            text.push(c);
        }
        self.rest.next()?;
        let number = |text: &str| text.parse().ok().filter(|number| *number <= 255);
        match text.split_once(',') {
            None => number(&text).map(|count| (count, Some(count))),
            Some((least, "")) => Some((number(least)?, None)),
            Some((least, most)) => Some((number(least)?, Some(number(most)?))),
        }
    }

    fn atom(&mut self) -> Option<Node> {
        let one = |c| {
            Node::Set(Set {
                not: false,
                ranges: vec![(c, c)],
            })
        };
        Some(match self.rest.next()? {
            '^' => Node::Start,
            '$' => Node::End,
            '.' => Node::Set(Set {
                not: true,
                ranges: Vec::new(),
            }),
            '[' => Node::Set(self.set()?),
            '(' => {
                self.depth = self.depth.saturating_add(1);
                if self.depth > MAX_DEPTH {
                    return None;
                }
                self.groups = self.groups.saturating_add(1);
                let number = self.groups;
                let inner = self.either()?;
                self.rest.next_if_eq(&')')?;
                Node::Group(number, Box::new(inner))
            }
            // What a backslash means before a letter or a digit is GNU's own.
            '\\' => one(self.rest.next().filter(|c| !c.is_ascii_alphanumeric())?),
            '*' | '+' | '?' | '{' => return None,
            c => one(c),
        })
    }

    fn set(&mut self) -> Option<Set> {
        let not = self.rest.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        let mut first = true;
        loop {
            let low = self.rest.next()?;
            if low == ']' && !first {
                return Some(Set { not, ranges });
            }
            first = false;
            if low == '[' && matches!(self.rest.peek(), Some(':' | '.' | '=')) {
                ranges.extend(self.class()?);
                continue;
            }
            let mut high = low;
            if self.rest.next_if_eq(&'-').is_some() {
                match self.rest.peek() {
                    Some(']') => ranges.push(('-', '-')),
                    _ => high = self.rest.next()?,
                }
            }
            ranges.push((low, high));
        }
    }

    /// `[:digit:]` and its like.
    fn class(&mut self) -> Option<Vec<(char, char)>> {
        self.rest.next_if_eq(&':')?;
        let mut name = String::new();
        while let Some(c) = self.rest.next_if(char::is_ascii_lowercase) {
            name.push(c);
        }
        self.rest.next_if_eq(&':')?;
        self.rest.next_if_eq(&']')?;
        Some(match name.as_str() {
            "alnum" => vec![('0', '9'), ('A', 'Z'), ('a', 'z')],
            "alpha" => vec![('A', 'Z'), ('a', 'z')],
            "digit" => vec![('0', '9')],
            "lower" => vec![('a', 'z')],
            "upper" => vec![('A', 'Z')],
            "space" => vec![('\t', '\r'), (' ', ' ')],
            "xdigit" => vec![('0', '9'), ('A', 'F'), ('a', 'f')],
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(pattern: &str, text: &str) -> Vec<String> {
        let found = search(pattern, text).found.unwrap().unwrap_or_default();
        found.into_iter().map(Option::unwrap_or_default).collect()
    }

    #[test]
    fn as_grub_answered() {
        assert_eq!(groups("^a(b+)c", "abbbcd"), ["abbbc", "bbb"]);
        assert_eq!(groups("(b+)", "zzbbb"), ["bbb", "bbb"]);
        assert!(groups("^q$", "qq").is_empty());
        assert_eq!(groups("(a|ab)(c|bcd)", "abcd"), ["abcd", "a", "bcd"]);
        assert_eq!(
            groups(r"^\(([^,)]+).*\)", "(hd0,gpt2)/x"),
            ["(hd0,gpt2)", "hd0"]
        );
        assert_eq!(
            groups("^([0-9]{1,3})\\.([[:digit:]]*)", "12.34"),
            ["12.34", "12", "34"]
        );
        assert_eq!(groups("x*", "aaa"), [""]);
    }

    #[test]
    fn hostile_patterns_end() {
        assert!(search("(a*)*(a*)*(a*)*b", &"a".repeat(200)).found.is_err());
        assert!(search(".*", &"a".repeat(200)).found.is_ok());
        for pattern in [".*", "((((((a*)*)*)*)*)*)*b", "(a|aa)*", "(((((.)))))*"] {
            assert!(
                search(pattern, &"a".repeat(60_000)).found.is_err(),
                "{pattern}"
            );
        }
        for pattern in [
            "(",
            ")",
            "[",
            "a{",
            "a{9999}",
            "*",
            "\\d",
            &"(".repeat(400),
            "[[:x:]]",
        ] {
            assert!(search(pattern, "a").found.is_err(), "{pattern}");
        }
    }
}

//! `test` and `[`: GNU GRUB manual, "test". Three-valued: what cannot be known
//! says so, unless it does not matter.

use super::super::devices::{Answer, Node};
use super::super::number;
use super::super::text::{Place, Text, Truth, Why};
use super::{Call, Evaluator, Field, Flow, Status};

/// How deep parentheses and `!` may stand in each other.
const MAX_DEPTH: u32 = 32;

impl Evaluator<'_> {
    /// `test EXPRESSION` and `[ EXPRESSION ]`: a bracket at the end belongs to neither.
    pub(super) fn test(&mut self, call: &Call<'_>) -> Flow {
        let args = match call.args.split_last() {
            Some((last, rest)) if last.known() == "]" => rest,
            _ => &call.args,
        };
        self.decide(args, call);
        Flow::Next
    }

    fn decide(&mut self, args: &[Field], call: &Call<'_>) {
        let truth = match call.loose() {
            Some(why) => Truth::Unknown(why.clone()),
            None => {
                let mut test = Test {
                    machine: self,
                    place: call.place,
                    args,
                    depth: 0,
                };
                test.whole()
            }
        };
        self.state.status = Status::of(truth);
    }
}

/// A test in the reading. Every row of words is one: what is no operator is a string,
/// and a test of no words is true.
struct Test<'a, 'w> {
    machine: &'a Evaluator<'w>,
    place: &'a Place,
    /// What is still to be read.
    args: &'a [Field],
    depth: u32,
}

impl<'a> Test<'a, '_> {
    fn word(&self, at: usize) -> &'a str {
        self.args.get(at).map_or("", Field::known)
    }

    fn skip(&mut self, count: usize) {
        self.args = self.args.get(count..).unwrap_or_default();
    }

    /// Up to the end, or a `)`, which ends it wherever it stands. What stands side by
    /// side must hold together, `-a` or not; `-o` begins anew.
    fn whole(&mut self) -> Truth {
        let (mut any, mut all) = (Truth::No, Truth::Yes);
        let mut inverted = false;
        while !self.args.is_empty() {
            let truth = match self.comparison() {
                Some(truth) => truth,
                None => {
                    let word = self.word(0);
                    let field = self.args.first();
                    self.skip(1);
                    match word {
                        ")" => break,
                        "(" => self.nested(),
                        "!" => {
                            inverted = !inverted;
                            continue;
                        }
                        "-a" => continue,
                        "-o" => {
                            any = any.or(std::mem::replace(&mut all, Truth::Yes));
                            continue;
                        }
                        _ => field.map_or(Truth::No, |field| field.text.has_characters()),
                    }
                }
            };
            let inverted = std::mem::take(&mut inverted);
            all = all.and(if inverted { truth.negated() } else { truth });
        }
        any.or(all)
    }

    /// What an operator and its operands say, three words before two.
    fn comparison(&mut self) -> Option<Truth> {
        if let [left, operator, right, ..] = self.args
            && let Some(truth) = self.binary(left, operator.known(), right)
        {
            self.skip(3);
            return Some(truth);
        }
        if let [operator, operand, ..] = self.args
            && let Some(truth) = self.unary(operator.known(), operand)
        {
            self.skip(2);
            return Some(truth);
        }
        None
    }

    fn nested(&mut self) -> Truth {
        if self.depth >= MAX_DEPTH {
            let what = "this test has too many parentheses within each other";
            return Truth::Unknown(Why::at(self.place, what));
        }
        self.depth = self.depth.saturating_add(1);
        let truth = self.whole();
        self.depth = self.depth.saturating_sub(1);
        truth
    }

    fn unary(&self, operator: &str, operand: &Field) -> Option<Truth> {
        let node = |fits: fn(&Node) -> bool| self.node(&operand.text, operator == "-s", fits);
        Some(match operator {
            "-n" => operand.text.has_characters(),
            "-z" => operand.text.has_characters().negated(),
            "-d" => node(|node| node.directory),
            "-e" => node(|_| true),
            "-f" => node(|node| !node.directory),
            "-s" => node(|node| !node.directory && node.size > 0),
            _ => return None,
        })
    }

    fn binary(&self, left: &Field, operator: &str, right: &Field) -> Option<Truth> {
        let same = || left.text.same_as(&right.text, self.place);
        let order = |fits: fn(std::cmp::Ordering) -> bool| self.texts(left, right, fits);
        let numbers = |fits: fn(&i64, &i64) -> bool| self.numbers(left, right, fits);
        Some(match operator {
            "=" | "==" => same(),
            "!=" => same().negated(),
            "<" => order(std::cmp::Ordering::is_lt),
            "<=" => order(std::cmp::Ordering::is_le),
            ">" => order(std::cmp::Ordering::is_gt),
            ">=" => order(std::cmp::Ordering::is_ge),
            "-eq" => numbers(|a, b| a == b),
            "-ne" => numbers(|a, b| a != b),
            "-lt" => numbers(|a, b| a < b),
            "-le" => numbers(|a, b| a <= b),
            "-gt" => numbers(|a, b| a > b),
            "-ge" => numbers(|a, b| a >= b),
            "-pgt" => self.after_prefix(left, right, |a, b| a > b),
            "-plt" => self.after_prefix(left, right, |a, b| a < b),
            _ => return self.newer(left, operator, right),
        })
    }

    /// Known characters on both sides.
    fn both(&self, left: &Field, right: &Field) -> Result<(&'a str, &'a str), Why>
    where
        Self: 'a,
    {
        let known = |field: &Field| field.characters(self.place).map(str::to_owned);
        known(left)?;
        known(right)?;
        let found = |field: &Field| {
            let at = self.args.iter().position(|arg| std::ptr::eq(arg, field));
            at.and_then(|at| self.args.get(at)).map_or("", Field::known)
        };
        Ok((found(left), found(right)))
    }

    fn texts(&self, left: &Field, right: &Field, fits: fn(std::cmp::Ordering) -> bool) -> Truth {
        match self.both(left, right) {
            Ok((left, right)) => fits(left.cmp(right)).into(),
            Err(why) => Truth::Unknown(why),
        }
    }

    fn numbers(&self, left: &Field, right: &Field, fits: fn(&i64, &i64) -> bool) -> Truth {
        let (left, right) = match self.both(left, right) {
            Ok(both) => both,
            Err(why) => return Truth::Unknown(why),
        };
        match (number::signed(left), number::signed(right)) {
            (Some(left), Some(right)) => fits(&left, &right).into(),
            _ => self.too_large(left, right),
        }
    }

    fn too_large(&self, left: &str, right: &str) -> Truth {
        let what = format!(
            "how {left:?} and {right:?} compare as numbers depends on how many bits GRUB has"
        );
        Truth::Unknown(Why::at(self.place, what))
    }

    /// `-pgt` and `-plt`: as numbers after a common beginning. Digits at its end
    /// belong to the numbers, but not the first character of all.
    fn after_prefix(&self, left: &Field, right: &Field, fits: fn(&u64, &u64) -> bool) -> Truth {
        let (left, right) = match self.both(left, right) {
            Ok(both) => both,
            Err(why) => return Truth::Unknown(why),
        };
        let same = left.chars().zip(right.chars()).take_while(|(a, b)| a == b);
        let common: usize = same.map(|(a, _)| a.len_utf8()).sum();
        let before = left.get(..common).unwrap_or_default();
        let first = usize::from(!before.is_empty());
        let start = before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let rest = |text: &str| {
            let rest = text.get(start.max(first)..).unwrap_or_default();
            number::leading(rest).map_or(0, |(number, _)| number)
        };
        match (rest(left), rest(right)) {
            (left, right) if left.max(right) <= u64::from(u32::MAX) => fits(&left, &right).into(),
            _ => self.too_large(left, right),
        }
    }

    /// `-nt` and `-ot`, with a number of seconds right behind it that is added
    /// to the first file's time.
    fn newer(&self, left: &Field, operator: &str, right: &Field) -> Option<Truth> {
        let (newer, bias) = match operator.strip_prefix("-nt") {
            Some(bias) => (true, bias),
            None => (false, operator.strip_prefix("-ot")?),
        };
        let bias = number::signed(bias)?;
        let (left, right) = match (self.stat(&left.text, false), self.stat(&right.text, false)) {
            (Err(why), _) | (_, Err(why)) => return Some(Truth::Unknown(why)),
            (Ok(left), Ok(right)) => (left, right),
        };
        Some(match (left, right) {
            (Some(left), Some(right)) => {
                let left = left.modified.saturating_add(bias);
                match newer {
                    true => left > right.modified,
                    false => left < right.modified,
                }
                .into()
            }
            // One that is there is newer than one that is not.
            (Some(_), None) => (newer || bias < 0).into(),
            (None, Some(_)) => (!newer).into(),
            (None, None) => Truth::No,
        })
    }

    fn node(&self, path: &Text, reading: bool, fits: fn(&Node) -> bool) -> Truth {
        match self.stat(path, reading) {
            Ok(node) => node.is_some_and(|node| fits(&node)).into(),
            Err(why) => Truth::Unknown(why),
        }
    }

    fn stat(&self, path: &Text, reading: bool) -> Result<Option<Node>, Why> {
        let Some(file) = self.machine.tested(path, reading, self.place)? else {
            return Ok(None);
        };
        match self.machine.devices.node(&file) {
            // What is not opened is looked for in its folder, where a link is a link.
            Answer::Is(node) if !reading && self.machine.devices.is_link(&file) => Ok(Some(Node {
                directory: false,
                ..node
            })),
            Answer::Is(node) => Ok(Some(node)),
            Answer::No if !reading && self.machine.devices.is_link(&file) => Ok(Some(Node {
                directory: false,
                size: 0,
                modified: 0,
            })),
            Answer::No => Ok(None),
            Answer::Unknown(why) => Err(Why::at(self.place, why)),
        }
    }
}

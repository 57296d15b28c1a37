//! `test` and `[`: GNU GRUB manual, "test". Three-valued: what cannot be known
//! says so, unless it does not matter.

use super::super::text::{Piece, Place, Text, Truth, Why};
use super::super::world::{Answer, Node};
use super::{Call, Field, Flow, Machine, Status};

/// How deep parentheses and `!` may stand in each other.
const MAX_DEPTH: u32 = 32;

impl Machine<'_> {
    pub(super) fn bracket(&mut self, call: &Call<'_>) -> Flow {
        let args = match call.args.split_last() {
            Some((last, rest)) if last.known() == "]" && !rest.is_empty() => rest,
            _ => &call.args,
        };
        self.decide(args, call);
        Flow::Next
    }

    pub(super) fn test(&mut self, call: &Call<'_>) -> Flow {
        self.decide(&call.args, call);
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
                match test.any() {
                    Some(truth) if test.args.is_empty() => truth,
                    _ => Truth::Unknown(Why::at(call.place, "this test is not well formed")),
                }
            }
        };
        self.state.status = Status::of(truth);
    }
}

/// A test in the reading; every step answers `None` when it is not well formed.
struct Test<'a, 'w> {
    machine: &'a Machine<'w>,
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

    /// `EXPRESSION -o EXPRESSION ...`
    fn any(&mut self) -> Option<Truth> {
        let mut truth = self.all()?;
        while self.word(0) == "-o" {
            self.skip(1);
            truth = truth.or(self.all()?);
        }
        Some(truth)
    }

    /// `EXPRESSION -a EXPRESSION ...`; the `-a` may be left out.
    fn all(&mut self) -> Option<Truth> {
        let mut truth = self.one()?;
        while !self.args.is_empty() && !matches!(self.word(0), "-o" | ")") {
            if self.word(0) == "-a" && self.args.len() > 1 {
                self.skip(1);
            }
            truth = truth.and(self.one()?);
        }
        Some(truth)
    }

    fn one(&mut self) -> Option<Truth> {
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
        match self.word(0) {
            "!" if self.args.len() > 1 => self.nested(|test| {
                test.skip(1);
                Some(test.one()?.negated())
            }),
            "(" => self.nested(|test| {
                test.skip(1);
                let truth = test.any()?;
                (test.word(0) == ")").then(|| test.skip(1))?;
                Some(truth)
            }),
            "-a" | "-o" | ")" => None,
            _ => {
                let field = self.args.first()?;
                self.skip(1);
                Some(field.text.has_characters())
            }
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<Truth>) -> Option<Truth> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return None;
        }
        let truth = read(self);
        self.depth = self.depth.saturating_sub(1);
        truth
    }

    fn unary(&self, operator: &str, operand: &Field) -> Option<Truth> {
        let node = |fits: fn(&Node) -> bool| self.node(&operand.text, fits);
        Some(match operator {
            "-n" => operand.text.has_characters(),
            "-z" => operand.text.has_characters().negated(),
            "-d" => node(|node| node.directory),
            "-e" => node(|_| true),
            "-f" => node(|node| !node.directory),
            "-s" => node(|node| node.size > 0),
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
        match (number(left), number(right)) {
            (Some(left), Some(right)) => fits(&left, &right).into(),
            _ => {
                let what = format!("{left:?} and {right:?} are compared as numbers");
                Truth::Unknown(Why::at(self.place, what))
            }
        }
    }

    /// `-pgt` and `-plt`: as numbers after a common beginning without digits.
    fn after_prefix(&self, left: &Field, right: &Field, fits: fn(&i64, &i64) -> bool) -> Truth {
        let (left, right) = match self.both(left, right) {
            Ok(both) => both,
            Err(why) => return Truth::Unknown(why),
        };
        let common = left
            .chars()
            .zip(right.chars())
            .take_while(|(a, b)| a == b && !a.is_ascii_digit())
            .map(|(a, _)| a.len_utf8())
            .sum::<usize>();
        let rest = |text: &str| text.get(common..).and_then(number);
        match (rest(left), rest(right)) {
            (Some(left), Some(right)) => fits(&left, &right).into(),
            _ => {
                let what = format!("{left:?} and {right:?} are compared as numbers");
                Truth::Unknown(Why::at(self.place, what))
            }
        }
    }

    /// `-nt` and `-ot`, with a number of seconds right behind it that is added
    /// to the first file's time.
    fn newer(&self, left: &Field, operator: &str, right: &Field) -> Option<Truth> {
        let (newer, bias) = match operator.strip_prefix("-nt") {
            Some(bias) => (true, bias),
            None => (false, operator.strip_prefix("-ot")?),
        };
        let bias: i64 = match bias {
            "" => 0,
            bias => bias.parse().ok()?,
        };
        let (left, right) = match (self.stat(&left.text), self.stat(&right.text)) {
            (Err(why), _) | (_, Err(why)) => return Some(Truth::Unknown(why)),
            (Ok(left), Ok(right)) => (left?, right?),
        };
        let left = left.modified.saturating_add(bias);
        Some(match newer {
            true => (left > right.modified).into(),
            false => (left < right.modified).into(),
        })
    }

    fn node(&self, path: &Text, fits: fn(&Node) -> bool) -> Truth {
        match self.stat(path) {
            Ok(node) => node.is_some_and(|node| fits(&node)).into(),
            Err(why) => Truth::Unknown(why),
        }
    }

    fn stat(&self, path: &Text) -> Result<Option<Node>, Why> {
        // A path that begins at no root is none for GRUB.
        if let Some(Piece::Known(start)) = path.pieces().first()
            && !start.starts_with(['/', '('])
        {
            return Ok(None);
        }
        let file = self.machine.file(path, self.place)?;
        match self.machine.world.node(&file) {
            Answer::Is(node) => Ok(Some(node)),
            Answer::No => Ok(None),
            Answer::Unknown(why) => Err(Why::at(self.place, why)),
        }
    }
}

/// A number as GRUB reads it: decimal, or with a leading `0x` or `0`.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let number = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hexadecimal) => i64::from_str_radix(hexadecimal, 16),
        None if digits.len() > 1 && digits.starts_with('0') => i64::from_str_radix(digits, 8),
        None if digits.starts_with('+') => return None,
        None => digits.parse(),
    };
    let number = number.ok()?;
    Some(if negative { -number } else { number })
}

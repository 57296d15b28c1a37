//! Which entry `default` means.
//!
//! The manual's "default" and what GRUB 2.06 to 2.14 did when they were asked: a
//! value that begins with a number is that number, whatever follows; anything
//! else is a title or an id, whichever entry has it first; what names no entry
//! means the first one. `>` goes into a submenu, and `>>` is a `>` in a title.
//!
//! Fedora's GRUB looks for a title or an id first (rhbz#1640979), because its ids
//! are file names that begin with a machine id. Whose GRUB it is, only its use of
//! `blscfg` tells; where that does not and the two would differ, nothing is
//! picked.

use super::menu::Item;
use super::text::{Place, Text, Truth, Why};
use std::rc::Rc;

/// An entry of one menu.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picked {
    /// Its number in that menu.
    pub(super) index: usize,
    /// What `default` is in the menu that it opens.
    pub(super) rest: String,
    /// Whether nothing fits and GRUB takes the first entry.
    pub(super) nothing_fits: bool,
}

/// The value in front of the first `>`, and what is behind it.
fn split(value: &str) -> (String, &str) {
    let mut head = String::new();
    let mut chars = value.char_indices();
    while let Some((at, c)) = chars.next() {
        if c != '>' {
            head.push(c);
            continue;
        }
        let rest = value.get(at + 1..).unwrap_or_default();
        if !rest.starts_with('>') {
            return (head, rest);
        }
        head.push('>');
        chars.next();
    }
    (head, "")
}

/// A title or an id as a part of a path.
pub(super) fn escaped(name: &str) -> String {
    name.replace('>', ">>")
}

/// The number that a text begins with: decimal, `0x` hexadecimal or `0` octal.
fn leading_number(text: &str) -> Option<usize> {
    let text = text.trim_start();
    let hexadecimal = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    let (digits, radix) = match hexadecimal {
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_hexdigit()) => (digits, 16),
        _ if text.starts_with('0') => (text, 8),
        _ => (text, 10),
    };
    let end = digits
        .find(|c: char| !c.is_digit(radix))
        .unwrap_or(digits.len());
    let digits = digits.get(..end).filter(|digits| !digits.is_empty())?;
    Some(usize::from_str_radix(digits, radix).unwrap_or(usize::MAX))
}

/// The entry that a value of `default` means.
///
/// # Errors
/// Why that cannot be known.
pub(super) fn pick(
    menu: &[Rc<Item>],
    value: &Text,
    fedora: bool,
    place: &Place,
) -> Result<Picked, Why> {
    let value = value.characters(place)?;
    let (head, rest) = split(value);
    let plain = head.trim_start().bytes().all(|b| b.is_ascii_digit());
    let named = match leading_number(&head) {
        None => titled(menu, &head, place)?,
        Some(number) if plain => numbered(menu, number)?,
        Some(number) => match titled(menu, &head, place)? {
            None => numbered(menu, number)?,
            Some(index) if fedora || numbered(menu, number) == Ok(Some(index)) => Some(index),
            Some(_) => {
                let what = format!(
                    "whether {head:?} is the number {number} or a title depends on whose GRUB it is"
                );
                return Err(Why::at(place, what));
            }
        },
    };
    if named.is_none() {
        // It takes a menu that is known as a whole to say that nothing fits.
        sure(menu)?;
        sure_first(menu, place)?;
    }
    Ok(Picked {
        index: named.unwrap_or(0),
        rest: rest.to_owned(),
        nothing_fits: named.is_none() && !value.is_empty(),
    })
}

fn sure(menu: &[Rc<Item>]) -> Result<(), Why> {
    let unsure = |item: &Rc<Item>| item.doubt.clone().or(item.unsure_place.clone());
    match menu.iter().find_map(unsure) {
        Some(why) => Err(why),
        None => Ok(()),
    }
}

fn sure_first(menu: &[Rc<Item>], place: &Place) -> Result<(), Why> {
    match menu.is_empty() {
        true => Err(Why::at(place, "the menu has no entries")),
        false => Ok(()),
    }
}

fn numbered(menu: &[Rc<Item>], number: usize) -> Result<Option<usize>, Why> {
    let Some(up_to) = menu.get(..=number.min(menu.len())) else {
        sure(menu)?;
        return Ok((number < menu.len()).then_some(number));
    };
    sure(up_to)?;
    Ok(Some(number))
}

fn titled(menu: &[Rc<Item>], name: &str, place: &Place) -> Result<Option<usize>, Why> {
    let name = Text::known(name);
    for (index, item) in menu.iter().enumerate() {
        let fits = item.title.same_as(&name, place);
        let fits = fits.or(item.id.same_as(&name, place));
        match (fits, &item.doubt) {
            (Truth::No, _) => {}
            (Truth::Unknown(why), _) => return Err(why),
            (Truth::Yes, Some(why)) => return Err(why.clone()),
            (Truth::Yes, None) => return Ok(Some(index)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::ast::Block;
    use super::*;

    fn place() -> Place {
        Place {
            file: "grub.cfg".into(),
            line: 1,
        }
    }

    fn item(title: &str, id: &str) -> Rc<Item> {
        Rc::new(Item {
            place: place(),
            title: Text::known(title),
            id: Text::known(id),
            params: Vec::new(),
            submenu: false,
            unrestricted: false,
            body: Rc::new(Block::default()),
            doubt: None,
            unsure_place: None,
            broken: None,
        })
    }

    fn menu() -> Vec<Rc<Item>> {
        [
            ("A", "ida"),
            ("B title", "idb"),
            ("x>y", "i>j"),
            ("A", "dup"),
            ("3", "5"),
        ]
        .map(|(title, id)| item(title, id))
        .into()
    }

    fn picked(value: &str) -> (usize, String, bool) {
        let picked = pick(&menu(), &Text::known(value), false, &place()).unwrap();
        (picked.index, picked.rest, picked.nothing_fits)
    }

    /// Each of these was tried with GRUB 2.06.
    #[test]
    fn as_grub_picks() {
        for (value, index) in [
            ("0", 0),
            ("1", 1),
            ("3", 3),
            (" 1", 1),
            ("1x", 1),
            ("01", 1),
            ("0x1", 1),
            ("3 three", 3),
            ("idb", 1),
            ("B title", 1),
            ("A", 0),
            ("dup", 3),
            ("x>>y", 2),
            ("i>>j", 2),
        ] {
            assert_eq!(picked(value), (index, String::new(), false), "{value}");
        }
        for value in [
            "99",
            "-1",
            "5",
            "nope",
            "IDB",
            "idb ",
            "99999999999999999999999",
        ] {
            assert_eq!(picked(value), (0, String::new(), true), "{value}");
        }
        assert_eq!(picked(""), (0, String::new(), false));
        assert_eq!(picked("2>1"), (2, "1".to_owned(), false));
        assert_eq!(picked("idb>c>d"), (1, "c>d".to_owned(), false));
        assert_eq!(picked("x>y"), (0, "y".to_owned(), true));
        assert_eq!(picked(">1"), (0, "1".to_owned(), true));
    }

    #[test]
    fn doubt_matters_only_where_it_stands_in_the_way() {
        let why = Why::of("keystatus");
        let mut menu = menu();
        let mut doubtful = (*menu[2]).clone();
        doubtful.doubt = Some(why.clone());
        menu[2] = Rc::new(doubtful);
        let pick = |value: &str| pick(&menu, &Text::known(value), false, &place()).map(|p| p.index);
        assert_eq!(pick("1"), Ok(1));
        assert_eq!(pick("idb"), Ok(1));
        assert_eq!(pick("dup"), Ok(3));
        for value in ["2", "3", "i>>j", "nope", "77"] {
            assert_eq!(pick(value), Err(why.clone()), "{value}");
        }
    }

    #[test]
    fn a_title_that_begins_with_a_digit() {
        let menu = [item("A", "a"), item("0 B", "6b65"), item("1 C", "c")];
        let pick = |value: &str, fedora| {
            pick(&menu, &Text::known(value), fedora, &place()).map(|p| p.index)
        };
        for (value, index) in [("0 B", 1), ("6b65", 1), ("1 C", 2)] {
            assert_eq!(pick(value, true), Ok(index), "{value}");
            assert!(pick(value, false).is_err(), "{value}");
        }
        assert_eq!(pick("1 D", true), Ok(1));
        assert_eq!(pick("1 D", false), Ok(1));
    }

    #[test]
    fn an_empty_menu_has_no_default() {
        let why = pick(&[], &Text::default(), false, &place()).unwrap_err();
        assert!(why.to_string().contains("no entries"));
    }
}

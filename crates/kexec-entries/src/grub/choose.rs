//! Which entry `default` means.
//!
//! The manual's "default" and what GRUB 2.06 to 2.14 did when they were asked: a
//! value that begins with a number is that number, whatever follows; anything
//! else is a title or an id, whichever entry has it first; what names no entry
//! means the first one. `>` goes into a submenu, and `>>` is a `>` in a title.
//!
//! Fedora's GRUB (rhboot/grub2, `normal/menu.c`) looks for an id first, then for a
//! title (rhbz#1640979), because its ids are file names that begin with a machine id;
//! a number counts only when nothing stands behind it. Whose GRUB it is, its modules
//! and its use of `blscfg` tell; where they do not and the two would differ, nothing
//! is picked.

use super::menu::MenuItem;
use super::number;
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

/// The entry that a value of `default` means; `hidden` are openSUSE's entries that
/// only a key starts, with their places, and `fedora` is whether it is Fedora's GRUB.
///
/// # Errors
/// Why that cannot be known.
pub(super) fn pick(
    menu: &[Rc<MenuItem>],
    hidden: &[(usize, Rc<MenuItem>)],
    value: &Text,
    fedora: Option<bool>,
    place: &Place,
) -> Result<Picked, Why> {
    let value = value.characters(place)?;
    let picked = match fedora {
        Some(true) => as_fedora(menu, value, place)?,
        Some(false) => as_upstream(menu, value, place)?,
        None => {
            let [upstream, fedora] = [
                as_upstream(menu, value, place),
                as_fedora(menu, value, place),
            ];
            if upstream != fedora {
                let what = format!("what {value:?} means depends on the distribution's GRUB");
                return Err(Why::at(place, what));
            }
            upstream?
        }
    };
    for (at, item) in hidden {
        let named = as_upstream(std::slice::from_ref(item), value, place);
        let named =
            named.is_ok_and(|named| !named.nothing_fits && number::leading(value).is_none());
        if *at <= picked.index || (named && !value.is_empty()) {
            let what = format!("{value:?} may mean a hidden entry ({})", item.place);
            return Err(Why::at(place, what));
        }
    }
    Ok(picked)
}

fn as_upstream(menu: &[Rc<MenuItem>], value: &str, place: &Place) -> Result<Picked, Why> {
    let (head, rest) = split(value);
    let named = match number::leading(&head) {
        None => titled(menu, &head, place, |item| [&item.title, &item.id].into())?,
        Some((number, _)) => numbered(menu, number)?,
    };
    picked(menu, named, value, rest, place)
}

/// Fedora's: an id that ends before the first blank, then a title, then a number with
/// nothing behind it.
fn as_fedora(menu: &[Rc<MenuItem>], value: &str, place: &Place) -> Result<Picked, Why> {
    let (head, rest) = split(value);
    let word = value.find(|c: char| c.is_ascii_whitespace());
    let by_id = |id: &str| titled(menu, id, place, |item| vec![&item.id]);
    let named = match word.map(|at| value.split_at(at)) {
        None => by_id(&head)?,
        // With words behind it, an id is found and is no number of an entry then; one
        // of a single character is overlooked.
        Some((word, _)) => {
            if word.len() > 1 && by_id(&split(word).0)?.is_some() {
                return picked(menu, None, value, rest, place);
            }
            None
        }
    };
    let named = match named {
        Some(index) => Some(index),
        None => match titled(menu, &head, place, |item| vec![&item.title])? {
            Some(index) => Some(index),
            None => match number::leading(value) {
                Some((number, "")) => numbered(menu, number)?,
                _ => None,
            },
        },
    };
    picked(menu, named, value, rest, place)
}

fn picked(
    menu: &[Rc<MenuItem>],
    named: Option<usize>,
    value: &str,
    rest: &str,
    place: &Place,
) -> Result<Picked, Why> {
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

fn sure(menu: &[Rc<MenuItem>]) -> Result<(), Why> {
    let unsure = |item: &Rc<MenuItem>| item.doubt.clone().or(item.unsure_place.clone());
    match menu.iter().find_map(unsure) {
        Some(why) => Err(why),
        None => Ok(()),
    }
}

fn sure_first(menu: &[Rc<MenuItem>], place: &Place) -> Result<(), Why> {
    match menu.is_empty() {
        true => Err(Why::at(place, "the menu has no entries")),
        false => Ok(()),
    }
}

fn numbered(menu: &[Rc<MenuItem>], number: u64) -> Result<Option<usize>, Why> {
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    let Some(up_to) = menu.get(..=number.min(menu.len())) else {
        sure(menu)?;
        return Ok((number < menu.len()).then_some(number));
    };
    sure(up_to)?;
    Ok(Some(number))
}

/// The first entry of which one of these texts is the name.
fn titled(
    menu: &[Rc<MenuItem>],
    name: &str,
    place: &Place,
    texts: impl Fn(&MenuItem) -> Vec<&Text>,
) -> Result<Option<usize>, Why> {
    let name = Text::known(name);
    for (index, item) in menu.iter().enumerate() {
        let same = texts(item)
            .into_iter()
            .map(|text| text.same_as(&name, place));
        match (same.fold(Truth::No, Truth::or), &item.doubt) {
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

    fn item(title: &str, id: &str) -> Rc<MenuItem> {
        Rc::new(MenuItem {
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

    fn menu() -> Vec<Rc<MenuItem>> {
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
        let picked = pick(&menu(), &[], &Text::known(value), Some(false), &place()).unwrap();
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
        let pick = |value: &str| {
            pick(&menu, &[], &Text::known(value), Some(false), &place()).map(|p| p.index)
        };
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
            pick(&menu, &[], &Text::known(value), fedora, &place()).map(|p| p.index)
        };
        for (value, fedora, upstream) in [
            ("0 B", 1, 0),
            ("6b65", 1, 0),
            ("1 C", 2, 1),
            ("1 D", 0, 1),
            ("1x", 0, 1),
            ("2>0", 0, 2),
            ("1 ", 0, 1),
        ] {
            assert_eq!(pick(value, Some(true)), Ok(fedora), "{value}");
            assert_eq!(pick(value, Some(false)), Ok(upstream), "{value}");
            assert!(pick(value, None).is_err(), "{value}");
        }
        // What both take the same way needs no maker.
        for (value, index) in [("1", 1), ("A", 0), ("c", 2), ("nope", 0), ("", 0)] {
            assert_eq!(pick(value, None), Ok(index), "{value}");
        }
    }

    /// What rhboot/grub2's `normal/menu.c` does.
    #[test]
    fn ids_of_fedora_end_at_a_blank() {
        let menu = [
            item("A", "x"),
            item("ab c", "ab"),
            item("d e", "q r"),
            item("T", "s"),
        ];
        let pick = |value: &str| {
            let value = Text::known(value);
            pick(&menu, &[], &value, Some(true), &place()).map(|p| (p.index, p.rest))
        };
        let at = |index, rest: &str| Ok((index, rest.to_owned()));
        // The id `ab` is found, and what follows makes it no entry.
        assert_eq!(pick("ab c"), at(0, ""));
        assert_eq!(pick("ab"), at(1, ""));
        assert_eq!(pick("d e"), at(2, ""));
        assert_eq!(pick("q r"), at(0, ""));
        assert_eq!(pick("s>1"), at(3, "1"));
        assert_eq!(pick("T>x y"), at(3, "x y"));
    }

    #[test]
    fn hidden_entries_are_never_picked() {
        let menu = [item("A", "a"), item("B", "b")];
        let hidden = [(1, item("H", "h"))];
        let pick = |value: &str, hidden: &[(usize, Rc<MenuItem>)]| {
            pick(&menu, hidden, &Text::known(value), Some(false), &place()).map(|p| p.index)
        };
        assert_eq!(pick("0", &hidden), Ok(0));
        assert_eq!(pick("", &hidden), Ok(0));
        assert_eq!(pick("nope", &hidden), Ok(0));
        for value in ["1", "b", "h", "H"] {
            assert!(pick(value, &hidden).is_err(), "{value}");
        }
    }

    #[test]
    fn an_empty_menu_has_no_default() {
        let why = pick(&[], &[], &Text::default(), None, &place()).unwrap_err();
        assert!(why.to_string().contains("no entries"));
    }
}

use super::super::parse::parse;
use super::*;

fn board(text: &str) -> ExtlinuxConfig {
    let placed = parse(text, ConfigReader::UBoot).into_iter();
    let placed = placed.map(|directive| Placed { file: 0, directive });
    assemble(placed, ConfigReader::UBoot)
}

fn initrds(label: &ExtlinuxLabel) -> Vec<&str> {
    label.initrds.iter().map(|at| at.value.as_str()).collect()
}

#[test]
fn a_board_leaves_a_label_at_what_it_does_not_know() {
    let config = board("label a\nui menu.c32\nlinux /k\nlabel b\nlinux /k\nappend x\n");
    let [a, b] = config.labels.as_slice() else {
        panic!("{:?}", config.labels);
    };
    assert!(a.boots.is_none());
    assert_eq!(a.lost.as_ref().map(|at| at.line), Some(3));
    assert!(b.boots.is_some() && b.lost.is_none());
    // A timeout ends a label and is known.
    let config = board("label a\nlinux /k\ntimeout 50\n");
    assert_eq!(config.menus[0].timeout, 50);
    assert!(config.labels[0].lost.is_none());
}

#[test]
fn a_board_takes_one_initrd() {
    let first = |text: &str| board(text).labels.remove(0);
    let own = first("label a\ninitrd /i\nappend initrd=/other x\nlinux /k\n");
    assert_eq!(initrds(&own), ["/i"]);
    assert!(own.lost.is_none());
    let named = first("label a\nappend x initrd=/i y\nlinux /k\n");
    assert_eq!(initrds(&named), ["/i"]);
    // The second one is read as the next line, and what follows is lost.
    let twice = first("label a\ninitrd /i\ninitrd /j\nlinux /k\n");
    assert_eq!(initrds(&twice), ["/i"]);
    assert_eq!(twice.lost.as_ref().map(|at| at.line), Some(4));
    // Commas are a part of its name.
    assert_eq!(initrds(&first("label a\ninitrd /i,/j\n")), ["/i,/j"]);
}

#[test]
fn menus_of_syslinux_hand_their_timeout_on() {
    let text = "timeout 50\nontimeout a\nlabel a\nmenu begin\nlabel b\nmenu end\n";
    let placed = parse(text, ConfigReader::Syslinux).into_iter();
    let placed = placed.map(|directive| Placed { file: 0, directive });
    let config = assemble(placed, ConfigReader::Syslinux);
    let [main, inner] = config.menus.as_slice() else {
        panic!("{:?}", config.menus);
    };
    assert_eq!((main.timeout, inner.timeout), (50, 50));
    assert_eq!(inner.on_timeout, main.on_timeout);
    assert_eq!(inner.items, [MenuLine::Label(1)]);
}

/// syslinux takes the last line; several files stand in one.
#[test]
fn of_several_initrd_lines_the_last_counts() {
    let text = "label a\nlinux /k\ninitrd /i\ninitrd /j,/l\n";
    let placed = parse(text, ConfigReader::Syslinux).into_iter();
    let placed = placed.map(|directive| Placed { file: 0, directive });
    let config = assemble(placed, ConfigReader::Syslinux);
    assert_eq!(initrds(config.labels.first().unwrap()), ["/j,/l"]);
}

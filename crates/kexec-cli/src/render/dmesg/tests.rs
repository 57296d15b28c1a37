use super::*;

fn record(facility: u8, level: u8, caller: Caller, text: &str) -> Item {
    Item::Record(Record {
        seq: Some(1),
        ts_nsec: 1_234_567_890,
        facility: Some(facility),
        level: Some(level),
        caller: Some(caller),
        text: text.into(),
    })
}

fn shown(style: Style, select: Select, items: &[Item]) -> String {
    let info = Vmcoreinfo::default();
    let mut page = Page::new(Show::Text, style, select, &info);
    let mut out = Vec::new();
    for item in items {
        page.item(&mut out, item).expect("into memory");
    }
    let summary = Summary {
        layout: kexec_vmcore::log::Layout::Bytes,
        records: 0,
        lost: 0,
        unreadable: 0,
        why: None,
    };
    page.end(&mut out, &summary).expect("into memory");
    String::from_utf8(out).expect("text")
}

#[test]
fn what_is_in_front_of_a_line() {
    let two = [
        record(0, 6, Caller::Thread(3919), "one\ntwo"),
        record(3, 3, Caller::Cpu(1), "bell \u{7}"),
    ];
    let style = |decode, caller, force_prefix| Style {
        decode,
        caller,
        force_prefix,
    };
    for (style, wanted) in [
        (
            style(false, false, false),
            "[    1.234567] one\ntwo\n[    1.234567] bell \\x07\n",
        ),
        (
            style(false, false, true),
            "[    1.234567] one\n[    1.234567] two\n[    1.234567] bell \\x07\n",
        ),
        (
            style(true, false, true),
            "kern  :info  : [    1.234567] one\nkern  :info  : [    1.234567] two\n\
             daemon:err   : [    1.234567] bell \\x07\n",
        ),
        (
            style(false, true, false),
            "[    1.234567] [   T3919] one\n                          two\n\
             [    1.234567] [      C1] bell \\x07\n",
        ),
    ] {
        assert_eq!(shown(style, Select::default(), &two), wanted);
    }
}

#[test]
fn levels_and_facilities_choose() {
    let items = [
        record(0, 6, Caller::Thread(1), "info"),
        record(0, 3, Caller::Thread(1), "error"),
        record(3, 3, Caller::Thread(1), "of a daemon"),
    ];
    let select = Select {
        levels: Some(1 << 3),
        facilities: Some(1),
        ..Select::default()
    };
    let wanted = "[    1.234567] error\n";
    assert_eq!(shown(Style::default(), select, &items), wanted);
}

/// Of a kernel before 3.5: pieces end anywhere, and a line without a level goes on.
#[test]
fn levels_choose_lines_of_text() {
    let select = Select {
        levels: Some(1 << 3),
        ..Select::default()
    };
    let piece = |text: &str| Item::Text(text.into());
    let items = [
        piece("<6>info\nmore of it\n<"),
        piece("3>err"),
        piece("or\nmore of it\n<6>x\n<11>user's last"),
    ];
    let wanted = "<3>error\nmore of it\n<11>user's last\n";
    assert_eq!(shown(Style::default(), select, &items), wanted);
    let all = "<6>info\nmore of it\n<3>error\nmore of it\n<6>x\n<11>user's last";
    assert_eq!(shown(Style::default(), Select::default(), &items), all);
}

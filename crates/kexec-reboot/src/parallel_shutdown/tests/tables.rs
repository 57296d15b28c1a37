//! The kernel's tables.

use super::super::uses::{consoles, mounts, swaps};
use super::*;

#[test]
fn a_mount_table() {
    let text = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue\n\
                37 35 0:44 / /run rw - tmpfs  rw\n";
    let found = mounts(text).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(
        found[0],
        MountUse {
            number: "98:0".to_owned(),
            point: "/mnt\\0402".to_owned(),
            kind: "ext3".to_owned(),
            source: "/dev/root".to_owned(),
            options: "rw,errors=continue".to_owned(),
        }
    );
    assert_eq!(
        (found[1].source.as_str(), found[1].options.as_str()),
        ("", "rw")
    );
}

#[test]
fn a_line_that_is_none_makes_the_table_unknown() {
    for line in [
        "",
        "x",
        " - ",
        "36 35 98 / /x rw - ext4 a rw",
        "36 35 98:x / /x rw - ext4 a rw",
        "36 35 :0 / /x rw - ext4 a rw",
        "36 35 99999999999:0 / /x rw - ext4 a rw",
        "36 35 98:0 / /x rw shared:1 ext4 a rw",
        "36 35 98:0 / /x rw - ext4",
        "36 35 98:0 / /x rw -  a rw",
        "36 35 98:0 /",
    ] {
        let text = format!("{PROC}\n{line}\n");
        assert!(mounts(&text).is_err(), "{line:?}");
    }
    assert_eq!(mounts(""), Ok(Vec::new()));
}

#[test]
fn swaps_and_consoles() {
    assert_eq!(swaps(""), [""; 0]);
    assert_eq!(
        swaps("Filename Type\n/dev/sda2 partition\n\n/x\\040y file\n"),
        ["/dev/sda2", "/x\\040y"]
    );
    assert_eq!(
        consoles("ttyS0 -W- (EC p a) 4:64\nnetcon0 -W-\n", "tty0 ttyS0\n"),
        ["netcon0", "tty0", "ttyS0"]
    );
    assert_eq!(consoles("", ""), [""; 0]);
}

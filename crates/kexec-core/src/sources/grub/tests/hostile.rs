//! Configurations that mean harm: each ends soon, with a reason.

use super::*;
use proptest::prelude::*;

fn ends(config: &str) -> Outcome {
    let began = std::time::Instant::now();
    let outcome = run(config);
    assert!(
        began.elapsed().as_secs() < 20,
        "{}",
        config.chars().take(60).collect::<String>()
    );
    outcome
}

#[test]
fn nothing_goes_on_for_ever() {
    for config in [
        "while true; do true; done",
        "until false; do x=y$x; done",
        "function f { f; f; }; f",
        "function f { f; }; f",
        "function a { b; b; }\nfunction b { a; a; }\na",
        "source $prefix/grub.cfg",
        "source $prefix/grub.cfg; source $prefix/grub.cfg",
        "eval 'eval \"eval x\"'; s='eval $s'; eval $s",
        "x=aaaaaaaaaaaaaaaa; while true; do x=\"$x$x$x$x\"; done",
        "x=a; while true; do for i in $x $x; do x=\"$x a\"; done; done",
        "while true; do menuentry x { true; }; done",
        "n=1; while true; do n=1$n; eval v$n=1; if keystatus; then q=$n; fi; done",
        "extract_entries_source $prefix/grub.cfg",
        "extract_entries_configfile $prefix/grub.cfg",
        "regexp '(a*)*(a*)*(a*)*b' aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; while true; do true; done",
    ] {
        let outcome = ends(config);
        assert!(outcome.default.is_err(), "{config}");
    }
}

#[test]
fn menus_that_open_menus() {
    let outcome = ends("configfile $prefix/grub.cfg");
    assert!(outcome.default.is_err());
    let outcome = ends("timeout=0\nmenuentry x { configfile $prefix/grub.cfg; }");
    assert!(
        outcome
            .default
            .unwrap_err()
            .to_string()
            .contains("menus open menus")
    );
    let outcome = ends("function s { submenu x { s; }; }; s");
    assert!(outcome.default.is_err());
    let many = "submenu s { for i in 1 2 3 4 5 6 7 8; do menuentry x { linux /boot/vmlinuz-1; }; done; }\n";
    ends(&many.repeat(2000));
}

#[test]
fn deep_and_long_texts() {
    for (open, close) in [
        ("if true; then ", "true; fi; "),
        ("submenu x { ", "true; }; "),
    ] {
        ends(&format!("{}{}", open.repeat(20_000), close.repeat(20_000)));
    }
    for condition in ["false", "keystatus"] {
        let arms = format!("elif {condition}; then true; ").repeat(50_000);
        ends(&format!("if {condition}; then true; {arms} fi"));
    }
    ends(&format!("[ {} a ]", "(".repeat(50_000)));
    ends(&format!("[ {} a ]", "! ".repeat(50_000)));
    ends(&format!("[ {} a ]", "a -o ".repeat(50_000)));
    ends(&format!("echo {}", "a".repeat(1 << 20)));
    ends(&"menuentry a { linux /boot/vmlinuz-1; }\n".repeat(20_000));
    ends(&format!(
        "menuentry a {{ linux /x {}; }}",
        "$a ".repeat(100_000)
    ));
}

/// Pieces that make scripts when they stand in a row.
const PIECES: [&str; 40] = [
    "if ",
    "then ",
    "else ",
    "elif ",
    "fi",
    "for x in ",
    "do ",
    "done",
    "while ",
    "until ",
    "function f ",
    "{ ",
    "} ",
    "; ",
    "\n",
    "menuentry ",
    "submenu ",
    "'a b' ",
    "\"$x\" ",
    "$x ",
    "${y}z ",
    "$@ ",
    "\"$@\" ",
    "$# ",
    "[ ",
    "] ",
    "= ",
    "-o ",
    "-f /boot ",
    "set x=",
    "1 ",
    "f ",
    "keystatus ",
    "linux /boot/vmlinuz-1 ",
    "initrd /boot/initrd-1 ",
    "default=1 ",
    "break ",
    "return ",
    "source $prefix/grub.cfg ",
    "! ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_row_of_pieces_ends(row in prop::collection::vec(0..PIECES.len(), 0..60)) {
        let config: String = row.iter().map(|at| PIECES[*at]).collect();
        ends(&config);
    }

    #[test]
    fn any_text_ends(text in ".{0,400}") {
        ends(&text);
    }
}

//! Configurations that mean harm: each ends soon, with a reason.

use super::*;
use proptest::prelude::*;

fn ends(config: &str) -> Evaluation {
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

/// Without a loop, so that only their price ends them.
#[test]
fn every_search_of_a_pattern_is_paid_for() {
    let search = format!("regexp '(a*)*(a*)*(a*)*b' {}\n", "a".repeat(60));
    let menu = "menuentry x { linux /boot/vmlinuz-1; }\n";
    let few = ends(&format!("{}{menu}", search.repeat(3)));
    assert!(few.default.is_ok(), "{few:?}");
    let many = ends(&format!("{}{menu}", search.repeat(10_000)));
    let why = many.default.unwrap_err().to_string();
    assert!(why.contains("does not come to an end"), "{why}");
}

/// Devices that count what they are asked.
struct Counting {
    devices: MemoryDevices,
    asked: std::cell::Cell<u64>,
}

impl Counting {
    fn ask(&self) -> &MemoryDevices {
        self.asked.set(self.asked.get() + 1);
        &self.devices
    }
}

impl Devices for Counting {
    fn read(&self, file: &FilePath, limit: usize) -> Answer<Vec<u8>> {
        self.ask().read(file, limit)
    }
    fn node(&self, file: &FilePath) -> Answer<Node> {
        self.ask().node(file)
    }
    fn list(&self, directory: &FilePath) -> Answer<Vec<String>> {
        self.ask().list(directory)
    }
    fn search(&self, by: SearchBy, value: &str) -> Answer<Device> {
        self.ask().search(by, value)
    }
    fn device(&self, name: &str) -> Answer<Device> {
        self.ask().device(name)
    }
    fn probe(&self, device: &Device, what: ProbeFor) -> Answer<String> {
        self.ask().probe(device, what)
    }
}

/// Each question is a handful of system calls: a run asks some ten thousand at most.
#[test]
fn every_question_to_the_machine_is_paid_for() {
    for question in [
        "source /empty",
        "load_env",
        "[ -f /boot/vmlinuz-1 ]",
        "search --file --set=x /vmlinuz",
        "search --fs-uuid --set=x 5678",
        "probe --set=x --fs-uuid (other)",
        "cat /boot/vmlinuz-1",
        "blscfg",
        "x=(other)/*",
        "nosuchcommand",
    ] {
        let counting = Counting {
            devices: devices(&format!("while true; do {question}; done")),
            asked: std::cell::Cell::new(0),
        };
        let outcome = evaluate(&counting, &facts(), &start());
        assert!(outcome.default.is_err(), "{question}");
        let asked = counting.asked.get();
        assert!(asked < 40_000, "{question}: {asked}");
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
            .contains("menus open each other")
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

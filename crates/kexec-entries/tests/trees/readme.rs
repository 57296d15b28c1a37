//! The program of the README does what the README says.

use std::path::Path;

// Its `main` is for people who run it.
#[allow(dead_code, clippy::print_stdout)]
#[path = "../../examples/list.rs"]
mod list;

/// The parts of the README between lines of three backticks.
fn blocks() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let blocks = readme.split("\n```").skip(1).step_by(2);
    let content = |block: &str| block.split_once('\n').unwrap().1.trim_end().to_owned();
    blocks.map(content).collect()
}

#[test]
fn the_readme_shows_the_example() {
    let example = include_str!("../../examples/list.rs");
    let (_, program) = example.split_once("\n\n").unwrap();
    let blocks = blocks();
    assert!(
        blocks.iter().any(|block| block == program.trim_end()),
        "no block of README.md is examples/list.rs: {blocks:#?}"
    );
}

#[test]
fn the_example_prints_what_the_readme_says() {
    let manifest = super::tree::folder(".").join("arch-systemd-boot.tree");
    let dir = super::tree::unpack(&std::fs::read_to_string(manifest).unwrap());
    let printed = list::list(dir.path());
    let blocks = blocks();
    assert!(
        blocks.iter().any(|block| block == printed.trim_end()),
        "no block of README.md is what it prints:\n{printed}\n{blocks:#?}"
    );
}

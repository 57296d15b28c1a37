//! The manual page and the completions of vmcore-dmesg.

use super::fish::quoted as fish_quoted;
use super::pages::{examples, files, option, synopsis};
use super::roff::{Roff, bold, reference};
use super::zsh::{escaped, quoted as zsh_quoted};
use super::{GeneratedFile, spellings, takes_value};
use kexec_cli::args::Value;
use kexec_cli::vmcore_dmesg::{
    ABOUT, EXAMPLES, EXIT_CODES, FILES, NAME, SAYS, SEE_ALSO, SYNOPSIS, flags,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The manual page vmcore-dmesg(8).
pub fn page(date: &str) -> String {
    let mut out = Roff::new(NAME, date, VERSION);
    out.section("NAME");
    out.line_of_name(NAME, ABOUT);
    out.section("SYNOPSIS");
    out.lines(&[synopsis(SYNOPSIS)]);
    out.section("DESCRIPTION");
    out.paragraphs(SAYS);
    out.section("OPTIONS");
    for flag in flags() {
        option(&mut out, flag, &[]);
    }
    out.section("EXIT STATUS");
    for (code, what) in EXIT_CODES {
        out.item(&bold(code), what);
    }
    files(&mut out, FILES);
    examples(&mut out, EXAMPLES);
    out.section("SEE ALSO");
    let names = SEE_ALSO
        .iter()
        .map(|(name, section)| reference(name, *section));
    out.marked_text(&names.collect::<Vec<_>>().join(", "));
    out.finish()
}

/// Its completions: nothing is offered for a value.
pub fn completions() -> [GeneratedFile; 3] {
    let all: Vec<String> = flags().into_iter().flat_map(spellings).collect();
    let made = "Made from the definition of the command line: cargo xtask man";
    let bash = format!(
        "# {NAME}(8) in bash. {made}\ncomplete -o default -W '{}' {NAME}\n",
        all.join(" ")
    );
    let mut zsh = format!("#compdef {NAME}\n# {NAME}(8) in zsh. {made}\n\n_arguments -s");
    let mut fish = format!("# {NAME}(8) in fish. {made}\n\n");
    for flag in flags() {
        for spelling in spellings(flag) {
            let value = match flag.value {
                Value::None => String::new(),
                Value::Required(name, _) => format!(":{name}:"),
            };
            let spec = format!("{spelling}[{}]{value}", escaped(flag.doc_short));
            zsh.push_str(&format!(" \\\n  {}", zsh_quoted(&spec)));
        }
        let short = flag
            .short
            .map(|letter| format!(" -s {}", char::from(letter)));
        fish.push_str(&format!(
            "complete -c {NAME}{} -l {} -d {}{}\n",
            short.unwrap_or_default(),
            flag.long,
            fish_quoted(flag.doc_short),
            if takes_value(flag) { " -x" } else { "" }
        ));
    }
    zsh.push_str(" \\\n  '*:dump:_files'\n");
    [
        GeneratedFile::new(format!("completions/{NAME}"), bash),
        GeneratedFile::new(format!("completions/_{NAME}"), zsh),
        GeneratedFile::new(format!("completions/{NAME}.fish"), fish),
    ]
}

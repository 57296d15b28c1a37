//! Other programs, by a path that no caller's environment decides.

use std::process::Command;

/// Where programs are looked for: where distributions install those of root. NixOS has
/// them in the last one alone (NixOS manual, "Executables").
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin";

/// A command that is looked for in [`PATH`], as everything that it calls in turn.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", PATH);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_fixed_and_handed_on() {
        let said = command("sh").args(["-c", "echo $PATH"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim_end(), PATH);
        // Not found in the folder of the caller's PATH where cargo is.
        let missing = command("cargo-clippy").output();
        let there = PATH
            .split(':')
            .any(|folder| std::path::Path::new(folder).join("cargo-clippy").exists());
        assert_eq!(missing.is_ok(), there);
    }
}

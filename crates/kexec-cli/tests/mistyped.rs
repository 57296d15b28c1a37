//! What the program says to a word that it does not understand, as somebody sees it who
//! typed it. Nothing here can be loaded.

use std::path::Path;
use std::process::Command;

/// Exit code, standard output and the lines on standard error.
fn run(folder: &Path, words: &[&str]) -> (Option<i32>, String, Vec<String>) {
    let mut kexec = Command::new(env!("CARGO_BIN_EXE_kexec"));
    let done = kexec.args(words).current_dir(folder).output();
    let done = done.expect("the program runs");
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    let err = String::from_utf8_lossy(&done.stderr);
    (
        done.status.code(),
        out,
        err.lines().map(str::to_owned).collect(),
    )
}

#[test]
fn a_mistyped_verb_is_told_from_a_kernel_that_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out, err) = run(folder.path(), &["statsu"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err:?}");
    assert_eq!(err.len(), 2, "{err:?}");
    let first = err.first().map(String::as_str);
    assert_eq!(
        first,
        Some(
            "kexec: there is no file statsu here, and no verb of that name; did you mean kexec status?"
        )
    );
    // A name with a folder is a file's, and so is what stands behind a mode.
    for words in [["./statsu"].as_slice(), &["-l", "statsu"]] {
        let (code, _, err) = run(folder.path(), words);
        assert_eq!(code, Some(1), "{words:?}");
        let said = err.join("\n");
        assert!(said.contains("cannot read kernel"), "{said}");
    }
    // Where there is such a file, it is taken for a kernel as ever.
    std::fs::write(folder.path().join("statsu"), "no kernel").expect("a file");
    let (code, _, err) = run(folder.path(), &["statsu"]);
    assert_eq!(code, Some(255), "{err:?}");
    let said = err.join("\n");
    assert!(!said.contains("verb"), "{said}");
}

/// `kexec check -p` is a verb; a letter less, and the word was a kernel file.
#[test]
fn a_mistyped_verb_before_p_is_told_from_a_kernel_that_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    for (words, said) in [
        (
            ["chek", "-p"],
            "kexec: there is no file chek here; did you mean kexec check -p?",
        ),
        (
            ["load", "-p"],
            "kexec: with -p, \"load\" is a kernel file, and there is none here; did you mean kexec crash load?",
        ),
        (["vmlinuz", "-p"], "kexec: there is no file vmlinuz here"),
        (
            ["list", "-p"],
            "kexec: with -p, \"list\" is a kernel file, and there is none here",
        ),
    ] {
        let (code, out, err) = run(folder.path(), &words);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err:?}");
        let first = err.first().map(String::as_str);
        assert_eq!((first, err.len()), (Some(said), 2), "{err:?}");
    }
    // Behind the option it is a kernel file, and nothing else.
    let (_, _, err) = run(folder.path(), &["-p", "chek"]);
    let said = err.join("\n");
    assert!(said.contains("cannot read kernel"), "{said}");
}

/// With a file of that name it is kexec-tools' command line: then the word is ignored.
#[test]
fn a_verb_does_not_jump() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out, err) = run(folder.path(), &["check", "-e", "./vmlinuz"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err:?}");
    let first = err.first().map(String::as_str);
    let said = "kexec: -e jumps at once, and does not go with the verb check";
    assert_eq!((first, err.len()), (Some(said), 2), "{err:?}");
}

/// `-l` is an option of dmesg, and makes a kernel file of the verb here.
#[test]
fn a_verb_does_not_load() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out, err) = run(folder.path(), &["crash", "-l"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err:?}");
    let first = err.first().map(String::as_str);
    let said = "kexec: with -l (--load), \"crash\" is a kernel file, and there is none here";
    assert_eq!((first, err.len()), (Some(said), 2), "{err:?}");
    // Where there is such a file, it is taken for a kernel as ever.
    std::fs::write(folder.path().join("crash"), "no kernel").expect("a file");
    let (code, _, err) = run(folder.path(), &["crash", "-l"]);
    assert_eq!(code, Some(255), "{err:?}");
}

#[test]
fn a_wrong_command_line_is_answered_in_two_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    for (words, code, says) in [
        (["--inird=I", "-l"].as_slice(), 1, "did you mean --initrd?"),
        (&["-l"], 255, "no kernel was named"),
        (&["statsu", "--json"], 1, "did you mean status?"),
        (
            &["unload", "--append", "x"],
            2,
            "unload does not take --append",
        ),
        (
            &["reboot", "--cold", "--append", "x"],
            2,
            "--cold does not go with --append",
        ),
        (&["help", "statsu"], 2, "did you mean status?"),
    ] {
        let (got, out, err) = run(folder.path(), words);
        assert_eq!((got, out.as_str()), (Some(code), ""), "{words:?}");
        assert_eq!(err.len(), 2, "{words:?}: {err:?}");
        assert!(err.concat().contains(says), "{words:?}: {err:?}");
        assert!(err.concat().contains("see kexec"), "{words:?}: {err:?}");
    }
    let (code, out, err) = run(folder.path(), &["help", "load"]);
    assert_eq!((code, err.len()), (Some(0), 0));
    assert!(out.contains("Usage: kexec load"), "{out}");
}

//! Signatures with a key of gpg(1).

use super::super::scratch::said_by;
use super::super::stage::write;
use anyhow::{Context, Result, bail, ensure};
use kexec_lab::programs::{self, StartProgram};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The public key as text, in each folder that it signs.
pub const PUBLIC_TEXT: &str = "kexec-rs.asc";
/// The same key as bytes, as gpgv(1) and old versions of apt read it.
pub const PUBLIC_BYTES: &str = "kexec-rs.gpg";

/// A key whose secret half is on this machine.
#[derive(Debug)]
pub struct SigningKey {
    fingerprint: String,
    /// gpg's folder, where it is not the user's own.
    home: Option<PathBuf>,
}

impl SigningKey {
    /// The user's own key of this fingerprint.
    ///
    /// # Errors
    /// If that is not a whole fingerprint, or gpg has no secret key of it.
    pub fn named(fingerprint: &str) -> Result<SigningKey> {
        let fingerprint = fingerprint.replace(' ', "").to_ascii_uppercase();
        let is_hexadecimal = fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(
            fingerprint.len() >= 40 && is_hexadecimal,
            "--key {fingerprint}: expected the fingerprint of a key, 40 hexadecimal digits; \
             `gpg --list-secret-keys` shows those of your keys"
        );
        let key = SigningKey {
            fingerprint,
            home: None,
        };
        said_by(
            key.gpg()
                .args(["--list-secret-keys", "--"])
                .arg(&key.fingerprint),
        )
        .with_context(|| {
            format!(
                "looked for the secret key {} with gpg: `gpg --list-secret-keys` shows those \
                 that there are",
                key.fingerprint
            )
        })?;
        Ok(key)
    }

    /// A new key in this folder, which nobody is to trust: for tests.
    ///
    /// # Errors
    /// If gpg cannot make it.
    pub fn throw_away(home: &Path) -> Result<SigningKey> {
        let mut key = SigningKey {
            fingerprint: String::new(),
            home: Some(home.to_owned()),
        };
        // Of a kind that every rpm reads.
        said_by(
            key.gpg()
                .args(["--passphrase", "", "--quick-generate-key"])
                .args(["kexec-rs test <test@example.org>", "rsa3072", "sign", "0"]),
        )?;
        let listed =
            said_by(
                key.gpg()
                    .args(["--with-colons", "--fingerprint", "--list-secret-keys"]),
            )?;
        // doc/DETAILS of GnuPG, "Field 10": fpr:::::::::FINGERPRINT:
        let fingerprint = listed.lines().find_map(|line| {
            let mut fields = line.strip_prefix("fpr:")?.split(':');
            fields.nth(8)
        });
        fingerprint
            .context("gpg made a key and does not list it")?
            .clone_into(&mut key.fingerprint);
        Ok(key)
    }

    /// Its fingerprint, without spaces.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command.args(["--batch", "--yes", "--quiet"]);
        self.at_home(&mut command);
        command
    }

    fn at_home(&self, command: &mut Command) {
        if let Some(home) = &self.home {
            command.env("GNUPGHOME", home);
        }
    }

    /// Writes a signature of a file to another one, as text.
    pub fn sign(&self, file: &Path, signature: &Path) -> Result<()> {
        self.run("--detach-sign", file, signature)
    }

    /// Writes a text with its signature around it to another file.
    pub fn sign_within(&self, file: &Path, signed: &Path) -> Result<()> {
        self.run("--clear-sign", file, signed)
    }

    fn run(&self, operation: &str, file: &Path, out: &Path) -> Result<()> {
        said_by(
            self.gpg()
                .args(["--armor", "--digest-algo", "SHA512", "--local-user"])
                .arg(&self.fingerprint)
                .arg("--output")
                .args([out, Path::new(operation), file]),
        )
        .with_context(|| format!("signing {}", file.display()))?;
        Ok(())
    }

    /// Signs an RPM package, which thereby changes.
    pub fn sign_rpm(&self, package: &Path) -> Result<()> {
        let gpg = programs::find("gpg").context("looked for the program gpg in PATH")?;
        let mut command = Command::new("rpmsign");
        // rpm does not look for it in PATH.
        command
            .arg("--define")
            .arg(format!("__gpg {}", gpg.display()))
            .arg("--define")
            .arg(format!("_gpg_name {}", self.fingerprint))
            .arg("--addsign")
            .arg(package);
        self.at_home(&mut command);
        said_by(&mut command).with_context(|| format!("signing {}", package.display()))?;
        Ok(())
    }

    /// The public key as text.
    pub fn public(&self) -> Result<String> {
        let text = self.exported(&["--armor"])?;
        String::from_utf8(text).context("gpg exported a key that is no text")
    }

    /// Writes the public key into a folder: [`PUBLIC_TEXT`] and [`PUBLIC_BYTES`].
    pub fn export(&self, folder: &Path) -> Result<()> {
        write(&folder.join(PUBLIC_TEXT), self.public()?.as_bytes(), 0o644)?;
        write(&folder.join(PUBLIC_BYTES), &self.exported(&[])?, 0o644)
    }

    fn exported(&self, more: &[&str]) -> Result<Vec<u8>> {
        let mut command = self.gpg();
        command
            .args(["--export-options", "export-minimal"])
            .args(more)
            .arg("--export")
            .arg(&self.fingerprint);
        let output = command.start_output()?;
        if !output.status.success() || output.stdout.is_empty() {
            bail!(
                "gpg, asked for the public key {}, ended with {}: {}",
                self.fingerprint,
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(output.stdout)
    }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        if self.home.is_some() {
            // The agent that gpg has started for this folder alone. Without it, nothing
            // is to be done: it ends by itself when its folder is gone.
            let mut command = Command::new("gpgconf");
            command.args(["--kill", "all"]);
            self.at_home(&mut command);
            let _ = command.start_output();
        }
    }
}

/// Has gpgv(1) say whether a signature is the key's: of `file`, or where there is none
/// of the text within it.
pub fn verify(key: &Path, signature: &Path, file: Option<&Path>) -> Result<()> {
    said_by(
        Command::new("gpgv")
            .arg("--keyring")
            .arg(key)
            .arg(signature)
            .args(file),
    )
    .with_context(|| format!("verifying {}", signature.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn signatures_are_of_the_key_and_of_the_text() {
        let home = tempfile::tempdir().unwrap();
        let key = SigningKey::throw_away(home.path()).unwrap();
        assert_eq!(key.fingerprint().len(), 40);
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        key.export(folder.path()).unwrap();
        fs::write(at("text"), "one\n").unwrap();
        key.sign(&at("text"), &at("text.asc")).unwrap();
        key.sign_within(&at("text"), &at("signed")).unwrap();
        let public = at(PUBLIC_BYTES);
        verify(&public, &at("text.asc"), Some(&at("text"))).unwrap();
        verify(&public, &at("signed"), None).unwrap();
        fs::write(at("text"), "two\n").unwrap();
        assert!(verify(&public, &at("text.asc"), Some(&at("text"))).is_err());
        let text = fs::read_to_string(at("signed")).unwrap();
        fs::write(at("signed"), text.replace("one", "two")).unwrap();
        assert!(verify(&public, &at("signed"), None).is_err());
    }

    #[test]
    fn a_key_is_named_by_its_fingerprint() {
        for (name, said) in [
            ("0123456789ABCDEF", "40 hexadecimal digits"),
            (&"0".repeat(40), "looked for the secret key"),
        ] {
            let error = SigningKey::named(name).unwrap_err();
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }
}

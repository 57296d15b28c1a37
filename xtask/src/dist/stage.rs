//! A folder as it will be on the machine, made from the table.

use super::files::{FILES, FileSource, PackageKind, destination, is_compressed};
use super::{crates, doc, texts};
use crate::docs::{self, GeneratedFile};
use crate::host;
use anyhow::{Context, Result, ensure};
use flate2::{Compression, GzBuilder};
use kexec_cli::args::Arch;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file as it is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedFile {
    /// Its path below the root, without the first slash.
    pub to: String,
    /// Permission bits, as of chmod(1).
    pub mode: u32,
    /// What is in it; for a link nothing.
    pub data: Vec<u8>,
    /// What it is a symbolic link to, if it is one.
    pub link: Option<&'static str>,
}

impl StagedFile {
    /// Its kind and permissions as ls(1) and package managers show them.
    pub fn permissions(&self) -> &'static str {
        match self.mode {
            0o777 => "lrwxrwxrwx",
            0o755 => "-rwxr-xr-x",
            _ => "-rw-r--r--",
        }
    }

    /// A line for comparing lists: place, permissions, size, where a link leads.
    pub fn line(&self) -> String {
        let target = self.link.unwrap_or_default();
        let size = self.data.len();
        format!("{} {} {size} {target}", self.to, self.permissions())
    }
}

/// Compares what a package manager lists with what was to be in the package, in any
/// order.
pub fn same(mut found: Vec<String>, mut wanted: Vec<String>) -> Result<()> {
    found.sort();
    wanted.sort();
    ensure!(
        found == wanted,
        "the package has\n{}\nand was to have\n{}",
        found.join("\n"),
        wanted.join("\n")
    );
    Ok(())
}

/// What is made and not in the repository.
#[derive(Debug)]
pub struct Artifacts {
    /// The architecture that the program is for.
    pub arch: Arch,
    /// The content of `/usr/bin/kexec`: see [`audit::packaged`](super::audit::packaged).
    pub product: Vec<u8>,
    /// Manual pages, by their path below the folder of all pages.
    pub pages: Vec<GeneratedFile>,
    /// Completions of each shell.
    pub completions: Vec<GeneratedFile>,
    /// The text of [`FileSource::ThirdParty`].
    pub third_party: String,
    /// The modification time of every file: the same sources make the same package.
    pub date: SystemTime,
}

impl Artifacts {
    /// Made from the repository, with this content of the program.
    pub fn new(product: Vec<u8>, arch: Arch) -> Result<Artifacts> {
        let date = host::source_date()?;
        Ok(Artifacts {
            arch,
            product,
            pages: docs::manual_pages(&host::day(date)),
            completions: docs::completions(arch),
            third_party: texts::third_party(&crates::of_program(arch)?)?,
            date,
        })
    }
}

/// Every file of a package, sorted by its place.
pub fn items(kind: PackageKind, inputs: &Artifacts) -> Result<Vec<StagedFile>> {
    let mut items = Vec::new();
    for file in FILES.iter().filter(|file| file.kinds.contains(&kind)) {
        let mut put = |to: &str, data: Vec<u8>| -> Result<()> {
            let data = if is_compressed(to) {
                compressed(&data)?
            } else {
                data
            };
            items.push(StagedFile {
                to: destination(kind, to),
                mode: file.mode,
                data,
                link: None,
            });
            Ok(())
        };
        match file.source {
            FileSource::Product => put(file.to, inputs.product.clone())?,
            FileSource::Page(name) => {
                let path = format!("man8/{name}.8");
                let page = inputs.pages.iter().find(|page| page.path == path);
                let page = page.with_context(|| format!("no manual page is called {name}"))?;
                put(file.to, page.text.clone().into_bytes())?;
            }
            FileSource::Pages => {
                for page in &inputs.pages {
                    let name = page.path.rsplit('/').next().unwrap_or_default();
                    if has_a_row(name) {
                        continue;
                    }
                    put(
                        &format!("{}{name}", file.to),
                        page.text.clone().into_bytes(),
                    )?;
                }
            }
            FileSource::Completion(name) => {
                let path = format!("completions/{name}");
                let made = inputs.completions.iter().find(|made| made.path == path);
                let made = made.with_context(|| format!("no completion is called {name}"))?;
                put(file.to, made.text.clone().into_bytes())?;
            }
            FileSource::ThirdParty => put(file.to, inputs.third_party.clone().into_bytes())?,
            FileSource::DebianChangelog => {
                put(file.to, texts::debian_changelog(inputs.date).into_bytes())?;
            }
            FileSource::Tree(path) => {
                let data = read(&host::root().join(path))?;
                put(file.to, doc::installed(kind, file.to, path, data)?)?;
            }
            FileSource::Docs => {
                for path in doc::all()? {
                    let to = doc::place(file.to, &path);
                    let data = read(&host::root().join(&path))?;
                    put(&to, doc::installed(kind, &to, &path, data)?)?;
                }
            }
            FileSource::Link(target) => items.push(StagedFile {
                to: destination(kind, file.to),
                mode: file.mode,
                data: Vec::new(),
                link: Some(target),
            }),
        }
    }
    items.sort_by(|a, b| a.to.cmp(&b.to));
    Ok(items)
}

/// Whether a page, such as `kexec.8`, has a row of its own.
fn has_a_row(page: &str) -> bool {
    FILES.iter().any(|file| match file.source {
        FileSource::Page(name) => page.strip_suffix(".8") == Some(name),
        _ => false,
    })
}

/// Writes the files below an empty folder, with their permissions and one time.
pub fn stage(folder: &Path, items: &[StagedFile], date: SystemTime) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let mut there = fs::read_dir(folder)?;
    ensure!(
        there.next().is_none(),
        "looked for an empty folder at {}: there is something in it",
        folder.display()
    );
    for item in items {
        let path = folder.join(&item.to);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        match item.link {
            Some(target) => symlink(target, &path)
                .with_context(|| format!("making the link {}", path.display()))?,
            None => write(&path, &item.data, item.mode)?,
        }
    }
    settle(folder, date)
}

/// Writes a file with these permissions, whatever the umask is.
pub fn write(path: &Path, data: &[u8], mode: u32) -> Result<()> {
    fs::write(path, data)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .with_context(|| format!("writing {}", path.display()))
}

/// Folders of mode 0755, and everything of one time: the deepest first, because
/// writing changes a folder's time.
pub fn settle(folder: &Path, date: SystemTime) -> Result<()> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.is_symlink() {
            settle(&path, date)?;
        } else {
            set_time(&path, date)?;
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("setting the permissions of {}", folder.display()))?;
    set_time(folder, date)
}

/// Of the file itself, or of the link itself.
fn set_time(path: &Path, date: SystemTime) -> Result<()> {
    let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = Timespec {
        tv_sec: since.as_secs().try_into().unwrap_or(0),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .with_context(|| format!("setting the time of {}", path.display()))
}

/// As `gzip -9n`: no name and no time.
pub fn compressed(data: &[u8]) -> Result<Vec<u8>> {
    let mut writer = GzBuilder::new().write(Vec::new(), Compression::best());
    writer.write_all(data)?;
    writer.finish().context("compressing")
}

/// The content of a file; the error of one that cannot be read names it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

//! Reading what `init.sh` writes to the second serial port.

use super::boot_params;
use super::outcome::{CommandRun, MemmapEntry, Report, Stage};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::time::Duration;

/// Reads the lines of a run, each with its time since the start of QEMU.
/// Lines outside of any stage (firmware, a port that is probed) are left out.
pub(super) fn parse(lines: &[(Duration, String)]) -> Result<Vec<Stage>> {
    let mut stages: Vec<OpenStage> = Vec::new();
    let mut block: Option<(String, String)> = None;
    for (time, line) in lines {
        let line = line.trim_end_matches('\r');
        if let Some((name, text)) = &mut block {
            if line.strip_prefix("@end ") == Some(name.as_str()) {
                let data = decode_base64(text)
                    .with_context(|| format!("reading what the guest sent as {name}"))?;
                if let Some(stage) = stages.last_mut() {
                    stage.take(name, data);
                }
                block = None;
                continue;
            }
            if !line.starts_with('@') {
                text.push_str(line);
                continue;
            }
            // The kernel was left in the middle of a block.
            block = None;
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "@stage" => stages.push(OpenStage::new(rest, *time)),
            "@begin" => block = Some((rest.to_owned(), String::new())),
            "@run" => {
                let (label, code) = rest.split_once(' ').unwrap_or((rest, ""));
                let code = code
                    .parse()
                    .with_context(|| format!("reading the exit code in {line:?}"))?;
                if let Some(stage) = stages.last_mut() {
                    stage.runs.push(CommandRun {
                        label: label.to_owned(),
                        code,
                        stdout: Vec::new(),
                        stderr: Vec::new(),
                    });
                }
            }
            "@jump" => {
                if let Some(stage) = stages.last_mut() {
                    stage.jumped = Some(*time);
                }
            }
            "@done" => {
                if let Some(stage) = stages.last_mut() {
                    stage.done = true;
                }
            }
            _ => {}
        }
    }
    stages.into_iter().map(OpenStage::close).collect()
}

/// Whether a stage begins with this line.
pub(super) fn begins_a_stage(line: &str) -> bool {
    line.starts_with("@stage ")
}

/// A stage whose lines are still coming in.
struct OpenStage {
    name: String,
    started: Duration,
    jumped: Option<Duration>,
    done: bool,
    runs: Vec<CommandRun>,
    files: BTreeMap<String, Vec<u8>>,
}

impl OpenStage {
    fn new(name: &str, started: Duration) -> Self {
        Self {
            name: name.to_owned(),
            started,
            jumped: None,
            done: false,
            runs: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    fn take(&mut self, name: &str, data: Vec<u8>) {
        match (name, self.runs.last_mut()) {
            ("stdout", Some(run)) => run.stdout = data,
            ("stderr", Some(run)) => run.stderr = data,
            _ => {
                self.files.insert(name.to_owned(), data);
            }
        }
    }

    fn close(mut self) -> Result<Stage> {
        let report = self
            .report()
            .with_context(|| format!("reading the report of stage {}", self.name))?;
        Ok(Stage {
            name: self.name,
            started: self.started,
            jumped: self.jumped,
            done: self.done,
            report,
            runs: self.runs,
            files: self.files,
        })
    }

    fn text(&mut self, name: &str) -> Result<String> {
        let data = self
            .files
            .remove(name)
            .with_context(|| format!("the guest did not send {name}"))?;
        String::from_utf8(data).with_context(|| format!("{name} is not text"))
    }

    fn report(&mut self) -> Result<Report> {
        let mut cmdline = self
            .files
            .remove("cmdline")
            .context("the guest did not send cmdline")?;
        if cmdline.last() == Some(&b'\n') {
            cmdline.pop();
        }
        let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
        Ok(Report {
            release: self.text("release")?.trim().to_owned(),
            cmdline,
            cpus: count_cpus(self.text("cpus")?.trim())?,
            memmap: self
                .text("memmap")?
                .lines()
                .map(memory_range)
                .collect::<Result<_>>()?,
            iomem: self.text("iomem")?,
            boot_params: match self.files.remove("boot-params") {
                Some(data) => {
                    let version = self.text("boot-params-version")?;
                    let items = self.text("setup-data")?;
                    Some(boot_params::parse(data, &version, &items)?)
                }
                None => None,
            },
            acpi: if self.files.contains_key("acpi") {
                self.text("acpi")?
                    .lines()
                    .filter_map(|line| line.split_once("  "))
                    .map(|(hash, path)| (path.to_owned(), hash.to_owned()))
                    .collect()
            } else {
                BTreeMap::new()
            },
            efi_runtime_map: if self.files.contains_key("efi-runtime-map") {
                lines(self.text("efi-runtime-map")?)
            } else {
                Vec::new()
            },
            uptime: self
                .text("uptime")?
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .parse()
                .context("reading /proc/uptime")?,
        })
    }
}

/// A line "0xSTART 0xEND KIND".
fn memory_range(line: &str) -> Result<MemmapEntry> {
    let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16);
    let mut words = line.splitn(3, ' ');
    let (Some(start), Some(end), Some(kind)) = (words.next(), words.next(), words.next()) else {
        bail!("expected \"start end type\" of a memmap entry, found {line:?}");
    };
    Ok(MemmapEntry {
        start: hex(start).with_context(|| format!("start of the memmap entry {line:?}"))?,
        end: hex(end).with_context(|| format!("end of the memmap entry {line:?}"))?,
        kind: kind.to_owned(),
    })
}

/// How many are in a list such as "0-1,3".
fn count_cpus(list: &str) -> Result<u32> {
    let mut count = 0_u32;
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |word: &str| {
            word.parse::<u32>()
                .with_context(|| format!("reading the processor list {list:?}"))
        };
        count = count.saturating_add(
            number(last)?
                .saturating_sub(number(first)?)
                .saturating_add(1),
        );
    }
    Ok(count)
}

/// Base64 with the standard alphabet, RFC 4648 section 4.
fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            other => bail!("found {:?} in base64", char::from(other)),
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., low] = (bits >> count).to_be_bytes();
            out.push(low);
            bits &= (1 << count) - 1;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(Duration, String)> {
        text.lines()
            .enumerate()
            .map(|(number, line)| (Duration::from_secs(number as u64), line.to_owned()))
            .collect()
    }

    const STAGE: &str = "SeaBIOS noise\n@stage first\n@begin release\nNi4xLjAK\n@end release\n\
        @begin cmdline\nYSBiCg==\n@end cmdline\n@begin cpus\nMC0xCg==\n@end cpus\n\
        @begin memmap\nMHgwIDB4OWZiZmYgU3lzdGVtIFJBTQo=\n@end memmap\n\
        @begin iomem\n@end iomem\n@begin uptime\nMS41IDAuMQo=\n@end uptime\n";

    #[test]
    fn base64() {
        for (text, want) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("AP+/", b"\x00\xff\xbf"),
        ] {
            assert_eq!(decode_base64(text).unwrap(), want);
        }
        assert!(decode_base64("Zm 9v").is_err());
    }

    #[test]
    fn a_stage() {
        let text = format!(
            "{STAGE}@run load 3\r\n@begin stdout\r\nb3V0\r\n@end stdout\r\n@begin stderr\n@end stderr\n@jump\n"
        );
        let stages = parse(&lines(&text)).unwrap();
        let [stage] = stages.as_slice() else {
            panic!("{stages:?}")
        };
        assert_eq!(stage.name, "first");
        assert_eq!(stage.started, Duration::from_secs(1));
        assert_eq!(stage.report.release, "6.1.0");
        assert_eq!(stage.report.cmdline, b"a b");
        assert_eq!(stage.report.cpus, 2);
        assert_eq!(stage.report.boot_params, None);
        assert_eq!(
            stage.report.memmap,
            [MemmapEntry {
                start: 0,
                end: 0x9_fbff,
                kind: "System RAM".to_owned()
            }]
        );
        assert_eq!(stage.report.uptime.to_string(), "1.5");
        assert_eq!(stage.run("load").unwrap().code, 3);
        assert_eq!(stage.run("load").unwrap().out(), "out");
        assert!(stage.jumped.is_some());
        assert!(!stage.done);
    }

    #[test]
    fn left_in_the_middle_of_a_block() {
        let text = format!("{STAGE}@begin log\nAAAA\n@stage second\n");
        let error = parse(&lines(&text)).unwrap_err();
        assert!(format!("{error:#}").contains("stage second"), "{error:#}");
    }

    #[test]
    fn cpu_lists() {
        assert_eq!(count_cpus("0").unwrap(), 1);
        assert_eq!(count_cpus("0-3,6,8-9").unwrap(), 7);
        assert!(count_cpus("").is_err());
    }
}

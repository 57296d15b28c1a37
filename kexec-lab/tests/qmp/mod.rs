//! QEMU's machine protocol (QEMU's docs/interop/qmp-spec.rst): as much as dumps need.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A connection.
pub struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to a QEMU that is started, or will be within this time.
    pub fn connect(socket: &Path, limit: Duration) -> Result<Qmp> {
        let began = Instant::now();
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if began.elapsed() > limit => {
                    return Err(error).with_context(|| format!("connecting {}", socket.display()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        };
        stream.set_read_timeout(Some(limit))?;
        let mut qmp = Qmp {
            stream: BufReader::new(stream),
        };
        qmp.line()?;
        qmp.call("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line)?;
        if read == 0 {
            bail!("QEMU closed its monitor");
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// The answer to a command; events are passed over.
    fn call(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let request = json!({"execute": command, "arguments": arguments});
        writeln!(self.stream.get_mut(), "{request}")?;
        loop {
            let answer = self.line()?;
            if let Some(found) = answer.get("return") {
                return Ok(found.clone());
            }
            if let Some(error) = answer.get("error") {
                bail!("QEMU on {command}: {error}");
            }
        }
    }

    /// The formats of dumps that this QEMU has.
    pub fn formats(&mut self) -> Result<Vec<String>> {
        let found = self.call("query-dump-guest-memory-capability", json!({}))?;
        let formats = found
            .get("formats")
            .and_then(Value::as_array)
            .context("formats")?
            .iter();
        let names = formats.filter_map(Value::as_str).map(str::to_owned);
        // Windows' own.
        Ok(names.filter(|name| !name.starts_with("win-")).collect())
    }

    /// Writes a dump; the guest stands still.
    pub fn dump(&mut self, format: &str, file: &Path) -> Result<()> {
        let protocol = format!("file:{}", file.display());
        let arguments = json!({"paging": false, "protocol": protocol, "format": format});
        self.call("dump-guest-memory", arguments)?;
        Ok(())
    }

    /// Ends QEMU.
    pub fn quit(mut self) -> Result<()> {
        self.call("quit", json!({}))?;
        Ok(())
    }
}

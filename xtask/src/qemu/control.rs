//! QEMU's control connection (QMP): one JSON object a line, over a Unix socket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::observe::{Observed, Reset};

/// The sending half; answers and events arrive on a thread of their own.
pub(crate) struct Control {
    socket: UnixStream,
    answers: std::sync::mpsc::Receiver<Result<Value, String>>,
    patience: Duration,
}

/// What QEMU sends: a greeting, an answer, an error or an event.
#[derive(Debug, Deserialize)]
struct Message {
    #[serde(rename = "return")]
    answer: Option<Value>,
    error: Option<Value>,
    event: Option<String>,
    #[serde(default)]
    data: Value,
}

impl Control {
    /// Connects, and negotiates, so that no later event is lost. Events go to `observed`.
    pub(crate) fn connect(path: &Path, patience: Duration, observed: Sender<Observed>) -> Result<Self> {
        let socket = connect_within(path, patience)?;
        let reader = BufReader::new(socket.try_clone().context("can not share the control connection")?);
        let (answer, answers) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                deliver(&line, &answer, &observed);
            }
        });
        let mut control = Self { socket, answers, patience };
        control.command("qmp_capabilities", json!({}))?;
        Ok(control)
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn command(&mut self, name: &str, arguments: Value) -> Result<Value> {
        let line = json!({ "execute": name, "arguments": arguments });
        writeln!(self.socket, "{line}").with_context(|| format!("qemu no longer takes commands ({name})"))?;
        match self.answers.recv_timeout(self.patience) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => bail!("qemu refuses {name}: {error}"),
            Err(_) => bail!("qemu does not answer {name} within {} s", self.patience.as_secs()),
        }
    }
}

fn connect_within(path: &Path, patience: Duration) -> Result<UnixStream> {
    let started = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(socket) => return Ok(socket),
            Err(error) if started.elapsed() > patience => {
                return Err(error).context("qemu does not open its control connection; its own message is in the file `qemu.err` of the run");
            }
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn deliver(line: &str, answers: &Sender<Result<Value, String>>, observed: &Sender<Observed>) {
    let Ok(message) = serde_json::from_str::<Message>(line) else { return };
    if let Some(event) = message.event {
        if let Some(reset) = reset_of(&event, &message.data) {
            let _ = observed.send(Observed::Reset(reset));
        }
    } else if let Some(error) = message.error {
        let _ = answers.send(Err(error.to_string()));
    } else if let Some(answer) = message.answer {
        let _ = answers.send(Ok(answer));
    }
}

/// The events that end a boot. A watchdog is reported before the reset that it causes, which then counts as that watchdog's.
fn reset_of(event: &str, data: &Value) -> Option<Reset> {
    let reason = data.get("reason").and_then(Value::as_str);
    match (event, reason) {
        ("WATCHDOG", _) => Some(Reset::Watchdog),
        ("RESET", Some("guest-reset")) => Some(Reset::Guest),
        ("SHUTDOWN", Some("guest-shutdown" | "guest-panic")) => Some(Reset::PowerOff),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Reset> {
        let message: Message = serde_json::from_str(line).expect("a message of QEMU");
        reset_of(message.event.as_deref()?, &message.data)
    }

    #[test]
    fn watchdog_guest_reset_and_power_off_are_told_apart() {
        assert_eq!(read(r#"{"timestamp":{},"event":"WATCHDOG","data":{"action":"reset"}}"#), Some(Reset::Watchdog));
        assert_eq!(read(r#"{"event":"RESET","data":{"guest":true,"reason":"guest-reset"}}"#), Some(Reset::Guest));
        assert_eq!(read(r#"{"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-shutdown"}}"#), Some(Reset::PowerOff));
    }

    #[test]
    fn a_reset_by_the_host_is_none_of_the_boards() {
        assert_eq!(read(r#"{"event":"RESET","data":{"guest":false,"reason":"host-qmp-system-reset"}}"#), None);
        assert_eq!(read(r#"{"event":"RESUME"}"#), None);
    }
}

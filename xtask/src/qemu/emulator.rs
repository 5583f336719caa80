//! A started emulator, and what its console shows.

use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::observe::Observed;

/// Killed when it is dropped.
pub(crate) struct Emulator(Child);

impl Emulator {
    /// Starts it.
    ///
    /// # Errors
    /// It is not there.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.spawn().map(Self).with_context(|| format!("can not start {name}; run `cargo xtask setup`"))
    }

    /// What it prints from now on.
    ///
    /// # Errors
    /// Its console is not piped, or was taken already.
    pub(crate) fn console(&mut self) -> Result<ChildStdout> {
        self.0.stdout.take().context("qemu has no console")
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait().context("can not tell whether qemu has ended")?.is_some())
    }

    /// How it ends by itself.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        self.0.wait().context("can not tell how qemu ended")
    }

    /// Ends it, unless it has ended by itself, and tells how it ended.
    pub(crate) fn end(&mut self) -> Result<ExitStatus> {
        let _ = self.0.kill();
        self.wait()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Why a console is watched no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen<T> {
    /// A line was the awaited one.
    Line(T),
    /// The emulator is gone.
    Gone,
    /// The limit of time.
    TimedOut,
}

/// Adds the lines of a console to `lines`, up to the first one of which `awaited` makes something.
pub(crate) fn watch<T>(observed: &Receiver<Observed>, limit: Duration, lines: &mut Vec<String>, awaited: impl Fn(&str) -> Option<T>) -> Seen<T> {
    let started = Instant::now();
    loop {
        match observed.recv_timeout(limit.saturating_sub(started.elapsed())) {
            Ok(Observed::Line(line)) => {
                let found = awaited(&line);
                lines.push(line);
                if let Some(found) = found {
                    return Seen::Line(found);
                }
            }
            Ok(Observed::Reset(_)) => {}
            Ok(Observed::Gone) | Err(RecvTimeoutError::Disconnected) => return Seen::Gone,
            Err(RecvTimeoutError::Timeout) => return Seen::TimedOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::qemu::watch_console;

    #[test]
    fn lines_are_added_up_to_the_awaited_one_and_both_other_ends_are_told_apart() {
        let (sender, observed) = channel();
        for line in ["one", "two", "three"] {
            sender.send(Observed::Line(line.to_owned())).expect("somebody listens");
        }
        let mut lines = Vec::new();
        let two = |line: &str| (line == "two").then_some(2);
        assert_eq!(watch(&observed, Duration::from_secs(60), &mut lines, two), Seen::Line(2));
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(watch(&observed, Duration::from_millis(20), &mut lines, two), Seen::TimedOut);
        sender.send(Observed::Gone).expect("somebody listens");
        assert_eq!(watch(&observed, Duration::from_secs(60), &mut lines, two), Seen::Gone);
        assert_eq!(lines, ["one", "two", "three"]);
        drop(sender);
        assert_eq!(watch(&observed, Duration::from_secs(60), &mut lines, two), Seen::Gone);
    }

    #[test]
    fn an_emulator_that_is_dropped_is_gone() {
        let (sender, observed) = channel();
        let mut command = Command::new("sh");
        let mut emulator = Emulator::start(command.args(["-c", "echo ready; exec sleep 1000"]).stdout(Stdio::piped())).expect("a program");
        watch_console(emulator.console().expect("a console"), sender);
        let limit = Duration::from_secs(60);
        assert_eq!(watch(&observed, limit, &mut Vec::new(), |line| (line == "ready").then_some(())), Seen::Line(()));
        assert!(!emulator.has_ended().expect("its state"));
        drop(emulator);
        assert_eq!(watch(&observed, limit, &mut Vec::new(), |_| None::<()>), Seen::Gone);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Emulator::start(&mut Command::new("/no/such/emulator")).err().expect("an error").to_string();
        assert_eq!(error, "can not start /no/such/emulator; run `cargo xtask setup`");
    }
}

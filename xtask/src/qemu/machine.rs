//! One running emulator: started paused, watched from the first instruction, killed when dropped.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::control::Control;
use super::emulator::Emulator;
use super::observe::{Ended, Limits, Observed, Rest, Transcript, clean_line};
use crate::board::Board;

/// How long QEMU itself may take to open or answer its control connection. It needs milliseconds; a machine that is busy with other work needs more.
const PATIENCE: Duration = Duration::from_secs(120);

/// Guest time per instruction is 2^5 ns: watchdogs follow the instructions, not the load of this machine.
const CLOCK: &str = "shift=5,sleep=off";

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Launch<'a> {
    pub(crate) board: Board,
    /// The loader's ELF.
    pub(crate) loader: &'a Path,
    /// The file that is the board's flash; it keeps what the board writes.
    pub(crate) flash: &'a Path,
    /// An existing folder for logs and the control socket.
    pub(crate) folder: &'a Path,
    pub(crate) plugin: Option<PluginRun<'a>>,
    /// A file to fill memory with before the first instruction, and where.
    pub(crate) fill: Option<(&'a Path, u64)>,
}

/// The counting plugin and its plan.
#[derive(Debug, Clone)]
pub(crate) struct PluginRun<'a> {
    pub(crate) file: &'a Path,
    pub(crate) plan: &'a Path,
}

/// A running emulator.
pub(crate) struct Machine {
    emulator: Emulator,
    control: Control,
    observed: Receiver<Observed>,
    log: PathBuf,
}

impl Machine {
    /// Starts the emulator, connects to it, then lets the board run.
    pub(crate) fn start(launch: &Launch) -> Result<Self> {
        let log = launch.folder.join("log.defmt");
        let socket = launch.folder.join("control");
        let _ = std::fs::remove_file(&socket);
        let mut emulator = Emulator::start(&mut command(launch, &log, &socket)?)?;
        let (sender, observed) = channel();
        let mut control = Control::connect(&socket, PATIENCE, sender.clone())?;
        watch_console(emulator.console()?, sender);
        control.command("cont", json!({}))?;
        Ok(Self { emulator, control, observed, log })
    }

    /// Watches the board until it rests, dies or reaches a limit. The emulator still runs afterwards.
    pub(crate) fn watch(&mut self, limits: Limits) -> Transcript {
        let started = Instant::now();
        let mut transcript = Transcript::new(self.log.clone());
        transcript.ended = loop {
            let left = limits.time.saturating_sub(started.elapsed());
            match self.observed.recv_timeout(left) {
                Ok(observed) => {
                    if let Some(ended) = transcript.take(observed, limits) {
                        break ended;
                    }
                }
                Err(RecvTimeoutError::Timeout) => break Ended::TimedOut,
                Err(RecvTimeoutError::Disconnected) => break Ended::Gone,
            }
        };
        self.take_late_resets(&mut transcript, limits);
        transcript.wall = started.elapsed();
        transcript
    }

    /// Watches until the loader has halted, or jumped to its image: the plugin's report appears at that instant.
    pub(crate) fn watch_loader(&mut self, limits: Limits, report: &Path) -> Result<Transcript> {
        let transcript = self.watch(Limits { rest: Rest::Loader, ..limits });
        ensure!(transcript.ended == Ended::AtRest, "the loader did not decide; {}", transcript.describe());
        let boots = transcript.boots() > 0;
        let started = Instant::now();
        while boots && !report.is_file() {
            ensure!(started.elapsed() < limits.time, "the loader says that it boots and never jumps; {}", transcript.describe());
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(transcript)
    }

    /// Events and console are two streams: a reset that came before the last line may be delivered after it. An answered command is behind
    /// every earlier event.
    fn take_late_resets(&mut self, transcript: &mut Transcript, limits: Limits) {
        if transcript.ended != Ended::Gone && self.control.command("query-status", json!({})).is_ok() {
            while let Ok(observed @ Observed::Reset(_)) = self.observed.try_recv() {
                let _ = transcript.take(observed, limits);
            }
        }
    }

    /// Sends a command of QEMU's control protocol.
    pub(crate) fn command(&mut self, name: &str, arguments: Value) -> Result<Value> {
        self.control.command(name, arguments)
    }

    /// Lets QEMU end in order, so that its plugin reports.
    pub(crate) fn quit(mut self) -> Result<()> {
        self.control.command("quit", json!({}))?;
        // The console is closed before the plugin reports: only the end of the process tells.
        let started = Instant::now();
        while !self.emulator.has_ended()? {
            ensure!(started.elapsed() < PATIENCE, "qemu does not end within {} s", PATIENCE.as_secs());
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

fn command(launch: &Launch, log: &Path, socket: &Path) -> Result<Command> {
    let errors = File::create(launch.folder.join("qemu.err")).with_context(|| format!("can not write into {}", launch.folder.display()))?;
    let mut command = board_command(launch);
    command.arg("-S").arg("-serial").arg(with_path("file:", log));
    command.arg("-qmp").arg(with_path_then("unix:", socket, ",server=on,wait=off"));
    if let Some((file, address)) = launch.fill {
        // A reset would fill the memory again before anybody has looked at it.
        command.args(["-action", "watchdog=none"]);
        command.arg("-device").arg(with_path_then("loader,file=", file, &format!(",addr={address:#x},force-raw=on")));
    }
    command.stderr(errors);
    Ok(command)
}

/// The board with its flash, its loader and its console, and nothing else.
pub(super) fn board_command(launch: &Launch) -> Command {
    let mut command = board_in_real_time(launch);
    command.args(["-icount", CLOCK]);
    command
}

/// The same with the clock of this machine, which stands still while a debugger stops the board: the other one would leap to the next deadline then.
pub(crate) fn board_in_real_time(launch: &Launch) -> Command {
    let mut command = Command::new("qemu-system-arm");
    command.arg("-M").arg(format!("{},memory-backend=psram", launch.board.name()));
    command.arg("-object").arg(with_path("memory-backend-file,id=psram,size=16M,share=on,mem-path=", launch.flash));
    command.arg("-kernel").arg(launch.loader);
    command.args(["-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio"]);
    if let Some(plugin) = &launch.plugin {
        let mut argument = with_path("file=", plugin.file);
        argument.push(with_path(",plan=", plugin.plan));
        command.arg("-plugin").arg(argument);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// QEMU ends a value at a comma; a doubled one stands for itself.
fn with_path(before: &str, path: &Path) -> OsString {
    let path = path.as_os_str().as_encoded_bytes().split(|byte| *byte == b',').map(OsStr::from_bytes);
    let mut argument = OsString::from(before);
    for (index, piece) in path.enumerate() {
        if index > 0 {
            argument.push(",,");
        }
        argument.push(piece);
    }
    argument
}

pub(crate) fn with_path_then(before: &str, path: &Path, after: &str) -> OsString {
    let mut argument = with_path(before, path);
    argument.push(after);
    argument
}

/// Sends every line of a console, and its end.
pub(crate) fn watch_console(console: ChildStdout, observed: Sender<Observed>) {
    std::thread::spawn(move || {
        let mut console = BufReader::new(console);
        let mut raw = Vec::new();
        while let Ok(1..) = console.read_until(b'\n', &mut raw) {
            let _ = observed.send(Observed::Line(clean_line(&raw)));
            raw.clear();
        }
        let _ = observed.send(Observed::Gone);
    });
}

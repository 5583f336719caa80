//! A client of QEMU's debugger interface: breakpoints, registers, memory. Source: the GDB manual, appendix "Remote Protocol".

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{ChildStdout, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::emulator::Emulator;
use super::machine::{Launch, board_in_real_time, with_path_then};

/// How long QEMU may take for anything. It needs milliseconds; a machine that is busy with other work needs more.
const PATIENCE: Duration = Duration::from_secs(120);

/// The number of XPSR among the registers of a Cortex-M.
const XPSR: u8 = 25;

/// A board under a debugger, stopped.
pub(crate) struct Debugged {
    emulator: Emulator,
    socket: UnixStream,
    /// What was received and not understood yet.
    received: Vec<u8>,
}

impl Debugged {
    /// Starts the emulator; it stops before the first instruction.
    pub(crate) fn start(launch: &Launch) -> Result<Self> {
        Self::spawn(board_in_real_time(launch), launch.folder)
    }

    /// The same for any emulator's command. Its console must be piped.
    pub(crate) fn spawn(mut command: Command, folder: &Path) -> Result<Self> {
        let path = folder.join("debugger");
        let _ = std::fs::remove_file(&path);
        let errors = std::fs::File::create(folder.join("qemu.err"))?;
        command.args(["-S", "-gdb", "chardev:debugger", "-chardev"]);
        command.arg(with_path_then("socket,id=debugger,server=on,wait=off,path=", &path, ""));
        let emulator = Emulator::start(command.stderr(errors))?;
        let mut debugged = Self { emulator, socket: connect(&path)?, received: Vec::new() };
        debugged.socket.set_read_timeout(Some(PATIENCE))?;
        // Single registers are answered only to those who know what registers there are.
        debugged.ask("qXfer:features:read:target.xml:0,8")?;
        Ok(debugged)
    }

    /// `length` is the instruction's.
    pub(crate) fn set_breakpoint(&mut self, address: u64, length: u8) -> Result<()> {
        self.expect_ok(&format!("Z0,{address:x},{length}"))
    }

    pub(crate) fn clear_breakpoint(&mut self, address: u64, length: u8) -> Result<()> {
        self.expect_ok(&format!("z0,{address:x},{length}"))
    }

    /// Runs to the next breakpoint.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        let answer = self.ask("c")?;
        ensure!(answer.starts_with("T05") || answer.starts_with("S05"), "the board did not stop at a breakpoint: {answer:?}");
        Ok(())
    }

    /// r0 to r14, the address of the next instruction, and the flags in the upper four bits of a word.
    pub(crate) fn registers(&mut self) -> Result<[u32; 17]> {
        let answer = self.ask("g")?;
        let mut registers = [0; 17];
        for (index, register) in registers.iter_mut().take(16).enumerate() {
            *register = word(answer.get(index * 8..index * 8 + 8).unwrap_or_default())?;
        }
        registers[16] = self.xpsr()? & 0xf000_0000;
        Ok(registers)
    }

    pub(crate) fn xpsr(&mut self) -> Result<u32> {
        let answer = self.ask(&format!("p{XPSR:x}"))?;
        word(&answer)
    }

    /// Goes on elsewhere, with other flags.
    pub(crate) fn set_place(&mut self, pc: u32, xpsr: u32) -> Result<()> {
        self.expect_ok(&format!("P{XPSR:x}={}", hex(&xpsr.to_le_bytes())))?;
        self.expect_ok(&format!("Pf={}", hex(&pc.to_le_bytes())))
    }

    pub(crate) fn memory(&mut self, address: u32, size: u32) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for start in (0..size).step_by(1024) {
            let answer = self.ask(&format!("m{:x},{:x}", address + start, 1024.min(size - start)))?;
            let piece = answer.as_bytes().as_chunks::<2>().0.iter().map(|digits| u8::from_str_radix(&String::from_utf8_lossy(digits), 16));
            bytes.extend(piece.collect::<Result<Vec<u8>, _>>().with_context(|| format!("no memory at {address:#x}: {answer:?}"))?);
        }
        Ok(bytes)
    }

    pub(crate) fn set_memory(&mut self, address: u32, bytes: &[u8]) -> Result<()> {
        self.expect_ok(&format!("M{address:x},{:x}:{}", bytes.len(), hex(bytes)))
    }

    /// What the machine prints from now on.
    pub(crate) fn console(&mut self) -> Result<ChildStdout> {
        self.emulator.console()
    }

    /// Lets the machine run; no breakpoint is set.
    pub(crate) fn let_go(&mut self) -> Result<()> {
        self.send("c")
    }

    /// Ends the emulator and returns what the board printed. After a fault that need not be text.
    pub(crate) fn end(mut self) -> Result<String> {
        let mut output = self.emulator.console()?;
        self.emulator.end()?;
        let mut console = Vec::new();
        output.read_to_end(&mut console).context("can not read the console")?;
        Ok(String::from_utf8_lossy(&console).replace('\r', ""))
    }

    fn expect_ok(&mut self, packet: &str) -> Result<()> {
        let answer = self.ask(packet)?;
        ensure!(answer == "OK", "qemu answers {answer:?} to the debugger's {packet:?}");
        Ok(())
    }

    fn send(&mut self, packet: &str) -> Result<()> {
        let checksum = packet.bytes().fold(0_u8, u8::wrapping_add);
        write!(self.socket, "${packet}#{checksum:02x}").context("qemu's debugger interface is gone")
    }

    fn ask(&mut self, packet: &str) -> Result<String> {
        self.send(packet)?;
        loop {
            if let Some(answer) = self.take_answer() {
                self.socket.write_all(b"+").context("qemu's debugger interface is gone")?;
                return Ok(answer);
            }
            let mut buffer = [0; 4096];
            match self.socket.read(&mut buffer) {
                Ok(0) => bail!("qemu ended while the debugger waited for an answer to {packet:?}"),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) => return Err(error).with_context(|| format!("qemu does not answer the debugger's {packet:?}")),
            }
        }
    }

    /// A whole `$answer#cc` from the front of what was received; acknowledgements in between are dropped.
    fn take_answer(&mut self) -> Option<String> {
        let start = self.received.iter().position(|byte| *byte == b'$')?;
        let end = start + self.received.get(start..)?.iter().position(|byte| *byte == b'#')?;
        let answer = String::from_utf8_lossy(self.received.get(start + 1..end)?).into_owned();
        self.received.get(end + 2)?;
        self.received.drain(..end + 3);
        Some(answer)
    }
}

fn connect(path: &Path) -> Result<UnixStream> {
    let started = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(socket) => return Ok(socket),
            Err(error) if started.elapsed() > PATIENCE => {
                return Err(error).context("qemu does not open its debugger interface; its own message is in the file `qemu.err` of the run");
            }
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A register as the protocol writes it: eight digits, the lowest byte first.
fn word(digits: &str) -> Result<u32> {
    let value = u32::from_str_radix(digits.get(..8).unwrap_or(digits), 16).with_context(|| format!("{digits:?} is no register"))?;
    Ok(value.swap_bytes())
}

//! Runs an emulated board and returns everything that it showed.
//!
//! Guarantees: the emulator is killed when a run ends, whatever the reason; every wait is bounded by the run's [`Limits`]; what a run shows is
//! the console line by line, the events that QEMU reports (a watchdog reset, a reset by the guest and a power-off are told apart), and the
//! decoded log.

mod bare;
mod control;
mod debugger;
mod emulator;
mod log;
mod machine;
mod observe;

pub(crate) use bare::{End, Shown, run_until};
pub(crate) use control::Control;
pub(crate) use debugger::Debugged;
pub(crate) use emulator::{Emulator, Seen, watch};
pub(crate) use log::decode as decode_log;
pub(crate) use machine::{Launch, Machine, PluginRun, watch_console, with_path_then};
pub(crate) use observe::{Ended, Limits, Observed, Reset, Rest, Transcript};

//! A Thumb-2 interpreter for a loader of the board mps2-an386, made for fault injection.
//!
//! Guarantees: a run is a pure function of code, flash and faults; a state is copied in microseconds; nothing outside of this process is touched.
//! What the architecture leaves undefined ends a run as a fault. What this interpreter does not know ends it as [`End::Unknown`], which is never taken
//! for anything else. It is no oracle: whoever uses it compares it with an emulator that other people wrote.

mod arithmetic;
mod decode;
mod devices;
mod dsp;
mod execute;
mod fault;
mod known;
mod machine;
mod memory;
mod op;
mod protection;
#[cfg(test)]
mod tests;
mod transfer;

pub use fault::{Attempt, Fault, Reference, Visit};
pub use known::{Known, Passed};
pub use machine::{End, Machine, Snapshot, Stop};

/// Why an instruction does not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trap {
    /// No memory there.
    Memory,
    /// The memory protection unit does not let this access through.
    Forbidden,
    /// An address that this instruction wants aligned.
    Unaligned,
    /// No instruction of the architecture.
    Undefined,
    /// A branch out of Thumb state.
    State,
    /// A supervisor call or a breakpoint.
    Call,
    /// The machine was told to reset.
    Reset,
    /// Asleep, with nothing that could wake it.
    Sleep,
    /// A branch to itself.
    Idle,
    /// An instruction that this interpreter does not know.
    Unknown,
}

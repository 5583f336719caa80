//! Programming a board: a plan, a port to a flash, and a driver that erases, programs, reads back and verifies.
//!
//! Order: when a slot or the boot state is programmed, the journal is erased first and written last, so that a programming that is cut leaves a board without boot state, never one whose boot
//! state speaks of other images.

mod plan;
#[cfg(feature = "probe")]
pub mod probe;

use std::ops::Range;

pub use plan::{Erase, FlashPlan, Piece};

use crate::{refusal::Refusal, report::Failure};

/// Bytes that are read back at a time.
const READ_BYTES: usize = 4096;

/// A flash that can be programmed. Addresses are the processor's.
pub trait FlashTarget {
    /// Makes a range 0xFF. It is made of whole erase units.
    ///
    /// # Errors
    /// The flash or the way to it failed.
    fn erase(&mut self, range: Range<u64>) -> anyhow::Result<()>;

    /// Writes to an erased place.
    ///
    /// # Errors
    /// The flash or the way to it failed.
    fn program(&mut self, address: u64, bytes: &[u8]) -> anyhow::Result<()>;

    /// Reads past any cache.
    ///
    /// # Errors
    /// The flash or the way to it failed.
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> anyhow::Result<()>;
}

/// What a driver is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Erasing.
    Erase,
    /// Programming.
    Program,
    /// Reading back and comparing.
    Verify,
}

/// Something happened: so many more bytes of a region are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What was done.
    pub activity: Activity,
    /// The region.
    pub region: &'a str,
    /// How many bytes.
    pub bytes: u64,
}

/// Carries a plan out.
///
/// # Errors
/// The flash failed, or does not hold afterwards what was programmed.
pub fn carry_out(plan: &FlashPlan, target: &mut impl FlashTarget, mut progress: impl FnMut(Progress<'_>)) -> Result<(), Failure> {
    for erase in &plan.erases {
        target.erase(erase.range.clone())?;
        progress(Progress { activity: Activity::Erase, region: &erase.region, bytes: erase.range.end - erase.range.start });
    }
    for piece in &plan.pieces {
        target.program(piece.address, &piece.bytes)?;
        progress(Progress { activity: Activity::Program, region: &piece.region, bytes: piece.bytes.len() as u64 });
    }
    for piece in &plan.pieces {
        verify(piece, target, &mut progress)?;
    }
    Ok(())
}

fn verify(piece: &Piece, target: &mut impl FlashTarget, progress: &mut impl FnMut(Progress<'_>)) -> Result<(), Failure> {
    let mut held = vec![0; READ_BYTES];
    let mut address = piece.address;
    for wanted in piece.bytes.chunks(READ_BYTES) {
        let held = held.get_mut(..wanted.len()).unwrap_or_default();
        target.read(address, held)?;
        if let Some(difference) = held.iter().zip(wanted).position(|(held, wanted)| held != wanted) {
            return Err(Refusal::ReadBack { address: address + difference as u64 }.into());
        }
        address += wanted.len() as u64;
        progress(Progress { activity: Activity::Verify, region: &piece.region, bytes: wanted.len() as u64 });
    }
    Ok(())
}

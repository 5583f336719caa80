//! Situations for measuring the loader: everything it does on some boot, with images that rest as soon as they run.

use super::table::RUNNING;
use super::{Change, Flash, Image, Log, Place, Size, Slot, Variant, Version};
use crate::board::Board;

/// The size of an image that speed is measured with.
const QUARTER_MEBIBYTE: usize = 256 * 1024;

/// What lies in the flash at power-on, and what happened to it before.
pub(crate) struct Situation {
    pub(crate) name: &'static str,
    pub(crate) flash: Flash,
    pub(crate) changes: Vec<Change>,
}

/// The boot that speed is measured on: 256 KiB in place, one signature, confirmed.
pub(crate) const CONFIRMED_BOOT: Situation =
    Situation { name: "confirmed", flash: resting(Size::Filled(QUARTER_MEBIBYTE), None), changes: Vec::new() };

/// The boots that RAM is measured on.
pub(crate) fn situations(board: Board) -> Vec<Situation> {
    let on_trial = resting(Size::Natural, Some(Slot::B));
    let situation = |name, changes| Situation { name, flash: on_trial, changes };
    let in_ram = Image { place: Place::Ram, ..A };
    let both_bad = vec![Change::FlipPayloadBit(Slot::A), Change::FlipPayloadBit(Slot::B)];
    let mut situations = vec![
        CONFIRMED_BOOT,
        situation("trial", vec![]),
        situation("reverted-trial", vec![Change::FlipPayloadBit(Slot::B)]),
        situation("lost-journal", vec![Change::LoseJournal]),
        situation("repaired-journal", vec![Change::TearNewestRecord(Log::First)]),
        situation("halted", both_bad.clone()),
    ];
    if board == Board::An386 {
        situations.push(Situation { name: "golden", flash: Flash { golden: Some(in_ram), ..on_trial }, changes: both_bad });
    }
    situations
}

const A: Image = Image { variant: Variant::Resting, ..RUNNING };
const B: Image = Image { place: Place::InB, version: Version { major: 2, minor: 0, patch: 0, build: 1 }, ..A };

const fn resting(size: Size, trial: Option<Slot>) -> Flash {
    let b = if trial.is_some() { Some(Image { size, ..B }) } else { None };
    Flash { a: Some(Image { size, ..A }), b, golden: None, staging: None, confirmed: Some(Slot::A), trial }
}

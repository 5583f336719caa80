//! Every way in which the storage may fail once during a step.

use std::ops::Range;

use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;

use crate::board::Board;
use crate::content::{Content, is_blank};
use crate::medium::{Fault, PAGE};
use crate::reader::{HEADER, RECORD};
use crate::subject::Performed;

/// Bytes of a slot that the explored images may fill.
const IMAGE: usize = HEADER + 300;

/// The faults of a step that went as `performed` when nothing failed.
pub(crate) fn faults(board: &'static Board, content: &Content, performed: &Performed) -> Vec<Fault> {
    let operations = 0..performed.recorded.len();
    let writes = operations.flat_map(|at| [Fault::Swallowed(at), Fault::Denied(at), Fault::Failed(at)]);
    let reads = (0..performed.reads).map(Fault::OtherBytes);
    writes.chain(reads).chain(unreadable(board, content).into_iter().map(Fault::Unreadable)).collect()
}

/// Each record, the place of the next one in each log, each header and each block of an image, one at a time.
fn unreadable(board: &Board, content: &Content) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for log in [Region::Log0, Region::Log1] {
        let is_used = |at: &usize| !is_blank(&content.bytes(*at..at + RECORD));
        let places = || board.region(log).step_by(board.stride());
        let next = places().rev().take_while(|at| !is_used(at)).last();
        ranges.extend(places().filter(is_used).chain(next).map(|at| at..at + RECORD));
    }
    for slot in Slot::BOTH {
        let start = board.region(Region::Slot(slot)).start;
        ranges.push(start..start + HEADER);
        ranges.extend((HEADER..IMAGE).step_by(PAGE).map(|at| start + at..start + at + PAGE));
    }
    ranges
}

//! Every way in which the storage may fail once during a step.

use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;

use crate::board::Board;
use crate::content::Content;
use crate::medium::{Fault, PAGE};
use crate::subject::Performed;

/// Bytes of a slot that the explored images may fill.
const IMAGE: usize = 1024 + 300;

/// The faults of a step that went as `performed` when nothing failed.
pub(crate) fn faults(board: &'static Board, content: &Content, performed: &Performed) -> Vec<Fault> {
    let operations = 0..performed.recorded.len();
    let writes = operations.flat_map(|at| [Fault::Swallowed(at), Fault::Denied(at), Fault::Failed(at)]);
    let reads = (0..performed.reads).map(Fault::OtherBytes);
    writes.chain(reads).chain(unreadable(board, content).into_iter().map(Fault::Unreadable)).collect()
}

/// Each record, each header and each block of an image, one at a time.
fn unreadable(board: &Board, content: &Content) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    for log in [Region::Log0, Region::Log1] {
        let used = |at: &usize| content.bytes(*at..at + 128).iter().any(|byte| *byte != 0xff);
        let places = board.region(log).step_by(board.stride()).filter(used);
        ranges.extend(places.map(|at| at..at + 128));
    }
    for slot in Slot::BOTH {
        let start = board.region(Region::Slot(slot)).start;
        ranges.push(start..start + 1024);
        ranges.extend((1024..IMAGE).step_by(PAGE).map(|at| start + at..start + at + PAGE));
    }
    ranges
}

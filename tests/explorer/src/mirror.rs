//! The rules that compare two lives: with the slots' names swapped, and with a ruined neighbour.

use twinslot_bootloader::decide::Why;
use twinslot_bootloader::journal::{Phase, Record, State};
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;

use crate::board::Board;
use crate::content::{Content, Unit};
use crate::reader::{self, RECORD};
use crate::rules::{Moment, Verdict, all, ensure};
use crate::search::Node;
use crate::subject::{BootEnd, Ended, Performed, Step};
use crate::view::{View, blurred};
use twinslot_tests::model::{End, Truth};
use twinslot_tests::random::Random;

/// Swapping the slots' names swaps a boot; a bad image in the other slot changes nothing for a confirmed one.
pub(crate) fn check(moment: &Moment<'_>, node: &Node, step: Step, performed: &Performed) -> Verdict {
    let Ended::Booted(boot) = &performed.ended else { return Ok(()) };
    // These flashes are started a second time.
    if moment.content.is_flickering() {
        return Ok(());
    }
    all([check_swapped(moment, node, step, boot, performed), check_neighbour(moment, node, step, boot)])
}

fn check_swapped(moment: &Moment<'_>, node: &Node, step: Step, boot: &BootEnd, performed: &Performed) -> Verdict {
    if is_tie(moment.view) {
        return Ok(());
    }
    let swapped = swapped(moment.board, moment.content);
    let mirrored = moment.board.subject.perform(moment.board, &swapped, &node.handoff, step, None);
    let Ended::Booted(mirror) = &mirrored.ended else { return Ok(()) };
    let states = [&performed.content, &mirrored.content].map(|content| reader::newest(moment.board, content, None).map(|found| found.state));
    let [ours, theirs] = states;
    let same = boot.end.swapped() == mirror.end && ours.map(|state| blurred(&state.swapped())) == theirs.map(|state| blurred(&state));
    ensure(same, "symmetric", || format!("{:?} with {ours:?}, mirrored {:?} with {theirs:?}", boot.end, mirror.end))
}

/// Exact ties go to A.
fn is_tie(view: &View) -> bool {
    match (view.truths.a.authentic(), view.truths.b.authentic()) {
        (Some(a), Some(b)) => (a.security_counter, a.version) == (b.security_counter, b.version),
        _ => false,
    }
}

/// The same flash with the slots' names swapped in the layout and in the journal.
fn swapped(board: &'static Board, content: &Content) -> Content {
    let mut mirrored = content.clone();
    let [a, b] = Slot::BOTH.map(|slot| board.region(Region::Slot(slot)));
    mirrored.put(a.start, &content.bytes(b.clone()), Unit::Written);
    mirrored.put(b.start, &content.bytes(a), Unit::Written);
    for log in [Region::Log0, Region::Log1] {
        for at in board.region(log).step_by(board.stride()) {
            if let Some(found) = reader::record(&content.bytes(at..at + RECORD)) {
                let record = Record { sequence: found.sequence, state: State::swapped(&found.state) };
                mirrored.put(at, &record.encode().expect("a state as possible as its mirror"), Unit::Written);
            }
        }
    }
    mirrored
}

fn check_neighbour(moment: &Moment<'_>, node: &Node, step: Step, boot: &BootEnd) -> Verdict {
    let Some(state) = moment.view.state() else { return Ok(()) };
    let slot = state.preferred;
    let settled = state.phase(slot) == Phase::Confirmed && state.in_flight.is_none() && matches!(moment.view.truths.of(slot), Truth::Right(_));
    if !settled {
        return Ok(());
    }
    let mut ruined = moment.content.clone();
    let other = moment.board.region(Region::Slot(slot.other()));
    ruined.put(other.start, &Random::new(1).bytes(other.len()), Unit::Written);
    let performed = moment.board.subject.perform(moment.board, &ruined, &node.handoff, step, None);
    let after = reader::newest(moment.board, &performed.content, None).map(|found| found.state);
    let Ended::Booted(beside) = &performed.ended else { return Ok(()) };
    let inert = boot.end == End::Boot(slot, Why::Confirmed) && beside.end == boot.end && after == Some(state);
    ensure(inert, "bad_neighbour_is_inert", || format!("{:?} beside a ruined slot, {:?} otherwise", beside.end, boot.end))
}

//! The judge, the model and the rules of the flash, held to cases that were thought up: each deviation has its complaint.

use twinslot_bootloader::journal::{RECORD_SIZE, Record, SlotState, State};
use twinslot_bootloader::slot::Slot;
use twinslot_config::Layout;

use super::flash::Content;
use super::judge::{Boot, complaint};
use super::model::{Cast, Trial, told};
use super::scene::{Scene, Window};
use super::trace::{Store, breach};
use crate::qemu::{End, Shown};

const LAYOUT: &str = include_str!("../../../../qemu-boards/mps2-an386/layout.toml");

fn layout() -> Layout {
    Layout::parse(LAYOUT).expect("a committed layout")
}

/// Slot A confirmed, slot B on trial.
fn on_trial(layout: &Layout) -> State {
    let mut state = State::new(0);
    state.slots.a = SlotState::confirmed([1; 16]);
    state.slots.b = SlotState::trial([2; 16], &layout.policy);
    state.preferred = Slot::B;
    state
}

fn holding(layout: &Layout, states: &[State]) -> Content {
    let mut content = Content::erased(layout);
    content.set_journal(layout, states).expect("states that fit");
    content
}

fn scene(layout: &Layout, trial: Trial) -> Scene {
    let begins = on_trial(layout);
    let cast = Cast { trial, staged: None, policy: layout.policy };
    let (flash, last_line) = (holding(layout, &[begins]), if trial == Trial::Waits { "app: hanging" } else { "app: idle" });
    Scene { name: "test", flash, begins, cast, staged: None, last_line, window: Window::Commit, is_long: false }
}

/// A board that tells what it must of `found`.
fn truthful(found: &State, last_line: &str) -> Shown {
    let (boots, fields) = told(found);
    let lines = ["twinslot: TEST KEYS".to_owned(), boots, "app: start".to_owned()].into_iter().chain(fields).chain([last_line.to_owned()]);
    Shown { lines: lines.collect(), end: End::AtLine }
}

/// The stores of a record at a place of both logs.
fn stores(layout: &Layout, place: u64, record: &Record) -> Vec<Store> {
    let bytes = record.encode().expect("a record");
    let base = layout.flash.base.expect("an address");
    let at = |log: u64| (log + place * layout.record_stride()..).step_by(4).zip(bytes.as_chunks::<4>().0);
    layout.logs().iter().flat_map(|log| at(log.offset).map(|(at, word)| Store { address: base + at, word: *word }).collect::<Vec<_>>()).collect()
}

/// The board after a boot with `path` committed behind the record that was there, with sequences that rise by one.
fn after(layout: &Layout, before: &Content, path: &[State]) -> Content {
    let mut content = before.clone();
    for (place, state) in (1..).zip(path) {
        content.apply(&stores(layout, place, &Record { sequence: place + 1, state: *state }));
    }
    content
}

#[test]
fn a_power_cut_costs_a_trial_the_start_that_was_paid_for_and_no_attempt() {
    let layout = layout();
    let cast = Cast { trial: Trial::Waits, staged: None, policy: layout.policy };
    let begins = on_trial(&layout);
    let [_, started] = cast.path(&begins)[..] else { panic!("a start is one commit") };
    assert_eq!((started.in_flight, started.slots.b.boots_left, started.slots.b.attempts_left), (Some(Slot::B), 9, 3));
    let [_, accounted, again] = cast.path(&started)[..] else { panic!("the start that was cut is accounted for first") };
    assert_eq!((accounted.in_flight, accounted.slots.b.boots_left), (None, 9));
    assert_eq!((again.in_flight, again.slots.b.boots_left, again.slots.b.attempts_left), (Some(Slot::B), 8, 3));
}

#[test]
fn windows_are_as_wide_as_the_sizes_imply() {
    let layout = layout();
    let widths = [Window::Commit, Window::CommitWithErase, Window::SecondCommit, Window::SecondCommitWithErase, Window::Header, Window::Whole];
    assert_eq!(widths.map(|window| window.at_least(&layout)), [64, 2112, 64, 2112, 1280, 1472]);
}

#[test]
fn a_boot_as_it_must_be_gives_no_complaint() {
    let layout = layout();
    for trial in [Trial::Waits, Trial::Confirms(1)] {
        let scene = scene(&layout, trial);
        let shown = truthful(&scene.begins, scene.last_line);
        let after = after(&layout, &scene.flash, &scene.path()[1..]);
        assert_eq!(complaint(&layout, &scene, &scene.begins, &Boot { before: &scene.flash, shown: &shown, after: &after }), None);
    }
}

#[test]
fn each_deviation_gives_its_complaint() {
    let layout = layout();
    let scene = scene(&layout, Trial::Waits);
    let path = scene.path();
    let good = truthful(&scene.begins, scene.last_line);
    let judged = |shown: &Shown, after: &Content| {
        complaint(&layout, &scene, &scene.begins, &Boot { before: &scene.flash, shown, after }).unwrap_or_else(|| panic!("no complaint: {shown:?}"))
    };
    let ends_well = after(&layout, &scene.flash, &path[1..]);

    let mut other_slot = good.clone();
    other_slot.lines[1] = "twinslot: boot slot=a why=fallback".to_owned();
    assert!(judged(&other_slot, &ends_well).contains("the loader must say"));
    for (field, lie) in
        [("attempts_left=3", "attempts_left=2"), ("slot=b", "slot=a"), ("last_revert=none", "last_revert=b:100:3"), ("power-on", "watchdog")]
    {
        let mut lies = good.clone();
        lies.lines.iter_mut().filter(|line| line.starts_with("app: handoff")).for_each(|line| *line = line.replace(field, lie));
        assert!(judged(&lies, &ends_well).contains("the hand-off must say"), "{lie}");
    }
    let stuck = Shown { end: End::TimedOut, ..good.clone() };
    assert!(judged(&stuck, &ends_well).contains("did not come to rest"));

    let mut twice = path[1];
    twice.slots.b.boots_left -= 1;
    assert!(judged(&good, &after(&layout, &scene.flash, &[path[1], twice])).contains("the journal must hold"));
    assert!(judged(&good, &scene.flash).contains("the journal must hold"));

    let record = Record { sequence: 2, state: path[1] };
    let mut one_log = scene.flash.clone();
    one_log.apply(&stores(&layout, 1, &record)[..RECORD_SIZE / 4]);
    assert!(judged(&good, &one_log).contains("do not end in the same record"));

    let mut elsewhere = ends_well.clone();
    elsewhere.apply(&[Store { address: layout.flash.base.expect("an address") + layout.slot_a.offset, word: [0; 4] }]);
    assert!(judged(&good, &elsewhere).contains("where nobody may"));
}

#[test]
fn a_sequence_that_was_begun_is_not_used_again() {
    let layout = layout();
    let scene = scene(&layout, Trial::Waits);
    let path = scene.path();
    let mut torn = scene.flash.clone();
    torn.apply(&stores(&layout, 1, &Record { sequence: 2, state: path[1] })[..20]);
    assert!(torn.journal(&layout).torn && !torn.journal(&layout).clean);
    let mut after = torn.clone();
    after.apply(&stores(&layout, 2, &Record { sequence: 2, state: path[1] }));
    let shown = truthful(&scene.begins, scene.last_line);
    let told = complaint(&layout, &scene, &scene.begins, &Boot { before: &torn, shown: &shown, after: &after });
    assert!(told.is_some_and(|told| told.contains("sequence 2 was used")));
}

#[test]
fn a_confirmed_boot_that_writes_is_found() {
    let layout = layout();
    let mut scene = scene(&layout, Trial::Confirms(1));
    let confirmed = *scene.path().last().expect("a path");
    scene.flash = holding(&layout, &[confirmed]);
    let shown = truthful(&confirmed, scene.last_line);
    let judged = |after: &Content| complaint(&layout, &scene, &confirmed, &Boot { before: &scene.flash, shown: &shown, after });
    assert_eq!(judged(&scene.flash), None);
    assert!(judged(&after(&layout, &scene.flash, &[confirmed])).is_some_and(|told| told.contains("wrote to the flash")));
}

#[test]
fn every_rule_of_the_flash_is_kept_or_its_breach_named() {
    let layout = layout();
    let base = layout.flash.base.expect("an address");
    let log = layout.logs()[0];
    let begins = holding(&layout, &[on_trial(&layout)]);
    let erase = |words: u64| (0..words).map(|word| Store { address: base + log.offset + 4 * word, word: [0xff; 4] }).collect::<Vec<_>>();
    let program = |offset: u64| Store { address: base + offset, word: [0; 4] };
    let said = |stores: &[Store]| breach(&begins, stores, &layout).unwrap_or_else(|| panic!("no breach"));

    let whole = [erase(1024), vec![program(log.offset), program(log.offset + 4)]].concat();
    assert_eq!(breach(&begins, &whole, &layout), None);
    assert_eq!(breach(&begins, &erase(7), &layout), None, "a power cut may end an erase");
    assert!(said(&[program(log.offset)]).contains("not erased"));
    assert!(said(&[whole.clone(), vec![program(log.offset)]].concat()).contains("not erased"));
    assert!(said(&[erase(7), vec![program(log.offset + 28)]].concat()).contains("erase is under way"));
    assert!(said(&[erase(7), vec![program(log.offset)]].concat()).contains("middle of a unit"));
    assert!(said(&[program(layout.slot_a.offset)]).contains("outside"));
}

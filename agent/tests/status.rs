//! The binary, as an operator runs it.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::NamedTempFile;
use twinslot_agent::FileStorage;
use twinslot_bootloader::journal::{Journal, Revert, SlotState, State};
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::slot::Slot;
use twinslot_config::Layout;

const LAYOUT_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/layout.toml");

fn layout() -> Layout {
    Layout::read(Path::new(LAYOUT_PATH)).expect("the layout of the tests")
}

fn disk() -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    file.as_file().set_len(layout().flash_extent()).expect("a longer file");
    file
}

/// Commits a state and gives its sequence.
fn commit(disk: &NamedTempFile, state: &State) -> u64 {
    let layout = layout();
    let mut storage = FileStorage::open(disk.path(), &layout).expect("storage");
    let mut journal = Journal::open(&mut storage, &layout.policy);
    let sequence = journal.sequence();
    journal.commit(&mut storage, &layout.policy, sequence, state).expect("a commit");
    journal.sequence()
}

fn agent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twinslot-agent")).args(arguments).output().expect("the agent runs")
}

fn status_of(disk: &NamedTempFile) -> Output {
    agent(&["status", "--layout", LAYOUT_PATH, "--storage", &disk.path().to_string_lossy()])
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn status_tells_phases_reasons_floor_and_the_last_revert() {
    let disk = disk();
    let mut state = State::new(3);
    state.slots.a = SlotState::confirmed([0xa1; 16]);
    state.slots.b = SlotState::trial([0xb2; 16], &layout().policy).rejected(Reason::Watchdog);
    state.last_revert = Some(Revert { slot: Slot::B, reason: Reason::Watchdog, sequence: 1 });
    state.revoked.insert([0xcc; 8]).expect("room for a key");
    let sequence = commit(&disk, &state);
    let output = status_of(&disk);
    let expected = format!(
        "journal: sequence {sequence}, both logs agree\n\
         slot a: confirmed, preferred, image a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1\n\
         slot b: rejected, image b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2, code 100: the watchdog reset the trial\n\
         security floor: 3\n\
         revoked key: cccccccccccccccc\n\
         last revert: slot b at sequence 1, code 100: the watchdog reset the trial\n"
    );
    assert_eq!(text(&output.stdout), expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn status_tells_what_a_trial_has_left() {
    let disk = disk();
    let mut state = State::new(0);
    state.slots.a = SlotState::confirmed([0xa1; 16]);
    state.slots.b = SlotState::trial([0xb2; 16], &layout().policy);
    state.preferred = Slot::B;
    state.in_flight = Some(Slot::B);
    commit(&disk, &state);
    let output = status_of(&disk);
    let trial = "slot b: trial, 3 attempts and 10 boots left, preferred, started and not accounted for, image b2b2";
    assert!(text(&output.stdout).contains(trial), "{}", text(&output.stdout));
}

#[test]
fn a_lost_journal_is_said_to_be_lost() {
    let output = status_of(&disk());
    assert_eq!(text(&output.stdout), "journal: lost; the next boot takes authentic slots as trials\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn status_changes_no_byte() {
    let disk = disk();
    commit(&disk, &State::new(0));
    let before = std::fs::read(disk.path()).expect("the disk");
    status_of(&disk);
    assert!(std::fs::read(disk.path()).expect("the disk") == before);
}

#[test]
fn a_storage_in_use_is_not_read() {
    let disk = disk();
    let _writer = FileStorage::open(disk.path(), &layout()).expect("storage");
    let output = status_of(&disk);
    assert!(text(&output.stderr).contains("another process is using it"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn wrong_arguments_are_named_and_exit_with_2() {
    let cases: [(&[&str], &str); 11] = [
        (&[], "what to do is missing"),
        (&["boot"], "unexpected argument \"boot\""),
        (&["status"], "--layout is missing"),
        (&["status", "--layout", LAYOUT_PATH], "--storage is missing"),
        (&["status", "--layout", "a", "--layout", "b"], "--layout stands twice"),
        (&["status", "--fast"], "invalid option '--fast'"),
        (&["status", "--trust", "t"], "invalid option '--trust'"),
        (&["map-root", "--trust", "t"], "invalid option '--trust'"),
        (&["condemn", "--layout", LAYOUT_PATH, "--storage", "s"], "--trust is missing"),
        (&["revert", "--cmdline", "c"], "invalid option '--cmdline'"),
        (&["map-root", "--handoff", "h", "--handoff", "i"], "--handoff stands twice"),
    ];
    for (arguments, message) in cases {
        let output = agent(arguments);
        assert!(text(&output.stderr).contains(message), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn an_answer_that_can_not_be_printed_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("the device that is always full");
    let mut agent = Command::new(env!("CARGO_BIN_EXE_twinslot-agent"));
    let output = agent.arg("--version").stdout(full).output().expect("the agent runs");
    assert!(text(&output.stderr).contains("can not print the answer"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(2));
}

//! `condemn` and `revert`, as an initramfs runs them.

mod support;

use std::process::Stdio;

use support::{Host, LAYOUT_PATH, TRUST_PATH, output_of, text};
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::journal::Phase::{Confirmed, Empty, Rejected, Trial};
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::slot::{BySlot, Slot};

const TRUSTING: [&str; 2] = ["--trust", TRUST_PATH];

#[test]
fn a_broken_confirmed_system_is_condemned_when_the_other_one_is_confirmed_too() {
    for (running, first) in [(Slot::A, "slot a: rejected"), (Slot::B, "slot b: rejected")] {
        let host = Host::new(running, BySlot { a: Confirmed, b: Confirmed });
        let output = host.agent("condemn", &host.handoff(running, Why::Confirmed), &TRUSTING);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
        assert!(text(&output.stdout).contains(first), "{}", text(&output.stdout));
        let state = host.state();
        assert_eq!((state.phase(running), state.phase(running.other()), state.preferred), (Rejected, Confirmed, running.other()));
        assert_eq!(state.last_revert.map(|revert| (revert.slot, revert.reason)), Some((running, Reason::Condemned)));
    }
}

#[test]
fn the_only_confirmed_system_is_not_condemned() {
    for other in [Empty, Trial, Rejected] {
        let host = Host::new(Slot::A, BySlot { a: Confirmed, b: other });
        let before = std::fs::read(host.disk()).expect("the disk");
        let output = host.agent("condemn", &host.handoff(Slot::A, Why::Confirmed), &TRUSTING);
        let refusal = "twinslot-agent: refused: code=135 the slot holds the only confirmed image";
        assert!(output.status.code() == Some(1) && text(&output.stderr).starts_with(refusal), "{other:?}: {}", text(&output.stderr));
        assert!(std::fs::read(host.disk()).expect("the disk") == before, "{other:?}");
    }
}

/// Byte 4096 is the first one of the kernel, byte 100 is one of the signed header.
#[test]
fn a_system_is_not_condemned_for_one_that_does_not_verify() {
    for (offset, refusal) in [(4096, "code=42 "), (100, "code=7 ")] {
        let host = Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed });
        host.flip(Slot::B, offset);
        let output = host.agent("condemn", &host.handoff(Slot::A, Why::Confirmed), &TRUSTING);
        assert!(output.status.code() == Some(1) && text(&output.stderr).contains(refusal), "{}", text(&output.stderr));
        assert_eq!(host.state().phase(Slot::A), Confirmed);
    }
}

#[test]
fn a_trial_is_reverted_and_not_condemned() {
    let host = Host::new(Slot::B, BySlot { a: Confirmed, b: Trial });
    let handoff = host.handoff(Slot::B, Why::Trial);
    let output = host.agent("condemn", &handoff, &TRUSTING);
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("code=137 "), "{}", text(&output.stderr));
    let output = host.agent("revert", &handoff, &TRUSTING);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    let state = host.state();
    assert_eq!((state.phase(Slot::B), state.preferred), (Rejected, Slot::A));
    assert_eq!(state.last_revert.map(|revert| (revert.slot, revert.reason)), Some((Slot::B, Reason::HealthCheck)));
}

#[test]
fn a_confirmed_system_is_not_reverted() {
    let host = Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed });
    let output = host.agent("revert", &host.handoff(Slot::A, Why::Confirmed), &TRUSTING);
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("code=132 "), "{}", text(&output.stderr));
}

/// Written to a full disk, and into a pipe whose reader is gone.
#[test]
fn a_verdict_whose_answer_can_not_be_printed_is_given() {
    for (verdict, running, phases, why) in [
        ("confirm", Slot::B, BySlot { a: Confirmed, b: Trial }, Why::Trial),
        ("revert", Slot::B, BySlot { a: Confirmed, b: Trial }, Why::Trial),
        ("condemn", Slot::B, BySlot { a: Confirmed, b: Confirmed }, Why::Confirmed),
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("the device that is always full");
        let (reader, closed) = std::io::pipe().expect("a pipe");
        drop(reader);
        for (output, reason) in [(Stdio::from(full), "No space left on device"), (Stdio::from(closed), "Broken pipe")] {
            let host = Host::new(running, phases);
            let mut agent = host.agent_command(verdict, &host.handoff(running, why), &TRUSTING);
            let output = output_of(agent.stdout(output).stderr(Stdio::piped()));
            let words = format!("twinslot-agent: it is done, but the answer can not be printed: {reason}");
            assert!(output.status.code() == Some(0) && text(&output.stderr).starts_with(&words), "{verdict}: {}", text(&output.stderr));
            let expected = if verdict == "confirm" { Confirmed } else { Rejected };
            assert_eq!(host.state().phase(running), expected, "{verdict}");
            let told = format!("slot b: {}", expected.name());
            assert!(text(&output.stderr).contains(&told), "{verdict}: {}", text(&output.stderr));
        }
    }
}

#[test]
fn another_layout_and_what_is_no_hand_off_change_nothing() {
    let host = Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed });
    let mut handoff = host.handoff(Slot::A, Why::Confirmed);
    handoff.layout[0] ^= 1;
    let output = host.agent("condemn", &handoff, &TRUSTING);
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("code=128 "), "{}", text(&output.stderr));
    let disk = host.disk().display().to_string();
    for (file, message) in [("/no/such/file", "the loader of this host leaves the hand-off there"), (LAYOUT_PATH, "bytes, a hand-off has 512")] {
        let mut agent = std::process::Command::new(env!("CARGO_BIN_EXE_twinslot-agent"));
        agent.args(["condemn", "--layout", LAYOUT_PATH, "--storage", &disk, "--trust", TRUST_PATH, "--handoff", file]);
        let output = output_of(&mut agent);
        assert!(output.status.code() == Some(2) && text(&output.stderr).contains(message), "{}", text(&output.stderr));
    }
    assert_eq!(host.state().phase(Slot::A), Confirmed);
}

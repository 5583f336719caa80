//! The hand-off for Linux: properties `twinslot,*` of `/chosen`, and what stands behind the signed command line.
//!
//! Each field is a property, for people and scripts. `twinslot,handoff` is the whole record, for programs that decode it with the verifier's own
//! code.

use heapless::Vec;
use twinslot_bootloader::handoff::{Booted, HANDOFF_SIZE, Handoff, Verdict};
use twinslot_bootloader::image::command_line::MAX_LEN;
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::slot::Slot;

use crate::device_tree::{LinuxTree, TreeError, Value};

/// What Linux takes at most, its NUL included. Source: `COMMAND_LINE_SIZE` of arm64 (2048) and riscv (1024 up to 5.19, then 2048).
const LINE_SIZE: usize = 2048;

/// Puts the hand-off into `/chosen`.
///
/// # Errors
/// The tree's buffer is full.
pub fn publish(handoff: &Handoff, tree: &mut LinuxTree<'_>) -> Result<(), TreeError> {
    identity(handoff, tree)?;
    decision(handoff, tree)?;
    let mut record = [0; HANDOFF_SIZE];
    handoff.encode(&mut record);
    tree.choose("twinslot,handoff", Value::Bytes(&record))
}

/// What the loader is and reads.
fn identity(handoff: &Handoff, tree: &mut LinuxTree<'_>) -> Result<(), TreeError> {
    tree.choose("twinslot,loader-version", Value::Number(u32::from(handoff.loader_version)))?;
    tree.choose("twinslot,reads-header", Value::Number(u32::from(handoff.reads.header)))?;
    tree.choose("twinslot,reads-journal", Value::Number(u32::from(handoff.reads.journal)))?;
    tree.choose("twinslot,reads-keys", Value::Bytes(handoff.reads.keys.as_slice().as_flattened()))?;
    tree.choose("twinslot,layout", Value::Bytes(&handoff.layout))
}

/// What this boot decided, and why.
fn decision(handoff: &Handoff, tree: &mut LinuxTree<'_>) -> Result<(), TreeError> {
    tree.choose("twinslot,slot", Value::Text(booted_name(handoff.booted)))?;
    tree.choose("twinslot,phase", Value::Text(handoff.phase.name()))?;
    tree.choose("twinslot,attempts-left", Value::Number(u32::from(handoff.attempts_left)))?;
    tree.choose("twinslot,why", Value::Text(handoff.why.name()))?;
    verdict(handoff.verdicts.a, ["twinslot,verdict-a", "twinslot,verdict-a-code", "twinslot,verdict-a-reason"], tree)?;
    verdict(handoff.verdicts.b, ["twinslot,verdict-b", "twinslot,verdict-b-code", "twinslot,verdict-b-reason"], tree)?;
    if let Some(revert) = handoff.last_revert {
        tree.choose("twinslot,last-revert-slot", Value::Text(revert.slot.name()))?;
        tree.choose("twinslot,last-revert-code", Value::Number(u32::from(revert.reason.code())))?;
        tree.choose("twinslot,last-revert-reason", Value::Text(revert.reason.text()))?;
        tree.choose("twinslot,last-revert-sequence", Value::Wide(revert.sequence))?;
    }
    tree.choose("twinslot,reset-cause", Value::Text(handoff.reset_cause.name()))?;
    tree.choose("twinslot,digest", Value::Bytes(&handoff.digest))?;
    tree.choose("twinslot,marks", Value::Bytes(handoff.marks.map(u32::to_be_bytes).as_flattened()))
}

fn verdict(verdict: Verdict, [name, code, reason]: [&str; 3], tree: &mut LinuxTree<'_>) -> Result<(), TreeError> {
    let (word, why) = match verdict {
        Verdict::NotExamined => ("not-examined", None),
        Verdict::Verified => ("verified", None),
        Verdict::Refused(why) => ("refused", Some(why)),
        Verdict::ReadError => ("read-error", Some(Reason::ReadError)),
    };
    tree.choose(name, Value::Text(word))?;
    match why {
        Some(why) => {
            tree.choose(code, Value::Number(u32::from(why.code())))?;
            tree.choose(reason, Value::Text(why.text()))
        }
        None => Ok(()),
    }
}

/// The name of what was booted.
#[must_use]
pub const fn booted_name(booted: Booted) -> &'static str {
    match booted {
        Booted::Slot(slot) => slot.name(),
        Booted::Golden => "golden",
        Booted::Nothing => "nothing",
    }
}

/// The command line for Linux: the signed one, then which slot runs. `None` when it does not fit, which a verified line always does.
#[must_use]
pub fn command_line(signed: &[u8], booted: Booted) -> Option<Vec<u8, LINE_SIZE>> {
    if signed.len() > MAX_LEN {
        return None;
    }
    let appended = match booted {
        Booted::Slot(Slot::A) => "twinslot.slot=a rauc.slot=A",
        Booted::Slot(Slot::B) => "twinslot.slot=b rauc.slot=B",
        Booted::Golden => "twinslot.slot=golden",
        Booted::Nothing => return None,
    };
    let mut line = Vec::new();
    line.extend_from_slice(signed).ok()?;
    line.extend_from_slice(if signed.is_empty() { b"" } else { b" " }).ok()?;
    line.extend_from_slice(appended.as_bytes()).ok()?;
    line.push(0).ok()?;
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_slot_stands_behind_the_signed_line() {
        let line = |signed: &[u8], booted| command_line(signed, booted).map(|line| String::from_utf8(line.to_vec()).expect("text"));
        assert_eq!(line(b"quiet", Booted::Slot(Slot::A)).as_deref(), Some("quiet twinslot.slot=a rauc.slot=A\0"));
        assert_eq!(line(b"", Booted::Slot(Slot::B)).as_deref(), Some("twinslot.slot=b rauc.slot=B\0"));
        assert_eq!(line(b"quiet", Booted::Golden).as_deref(), Some("quiet twinslot.slot=golden\0"));
        assert_eq!(line(b"quiet", Booted::Nothing), None);
    }

    #[test]
    fn the_longest_signed_line_fits_and_a_longer_one_is_none() {
        assert!(command_line(&[b'x'; MAX_LEN], Booted::Slot(Slot::A)).is_some());
        assert_eq!(command_line(&[b'x'; MAX_LEN + 1], Booted::Slot(Slot::A)), None);
    }
}

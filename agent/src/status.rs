//! What the journal says about a host, as data and in words.

use std::fmt;

use twinslot_bootloader::journal::{Journal, Phase, Policy, SlotState, State};
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Storage;

/// The boot state of a host. Reading it writes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The newest record's sequence and state; `None` when the journal is lost.
    pub newest: Option<(u64, State)>,
    /// Whether both logs end in that record.
    pub mirrored: bool,
    /// Whether the next boot will commit it again, to both; a log with a read error is left alone.
    pub repairs: bool,
    /// Whether neither log could be read: the next boot writes nothing while that lasts.
    pub unreadable: bool,
}

/// Reads the boot state.
pub fn status(storage: &mut impl Storage, policy: &Policy) -> Status {
    let journal = Journal::open(storage, policy);
    let newest = journal.state().map(|state| (journal.sequence(), *state));
    Status { newest, mirrored: journal.is_mirrored(), repairs: !journal.is_clean(), unreadable: journal.is_unreadable() }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((sequence, state)) = &self.newest else {
            return f.write_str(if self.unreadable {
                "journal: neither log can be read; while that lasts a boot writes nothing and starts no trial"
            } else {
                "journal: lost; the next boot takes authentic slots as trials"
            });
        };
        let logs = match (self.repairs, self.mirrored) {
            (true, _) => "the logs differ, the next boot repairs them",
            (false, true) => "both logs agree",
            (false, false) => "in one log only, the other one can not be read",
        };
        writeln!(f, "journal: sequence {sequence}, {logs}")?;
        for slot in Slot::BOTH {
            write_slot(f, state, slot)?;
        }
        write_rest(f, state)
    }
}

fn write_slot(f: &mut fmt::Formatter<'_>, state: &State, slot: Slot) -> fmt::Result {
    let entry = state.slots.of(slot);
    write!(f, "slot {}: {}", slot.name(), entry.phase.name())?;
    if entry.phase == Phase::Trial {
        write!(f, ", {} attempts and {} boots left", entry.attempts_left, entry.boots_left)?;
    }
    if state.preferred == slot {
        f.write_str(", preferred")?;
    }
    if state.in_flight == Some(slot) {
        f.write_str(", started and not accounted for")?;
    }
    write_image(f, entry)
}

fn write_image(f: &mut fmt::Formatter<'_>, entry: &SlotState) -> fmt::Result {
    if entry.digest != [0; 16] {
        write!(f, ", image {}", Hex(&entry.digest))?;
    }
    if entry.reason != Reason::None {
        write!(f, ", {}", Coded(entry.reason))?;
    }
    writeln!(f)
}

fn write_rest(f: &mut fmt::Formatter<'_>, state: &State) -> fmt::Result {
    write!(f, "security floor: {}", state.floor)?;
    for id in state.revoked.iter() {
        write!(f, "\nrevoked key: {}", Hex(id))?;
    }
    match &state.last_revert {
        Some(revert) => write!(f, "\nlast revert: slot {} at sequence {}, {}", revert.slot.name(), revert.sequence, Coded(revert.reason)),
        None => Ok(()),
    }
}

/// Bytes in lower-case hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A reason with its stable code.
struct Coded(Reason);

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code {}: {}", self.0.code(), self.0.text())
    }
}

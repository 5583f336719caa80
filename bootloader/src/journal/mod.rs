//! The boot state and its journal: two mirrored logs that survive a power cut at any instant.
//!
//! Guarantees:
//! * A commit writes the same record to both logs, one after the other, each read back past any cache.
//! * A log is erased only while its mirror holds the newest record.
//! * The sequence of a commit is greater than every sequence begun before it that storage may still hold, torn ones included.
//! * A record whose state is impossible counts as torn.

mod log;
mod record;
mod revoked;
mod state;

pub use log::{CommitError, Journal};
pub use record::{LAYOUT_VERSION, RECORD_SIZE, Record, stride};
pub use revoked::{MAX_REVOKED, NoRoom, RevokedKeys};
pub use state::{FloorRaise, Phase, Policy, Revert, SlotState, State};

//! What the application tells on the console, one framed line each.

use core::fmt::{Display, Write as _};

use mps2::devices::Uart;
use twinslot_bootloader::handoff::{Booted, Handoff, Verdict};
use twinslot_bootloader::install::InstallError;
use twinslot_bootloader::journal::Revert;

/// The code of a failed storage or commit, which is no refusal.
const NO_REFUSAL: u8 = 255;

/// One line for each field of the hand-off.
pub(super) fn handoff(console: Uart, handoff: &Handoff) {
    let told = |field: &str, value: &dyn Display| {
        let mut console = console;
        let _ = writeln!(console, "app: handoff {field}={value}");
    };
    told("loader_version", &handoff.loader_version);
    told("reads_header", &handoff.reads.header);
    told("reads_journal", &handoff.reads.journal);
    for key in &handoff.reads.keys {
        told("reads_key", &Hex(key));
    }
    told("slot", &booted(handoff.booted));
    told("phase", &handoff.phase.name());
    told("attempts_left", &handoff.attempts_left);
    told("why", &handoff.why.name());
    told("verdict_a", &VerdictWords(handoff.verdicts.a));
    told("verdict_b", &VerdictWords(handoff.verdicts.b));
    told("last_revert", &LastRevert(handoff.last_revert));
    told("reset_cause", &handoff.reset_cause.name());
    told("digest", &Hex(&handoff.digest));
    told("layout", &Hex(&handoff.layout));
    let [start, header, image, jump] = handoff.marks;
    told("marks", &format_args!("{start}:{header}:{image}:{jump}"));
}

/// A writer's refusal by its stable code; a failure by words.
pub(super) fn refused(mut console: Uart, error: &InstallError) {
    let code = match error {
        InstallError::Refused(refusal) => refusal.code(),
        InstallError::Commit(_) | InstallError::Storage | InstallError::CounterNotRaised => NO_REFUSAL,
    };
    let _ = writeln!(console, "app: refused code={code} reason={error}");
}

/// Why the application can do nothing.
pub(super) fn failed(mut console: Uart, error: &dyn Display) {
    let _ = writeln!(console, "app: failed reason={error}");
}

const fn booted(booted: Booted) -> &'static str {
    match booted {
        Booted::Slot(slot) => slot.name(),
        Booted::Golden => "golden",
        Booted::Nothing => "nothing",
    }
}

/// Bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A verdict, with the code of a refusal.
struct VerdictWords(Verdict);

impl Display for VerdictWords {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Verdict::NotExamined => f.write_str("not-examined"),
            Verdict::Verified => f.write_str("verified"),
            Verdict::Refused(reason) => write!(f, "refused:{}", reason.code()),
            Verdict::ReadError => f.write_str("read-error"),
        }
    }
}

/// `slot:reason code:sequence`.
struct LastRevert(Option<Revert>);

impl Display for LastRevert {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(Revert { slot, reason, sequence }) => write!(f, "{}:{}:{sequence}", slot.name(), reason.code()),
        }
    }
}

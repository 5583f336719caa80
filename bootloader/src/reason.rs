//! Why a trial lost an attempt or a slot was rejected: one byte in the journal.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::Reader;
use crate::rejection::Rejection;

/// What made the machine start. `PowerOn` is told by a marker in RAM that a power cut loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ResetCause {
    /// Power was applied.
    PowerOn,
    /// The watchdog ran out.
    Watchdog,
    /// Software asked for it.
    Software,
    /// A fault handler asked for it.
    Fault,
    /// It can not be told.
    Unknown,
}

impl ResetCause {
    /// The cause in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PowerOn => "power-on",
            Self::Watchdog => "watchdog",
            Self::Software => "software",
            Self::Fault => "fault",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a slot lost an attempt or became rejected.
///
/// One byte on storage: 0 = none, 1..=99 = [`Rejection::code`], 100.. = the others, stable and append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(from = "u8", into = "u8")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// Nothing happened.
    #[default]
    None,
    /// Verification refused the image.
    Refused(Rejection),
    /// The watchdog ended the trial.
    Watchdog,
    /// The trial reset the machine without confirming.
    SoftwareReset,
    /// The trial crashed.
    Fault,
    /// The trial ended for a reason that the board can not tell.
    UnknownReset,
    /// The trial was started as often as the policy allows and never confirmed.
    BootsUsedUp,
    /// The trial's health check gave it up.
    HealthCheck,
    /// The running confirmed system declared itself broken.
    Condemned,
    /// An operator rejected the slot.
    Operator,
    /// The storage could not be read when the journal was lost.
    ReadError,
    /// The watchdog did not start, so that the trial could not.
    NoWatchdog,
    /// A code of a newer writer. A reason decides nothing, so that its record is as good as any other.
    Other(u8),
}

impl Reason {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Refused(rejection) => rejection.code(),
            Self::Watchdog => 100,
            Self::SoftwareReset => 101,
            Self::Fault => 102,
            Self::UnknownReset => 103,
            Self::BootsUsedUp => 104,
            Self::HealthCheck => 105,
            Self::Condemned => 106,
            Self::Operator => 107,
            Self::ReadError => 108,
            Self::NoWatchdog => 109,
            Self::Other(code) => code,
        }
    }

    /// The reason of a stable code; [`Reason::Other`] when this version knows none.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::None,
            100 => Self::Watchdog,
            101 => Self::SoftwareReset,
            102 => Self::Fault,
            103 => Self::UnknownReset,
            104 => Self::BootsUsedUp,
            105 => Self::HealthCheck,
            106 => Self::Condemned,
            107 => Self::Operator,
            108 => Self::ReadError,
            109 => Self::NoWatchdog,
            other => match Rejection::from_code(other) {
                Some(rejection) => Self::Refused(rejection),
                None => Self::Other(other),
            },
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        Self::from_code(reader.byte())
    }

    /// What a reset of an unconfirmed trial is remembered as. `None` for a power cut, which is nobody's fault.
    #[must_use]
    pub const fn of_reset(cause: ResetCause) -> Option<Self> {
        match cause {
            ResetCause::PowerOn => None,
            ResetCause::Watchdog => Some(Self::Watchdog),
            ResetCause::Software => Some(Self::SoftwareReset),
            ResetCause::Fault => Some(Self::Fault),
            ResetCause::Unknown => Some(Self::UnknownReset),
        }
    }

    /// The reason in one lower-case clause.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "no reason",
            Self::Refused(rejection) => rejection.text(),
            Self::Watchdog => "the watchdog reset the trial",
            Self::SoftwareReset => "the trial reset the machine without confirming",
            Self::Fault => "the trial crashed",
            Self::UnknownReset => "the trial ended by a reset of unknown cause",
            Self::BootsUsedUp => "the trial was started as often as allowed and never confirmed",
            Self::HealthCheck => "the trial's health check failed",
            Self::Condemned => "the running system declared itself broken",
            Self::Operator => "an operator rejected the slot",
            Self::ReadError => "the storage could not be read",
            Self::NoWatchdog => "the watchdog did not start, so that the trial could not",
            Self::Other(_) => "a reason that this version does not know",
        }
    }
}

impl From<Reason> for u8 {
    fn from(reason: Reason) -> Self {
        reason.code()
    }
}

impl From<u8> for Reason {
    fn from(code: u8) -> Self {
        Self::from_code(code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

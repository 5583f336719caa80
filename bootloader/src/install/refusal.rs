//! Why a writer does not do what it was asked to.

use core::fmt;

use crate::journal::CommitError;
use crate::rejection::Rejection;
use crate::storage::StorageError;

/// A writer's refusal. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refusal {
    /// The image is refused, with the loader's own code.
    Image(Rejection),
    /// The writer and the loader were built with different layouts.
    WrongLayout,
    /// The loader reads another header version or journal layout than this writer writes.
    LoaderReadsOtherFormats,
    /// Too few of the image's signatures are by keys that the loader knows.
    LoaderLacksKeys,
    /// The journal holds no valid record.
    JournalLost,
    /// The running slot is not the trial that the journal speaks of.
    NotTheTrial,
    /// A trial is running and must be confirmed or reverted first.
    TrialPending,
    /// The slot is the one that runs.
    RunningSlot,
    /// The slot holds the only confirmed image.
    OnlyConfirmedSlot,
    /// The other slot holds nothing to go to.
    NoOtherImage,
    /// The running slot is not confirmed.
    NotConfirmed,
    /// Chunks are missing.
    Incomplete,
    /// Only a tool may do this, on storage that nothing runs from.
    OnlyOffline,
}

impl Refusal {
    /// The stable code: a [`Rejection`]'s own, or 128 and above.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Image(rejection) => rejection.code(),
            Self::WrongLayout => 128,
            Self::LoaderReadsOtherFormats => 129,
            Self::LoaderLacksKeys => 130,
            Self::JournalLost => 131,
            Self::NotTheTrial => 132,
            Self::TrialPending => 133,
            Self::RunningSlot => 134,
            Self::OnlyConfirmedSlot => 135,
            Self::NoOtherImage => 136,
            Self::NotConfirmed => 137,
            Self::Incomplete => 138,
            Self::OnlyOffline => 139,
        }
    }

    /// What is wrong and what to do, in one lower-case sentence.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Image(rejection) => rejection.text(),
            Self::WrongLayout => "the loader was built with another layout: use the layout file that this board's loader was built with",
            Self::LoaderReadsOtherFormats => "the loader reads other formats than this writer writes: use the writer of the loader's release",
            Self::LoaderLacksKeys => "too few signatures are by keys that this loader knows: sign with the keys of its trust anchor as well",
            Self::JournalLost => "the journal holds no valid record: boot once, or repair it",
            Self::NotTheTrial => "the running slot is not the trial that the journal speaks of: there is nothing to confirm or revert",
            Self::TrialPending => "a trial is running: confirm or revert it first",
            Self::RunningSlot => "the slot is the one that runs: use the other one",
            Self::OnlyConfirmedSlot => "the slot holds the only confirmed image: confirm another one first",
            Self::NoOtherImage => "the other slot holds no image to go to: install one first",
            Self::NotConfirmed => "the running slot is not confirmed",
            Self::Incomplete => "chunks are missing: write all of them first",
            Self::OnlyOffline => "only a tool may do this, on storage that nothing runs from",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Refusal {}

/// Why an operation of a writer did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InstallError {
    /// It is refused.
    Refused(Refusal),
    /// The journal could not be committed.
    Commit(CommitError),
    /// The storage failed.
    Storage,
    /// The image *is* confirmed, but the monotonic counter could not be raised to the new floor. The next session tries again.
    CounterNotRaised,
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Commit(error) => error.fmt(f),
            Self::Storage => StorageError.fmt(f),
            Self::CounterNotRaised => {
                f.write_str("the image is confirmed, but the monotonic counter could not be raised: open another session to try again")
            }
        }
    }
}

impl core::error::Error for InstallError {}

impl From<Refusal> for InstallError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Rejection> for InstallError {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(Refusal::Image(rejection))
    }
}

impl From<StorageError> for InstallError {
    fn from(_: StorageError) -> Self {
        Self::Storage
    }
}

impl From<crate::load::LoadError> for InstallError {
    fn from(error: crate::load::LoadError) -> Self {
        match error {
            crate::load::LoadError::Refused(rejection) => rejection.into(),
            crate::load::LoadError::Storage => Self::Storage,
        }
    }
}

//! The words of refusals, errors and names: each says something of its own, and names that machines read keep.

use std::collections::BTreeSet;
use std::fmt::Display;

use twinslot_bootloader::anchor::AnchorError;
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::HandoffError;
use twinslot_bootloader::image::InvalidProduct;
use twinslot_bootloader::image::draft::DraftError;
use twinslot_bootloader::image::manifest::Version;
use twinslot_bootloader::install::{InstallError, Refusal};
use twinslot_bootloader::journal::{CommitError, Phase, Policy};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::StorageError;

const REFUSALS: [Refusal; 12] = [
    Refusal::WrongLayout,
    Refusal::LoaderReadsOtherFormats,
    Refusal::LoaderLacksKeys,
    Refusal::JournalLost,
    Refusal::NotTheTrial,
    Refusal::TrialPending,
    Refusal::RunningSlot,
    Refusal::OnlyConfirmedSlot,
    Refusal::NoOtherImage,
    Refusal::NotConfirmed,
    Refusal::Incomplete,
    Refusal::OnlyOffline,
];

/// Every message is a clause in lower case of more than two words, and no two are alike.
fn assert_distinct_clauses(messages: &[impl Display]) {
    let texts: Vec<String> = messages.iter().map(ToString::to_string).collect();
    for text in &texts {
        assert!(text.split(' ').count() > 1, "{text:?} says nothing");
        assert!(!text.starts_with(char::is_uppercase) && !text.ends_with('.'), "{text:?}");
    }
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len(), "{texts:?}");
}

#[test]
fn every_refusal_and_reason_has_a_clause_of_its_own() {
    assert_distinct_clauses(Rejection::ALL);
    assert_distinct_clauses(&[0].into_iter().chain(100..=109).map(Reason::from_code).collect::<Vec<_>>());
    assert_distinct_clauses(&REFUSALS);
    assert_eq!(Reason::Other(200).to_string(), "a reason that this version does not know");
}

#[test]
fn a_reason_and_a_writer_refuse_an_image_in_the_words_of_the_loader() {
    for rejection in Rejection::ALL {
        assert_eq!(rejection.to_string(), rejection.text());
        assert_eq!(Reason::Refused(*rejection).to_string(), rejection.text());
        assert_eq!(Refusal::Image(*rejection).to_string(), rejection.text());
        assert_eq!(InstallError::from(*rejection).to_string(), rejection.text());
        assert_eq!(Refusal::Image(*rejection).code(), rejection.code());
    }
    for refusal in REFUSALS {
        assert_eq!((refusal.to_string(), InstallError::from(refusal).to_string()), (refusal.text().to_owned(), refusal.text().to_owned()));
    }
}

#[test]
fn every_error_has_a_clause_of_its_own() {
    assert_distinct_clauses(&[CommitError::Stale, CommitError::Impossible, CommitError::Exhausted, CommitError::Storage]);
    assert_distinct_clauses(&[
        InstallError::Storage,
        InstallError::CounterNotRaised,
        InstallError::Commit(CommitError::Stale),
        InstallError::Refused(Refusal::Incomplete),
    ]);
    assert_eq!(InstallError::Commit(CommitError::Exhausted).to_string(), CommitError::Exhausted.to_string());
    assert_eq!(InstallError::Storage.to_string(), StorageError.to_string());
    assert_distinct_clauses(&[
        DraftError::ManifestTooLong,
        DraftError::NoRoom,
        DraftError::AlreadySigned,
        DraftError::ZeroEntry,
        DraftError::NotAHeader(Rejection::WrongMagic),
    ]);
    assert!(DraftError::NotAHeader(Rejection::WrongMagic).to_string().ends_with(Rejection::WrongMagic.text()));
    assert_distinct_clauses(&[
        AnchorError::NoKeys,
        AnchorError::TooManyKeys,
        AnchorError::WeakKey,
        AnchorError::RepeatedKey,
        AnchorError::ThresholdZero,
        AnchorError::ThresholdAboveKeys,
    ]);
    assert_distinct_clauses(&[HandoffError::WrongMagic, HandoffError::WrongVersion(7), HandoffError::CrcMismatch, HandoffError::Malformed]);
    assert!(HandoffError::WrongVersion(7).to_string().contains("version 7"));
    assert_distinct_clauses(&[InvalidProduct]);
}

#[test]
fn names_that_machines_read_keep() {
    assert_eq!([Slot::A, Slot::B].map(Slot::name), ["a", "b"]);
    let phases = [Phase::Empty, Phase::Trial, Phase::Confirmed, Phase::Rejected];
    assert_eq!(phases.map(Phase::name), ["empty", "trial", "confirmed", "rejected"]);
    let whys = [Why::Confirmed, Why::Fallback, Why::Trial, Why::LastResort, Why::Golden, Why::Nothing];
    assert_eq!(whys.map(Why::name), ["confirmed", "fallback", "trial", "last-resort", "golden", "nothing"]);
    let causes = [ResetCause::PowerOn, ResetCause::Watchdog, ResetCause::Software, ResetCause::Fault, ResetCause::Unknown];
    assert_eq!(causes.map(ResetCause::name), ["power-on", "watchdog", "software", "fault", "unknown"]);
    assert_eq!((Rejection::WrongMagic.name(), Rejection::NotTheArmedImage.name()), ("WrongMagic", "NotTheArmedImage"));
    assert_eq!(Version { major: 1, minor: 2, patch: 3, build: 4 }.to_string(), "1.2.3+4");
    assert_eq!(Policy::default(), Policy::DEFAULT);
}

//! The tables of codes in `docs/format.md` are those of the source.
//!
//! A table stands between `<!-- codes: NAME -->` and `<!-- end of codes -->`. When a test fails it prints the table that belongs there.

use std::fmt::Display;

use twinslot_bootloader::install::Refusal;
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::rejection::Rejection;

const DOCUMENT: &str = include_str!("../../docs/format.md");

/// Every refusal of a writer that is not the image's. The match has no wildcard: a new one does not compile until it is here.
fn refusals() -> Vec<Refusal> {
    let all = [
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
    for refusal in all {
        match refusal {
            Refusal::WrongLayout
            | Refusal::LoaderReadsOtherFormats
            | Refusal::LoaderLacksKeys
            | Refusal::JournalLost
            | Refusal::NotTheTrial
            | Refusal::TrialPending
            | Refusal::RunningSlot
            | Refusal::OnlyConfirmedSlot
            | Refusal::NoOtherImage
            | Refusal::NotConfirmed
            | Refusal::Incomplete
            | Refusal::OnlyOffline => {}
            Refusal::Image(rejection) => unreachable!("{rejection:?} is the image's"),
        }
    }
    all.to_vec()
}

fn table(rows: impl Iterator<Item = (u8, String, impl Display)>) -> String {
    let rows = rows.map(|(code, name, text)| format!("| {code} | `{name}` | {text} |\n"));
    format!("| code | name | meaning |\n|---|---|---|\n{}", rows.collect::<String>())
}

fn check(name: &str, expected: &str) {
    let marker = format!("<!-- codes: {name} -->\n");
    let written = DOCUMENT.split_once(&marker).and_then(|(_, rest)| rest.split_once("<!-- end of codes -->"));
    let written = written.map(|(table, _)| table.trim());
    assert_eq!(written, Some(expected.trim()), "docs/format.md must have this table behind {marker}{expected}");
}

#[test]
fn the_table_of_rejections_is_the_source() {
    check("rejection", &table(Rejection::ALL.iter().map(|one| (one.code(), one.name().to_owned(), one.text()))));
}

#[test]
fn the_table_of_reasons_is_the_source() {
    let own = (0..=u8::MAX).filter_map(Reason::from_code).filter(|reason| !matches!(reason, Reason::Refused(_)));
    check("reason", &table(own.map(|one| (one.code(), format!("{one:?}"), one.text()))));
}

#[test]
fn the_table_of_refusals_is_the_source() {
    check("refusal", &table(refusals().into_iter().map(|one| (one.code(), format!("{one:?}"), one.text()))));
}

#[test]
fn every_code_belongs_to_one_name_only() {
    let images = Rejection::ALL.iter().map(|one| one.code());
    let reasons = (0..=u8::MAX).filter_map(Reason::from_code).filter(|one| !matches!(one, Reason::Refused(_)));
    let mut codes: Vec<u8> = images.chain(reasons.map(Reason::code)).chain(refusals().into_iter().map(Refusal::code)).collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count);
}

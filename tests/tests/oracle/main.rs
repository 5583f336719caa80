//! Our codec against an independent reader, which was written in Python from the documents (`tests/oracle`): the same verdict on every input, and the
//! same values from every accepted one.

mod bundles;
mod case;
mod driver;
mod dump;
mod flips;
mod forge;
mod found;
mod headers;
mod journal_flips;
mod privilege;
mod published;
mod quick;
mod records;
mod shapes;
mod wire;

use std::env;
use std::thread;
use std::time::Instant;

use twinslot_bootloader::rejection::Rejection as R;
use twinslot_tests::random::Random;

use crate::case::Case;
use crate::driver::{Tally, compare};
use crate::shapes::Keys;

/// Where all chance comes from.
const SEED: u64 = 0x0054_5749_4e53_4c4f;

/// How many oracles run side by side.
const WORKERS: usize = 2;

/// Refusals that no header, chunk table, index or chunk alone can cause, and why.
const OUT_OF_REACH: [(R, &str); 13] = [
    (R::VectorTableMisaligned, "placing: what VTOR asks for on the board"),
    (R::ForbiddenCommandLine, "loading: a part's bytes"),
    (R::CommandLineTooLong, "loading: a part's bytes"),
    (R::RangeConflict, "placing: the board's memory"),
    (R::RangeOutsideRam, "placing: the board's memory"),
    (R::DigestMismatch, "loading: a part's bytes"),
    (R::KernelClaimsMore, "loading: a part's bytes"),
    (R::WrongKernel, "loading: a part's bytes"),
    (R::Unreadable, "the storage"),
    (R::Overflow, "no two numbers below 2^48 overflow a u64"),
    (R::TooManyRevocations, "the writer: the journal's state"),
    (R::NotTheArmedImage, "the boot: the journal's state"),
    (R::UnusableDeviceTree, "loading: a part's bytes"),
];

/// Whether everything is asked for, as CI does, and not what an ordinary run has time for.
fn is_full() -> bool {
    env::var_os("TWINSLOT_FULL").is_some()
}

/// All cases of a run: the systematic ones, then random ones up to the number asked for.
fn cases(keys: &Keys, worker: usize, total: usize) -> impl Iterator<Item = Case> + Send {
    let shapes = (total / 5_000).max(1) as u64;
    let headers = (0..shapes).flat_map(move |seed| headers::systematic(keys, SEED ^ seed));
    let records = (0..shapes).flat_map(|seed| records::systematic(SEED ^ seed));
    let systematic = headers.chain(records).chain(records::phases()).chain(bundles::systematic(keys));
    let random = (0..).map(move |number| random_case(keys, number));
    systematic.chain(random).take(total).skip(worker).step_by(WORKERS)
}

fn random_case(keys: &Keys, number: u64) -> Case {
    let mut random = Random::new(SEED ^ (number << 20));
    let mut case = match random.below(20) {
        0 => bundles::random_case(keys, &mut random),
        1 => bundles::random_index(&mut random),
        2 => bundles::random_anchor(&mut random),
        3..8 => records::random_case(&mut random),
        _ => headers::random_case(keys, &mut random),
    };
    case.label = format!("random case {number}: {}", case.label);
    case
}

#[test]
fn our_codec_and_the_oracle_agree_on_every_input() {
    let total = if is_full() { 100_000 } else { 10_000 };
    let begun = Instant::now();
    let mut tally = Tally::default();
    let keys = Keys::new();
    thread::scope(|scope| {
        let keys = &keys;
        let workers: Vec<_> = (0..WORKERS).map(|worker| scope.spawn(move || compare(cases(keys, worker, total), Case::ours))).collect();
        for worker in workers {
            tally.add(worker.join().expect("a worker that ends"));
        }
    });
    println!("seed {SEED:#x}, {} cases in {:.1} s: {:?}", tally.cases(), begun.elapsed().as_secs_f32(), tally.codes);
    tally.assert_agreement();
    assert_eq!(tally.cases(), total as u64);
    assert_every_code_occurred(&tally, if is_full() { 40 } else { 4 });
}

/// A new code that nobody made a case for fails here, and so does a case that no longer reaches its code.
fn assert_every_code_occurred(tally: &Tally, least: u64) {
    let count = |kinds: &[&'static str], code: u8| kinds.iter().filter_map(|kind| tally.codes.get(&(*kind, code))).sum::<u64>();
    for rejection in R::ALL.iter().copied() {
        let occurred = count(&["header", "bundle", "index"], rejection.code());
        let reason = OUT_OF_REACH.iter().find(|(other, _)| *other == rejection).map(|(_, reason)| reason);
        let name = rejection.name();
        match reason {
            None => assert!(occurred >= least, "{name} occurred {occurred} times, not {least}"),
            Some(reason) => assert_eq!(occurred, 0, "{name} occurred, and is said to be out of reach: {reason}"),
        }
    }
    for kind in ["header", "bundle", "index", "anchor", "record"] {
        assert!(count(&[kind], 0) >= 10 * least, "too few of kind {kind} were accepted");
    }
    for kind in ["anchor", "record"] {
        assert!(count(&[kind], 255) >= 10 * least, "too few of kind {kind} were refused");
    }
}

/// A reader that takes any counter, however far below the floor: the comparison must tell.
#[test]
fn a_reader_that_forgets_the_floor_is_found_out() {
    let forgetful = |case: &Case| match case.ours() {
        refused if refused == R::BelowFloor.code().to_string() => "0 accepted".to_owned(),
        other => other,
    };
    let keys = Keys::new();
    let tally = compare((0..300).map(|number| random_case(&keys, number)), forgetful);
    assert!(!tally.disagreements.is_empty());
}

//! What the comparison found: each case in which our codec and the documents did not say the same.

use twinslot_bootloader::image::bundle;
use twinslot_bootloader::journal::{Policy, Record, State};
use twinslot_bootloader::rejection::Rejection;

use crate::{records, wire};

/// Sequences begin at 1. Our codec took a whole record with sequence 0, which nobody writes, for a valid one.
#[test]
fn a_record_with_sequence_0_is_torn() {
    let fields = wire::state(&State::new(0));
    assert_eq!(Record::decode(&records::record(0, &fields), &Policy::DEFAULT), None);
    assert!(Record::decode(&records::record(1, &fields), &Policy::DEFAULT).is_some());
}

/// What does not begin with the magic is no bundle. Our codec called fewer than 8 bytes a bundle of the wrong length.
#[test]
fn what_is_shorter_than_the_magic_is_not_a_bundle() {
    for length in 0..8 {
        assert_eq!(bundle::header_bytes(&b"TWINBNDL"[..length]), Err(Rejection::WrongBundleMagic));
    }
    assert_eq!(bundle::header_bytes(b"TWINBNDL"), Err(Rejection::BundleLengthWrong));
}

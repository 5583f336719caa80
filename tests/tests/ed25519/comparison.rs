//! The verifier against a second implementation of the curve, ed25519-dalek, class by class.

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_dalek::VerifyingKey;
use twinslot_bootloader::crypto::is_strong_key;

use crate::classes::{Accepted, CLASSES, Class};
use crate::{judge, verify};

/// Signatures of each class in an ordinary run and in a full one, which has 100,000 in all.
const EACH: [usize; 2] = [48, 4_000];

const WORKERS: usize = 2;

#[test]
fn random_and_mutated_signatures_are_judged_as_by_verify_strict() {
    let extent = usize::from(std::env::var_os("TWINSLOT_FULL").is_some());
    let begun = Instant::now();
    let waiting = Mutex::new(CLASSES.iter());
    let next = || waiting.lock().expect("no worker has panicked").next();
    let counted = thread::scope(|scope| {
        let count = || std::iter::from_fn(next).map(|class| compare(class, extent)).sum::<usize>();
        let workers = [(); WORKERS].map(|()| scope.spawn(count));
        workers.into_iter().map(|worker| worker.join().expect("a worker that ends")).sum::<usize>()
    });
    println!("{counted} signatures in {:.1} s", begun.elapsed().as_secs_f32());
    assert_eq!(counted, [1_200, 100_000][extent], "a class is missing or has shrunk");
}

/// Judges the signatures of a class twice and counts the verdicts; how many there were.
fn compare(class: &Class, extent: usize) -> usize {
    let each = EACH[extent];
    let (mut accepted, mut refused) = (0, 0);
    for (number, signed) in class.signatures(each).enumerate() {
        let verdict = verify(&signed.key, &signed.message, &signed.signature);
        let theirs = judge(&signed.key, &signed.message, &signed.signature);
        assert_eq!(verdict, theirs, "{}, number {number}: {signed:02x?}", class.name);
        if verdict { accepted += 1 } else { refused += 1 }
    }
    let expected = match class.accepted {
        Accepted::All => each,
        Accepted::None => 0,
        Accepted::Some(by_extent) => by_extent[extent],
    };
    assert_eq!((accepted, refused), (expected, each - expected), "accepted and refused: {}", class.name);
    each
}

/// The one rule in which the two differ, and why no signature shows it: of the encodings with y >= p some are points to ed25519-dalek, none of them a
/// key to the verifier.
#[test]
fn a_key_that_is_not_canonical_is_one_for_dalek_and_none_for_the_verifier() {
    let mut strong_for_dalek = 0;
    for (low, sign) in (0xed..=0xff).flat_map(|low| [(low, 0x7f), (low, 0xff)]) {
        let mut key = [0xff; 32];
        (key[0], key[31]) = (low, sign);
        assert!(!is_strong_key(&key));
        if VerifyingKey::from_bytes(&key).is_ok_and(|key| !key.is_weak()) {
            strong_for_dalek += 1;
            let canonical = CompressedEdwardsY(key).decompress().expect("a point").compress().0;
            assert!(canonical != key && is_strong_key(&canonical), "the same point has a canonical encoding, which may be a key");
        }
    }
    assert_eq!(strong_for_dalek, 20);
}

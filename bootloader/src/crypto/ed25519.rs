//! Strict Ed25519 over salty's curve arithmetic.
//!
//! salty's own `verify` accepts far more than RFC 8032 asks for (S + kL, small-order points). This one asks for canonical S, A and R, refuses points
//! of small order, and checks the cofactorless equation by recomputing R. Everything here is public, so nothing needs constant time: the two
//! multiplications share their doublings (Straus), which more than halves the work, and the hash is reduced bit by bit.

use core::hint::black_box;

use salty::{CompressedY, EdwardsPoint};

use super::{Point, PublicKey, Signature, sha512};

/// An integer below 2^256, least significant word first.
type Scalar = [u32; 8];

/// L = 2^252 + 27742317777372353535851937790883648493. Source: RFC 8032 section 5.1.
const ORDER: Scalar = [0x5cf5_d3ed, 0x5812_631a, 0xa2f7_9cd6, 0x14de_f9de, 0, 0, 0, 0x1000_0000];

/// p = 2^255 - 19. Source: RFC 8032 section 5.1.
const FIELD_PRIME: Scalar = [0xffff_ffed, u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX, 0x7fff_ffff];

/// The base point, encoded: its y coordinate is 4/5. Source: RFC 8032 section 5.1.
const BASE: Point = {
    let mut base = [0x66; 32];
    base[0] = 0x58;
    base
};

/// The lesser y coordinate of the points of order 8; the other one is p minus it.
const ORDER_EIGHT: Scalar = [0x8f95_e826, 0xb027_b2c2, 0x89f4_c345, 0xf098_eff2, 0x05ac_dfd5, 0x3933_c6d3, 0x8802_38b1, 0x05fc_536d];

/// Whether a public key may stand in a trust anchor: canonical and not of small order, which includes the all-zero key.
#[must_use]
pub fn is_strong_key(key: &PublicKey) -> bool {
    is_strong_point(key)
}

/// Whether a public key is a point of the curve at all. Costly; a key that is not one can never accept a signature, so tools ask and loaders need
/// not.
#[must_use]
pub fn is_on_curve(key: &PublicKey) -> bool {
    CompressedY(*key).decompressed().is_ok()
}

/// The point that R must be, by the strict rules of [`super::Crypto::recompute`].
#[must_use]
pub fn recompute_strict(key: &PublicKey, message: &[u8], signature: &Signature) -> Option<Point> {
    let [r, s] = halves(signature);
    let s = words(s);
    if !subtract(&mut s.clone(), &ORDER) || !is_strong_point(r) || !is_strong_point(key) {
        return None;
    }
    let (Ok(public), Ok(base)) = (CompressedY(*key).decompressed(), CompressedY(BASE).decompressed()) else {
        return None;
    };
    let k = challenge(r, key, message);
    if k != challenge(black_box(r), key, message) {
        return None;
    }
    Some(combine([(&s, &base), (&k, &core::ops::Neg::neg(&public))]).compressed().0)
}

/// H(R, A, M) modulo L. Whoever prepares a signature for a hash that a fault has cut short meets a second one: it is computed twice.
#[inline(never)]
fn challenge(r: &Point, key: &PublicKey, message: &[u8]) -> Scalar {
    reduce(&sha512::digest(&[r, key, message]))
}

/// R of a signature.
#[must_use]
pub fn point_of(signature: &Signature) -> Point {
    *halves(signature)[0]
}

/// R and S.
fn halves(signature: &Signature) -> [&[u8; 32]; 2] {
    const ZERO: [u8; 32] = [0; 32];
    [signature.first_chunk().unwrap_or(&ZERO), signature.last_chunk().unwrap_or(&ZERO)]
}

/// Canonical (y < p) and not one of the eight small-order points. Says nothing about being on the curve.
fn is_strong_point(point: &[u8; 32]) -> bool {
    let mut y = words(point);
    let [.., high] = &mut y;
    *high &= 0x7fff_ffff;
    let mut mirrored = FIELD_PRIME;
    !subtract(&mut mirrored, &y) && !is_weak(&y) && !is_weak(&mirrored)
}

/// Whether this is the lesser y coordinate of a point of small order: 1 (order 1; the point of order 2 has p - 1), 0 (order 4, and p is no canonical
/// form of it) or that of order 8.
#[inline(never)]
fn is_weak(y: &Scalar) -> bool {
    matches!(y, [0 | 1, 0, 0, 0, 0, 0, 0, 0]) || *y == ORDER_EIGHT
}

fn words(bytes: &[u8; 32]) -> Scalar {
    let mut words = [0; 8];
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*chunk);
    }
    words
}

/// Takes b from a, modulo 2^256; whether that borrowed.
#[inline(never)]
fn subtract(a: &mut Scalar, b: &Scalar) -> bool {
    let mut borrow = false;
    for (word, subtrahend) in a.iter_mut().zip(b) {
        (*word, borrow) = word.borrowing_sub(*subtrahend, borrow);
    }
    borrow
}

/// A 512-bit little-endian integer modulo L, by 512 doublings.
fn reduce(wide: &[u8; 64]) -> Scalar {
    let mut rest: Scalar = [0; 8];
    for byte in wide.iter().rev() {
        for bit in (0..8).rev() {
            let mut carry = u32::from(byte >> bit) & 1;
            for word in &mut rest {
                let next = *word >> 31;
                *word = *word << 1 | carry;
                carry = next;
            }
            let mut reduced = rest;
            if !subtract(&mut reduced, &ORDER) {
                rest = reduced;
            }
        }
    }
    rest
}

/// s P + k Q, both scalars below 2^253.
#[expect(clippy::arithmetic_side_effects, reason = "the addition of points has no side effects")]
fn combine([(s, p), (k, q)]: [(&Scalar, &EdwardsPoint); 2]) -> EdwardsPoint {
    let both = p + q;
    let mut sum = p + &core::ops::Neg::neg(p);
    for (s_word, k_word) in s.iter().zip(k).rev() {
        for bit in (0..32).rev() {
            sum = &sum + &sum;
            let term = match ((s_word >> bit) & 1, (k_word >> bit) & 1) {
                (0, 0) => continue,
                (1, 0) => p,
                (0, _) => q,
                _ => &both,
            };
            sum = &sum + term;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_those_of_rfc_8032() {
        let halves = |scalar: Scalar| {
            let half = |words: &[u32]| words.iter().rev().fold(0_u128, |sum, word| sum << 32 | u128::from(*word));
            (half(&scalar[4..]), half(&scalar[..4]))
        };
        assert_eq!(halves(ORDER), (1 << 124, 27_742_317_777_372_353_535_851_937_790_883_648_493));
        assert_eq!(halves(FIELD_PRIME), (u128::MAX >> 1, u128::MAX - 18));
        assert!(BASE.iter().enumerate().all(|(at, byte)| *byte == if at == 0 { 0x58 } else { 0x66 }));
    }

    fn verify_strict(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        recompute_strict(key, message, signature) == Some(point_of(signature))
    }

    #[test]
    fn what_breaks_a_strict_rule_has_no_point() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            assert_eq!(recompute_strict(&[0; 32], b"", &[byte; 64]), None);
        }
    }

    #[test]
    fn a_signature_of_another_library_holds_and_its_changes_do_not() {
        use ed25519_dalek::{Signer, SigningKey};
        for seed in 0..8 {
            let key = SigningKey::from_bytes(&[seed; 32]);
            let message = [seed; 732];
            let signature = key.sign(&message).to_bytes();
            let public = key.verifying_key().to_bytes();
            assert!(verify_strict(&public, &message, &signature));
            for bit in [0, 7, 255, 256, 300, 504] {
                let mut changed = signature;
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(!verify_strict(&public, &message, &changed));
            }
        }
    }
}

//! Vectors made here, with ed25519-dalek's `verify_strict` as judge. What each group says must hold is checked by how many of it are valid.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity as _;
use ed25519_dalek::{Signer as _, SigningKey};

use super::points::{challenge, not_canonical, plus_order, signature, small_order, times_base};
use super::random::Random;
use super::vector::{Group, Vector};

/// Key pairs of the mutated group.
const ROUNDS: usize = 100;

/// Messages of the mixed-order group.
const MESSAGES: u8 = 32;

pub(crate) fn groups() -> Result<Vec<Group>, String> {
    Ok(vec![
        Group::new("mutated", mutated(), ROUNDS)?,
        Group::new("s-plus-order", s_plus_order(), 1)?,
        Group::new("small-order", points_of_small_order(), 0)?,
        Group::new("not-canonical", encodings_that_are_not_canonical(), 0)?,
        Group::new("base-point-sums", base_point_sums(), 50)?,
        mixed_order()?,
    ])
}

/// A signature as it is, then with a bit flipped in R, S, key and message. Lengths reach over several blocks of SHA-512.
fn mutated() -> Vec<Vector> {
    let mut random = Random::new("mutated");
    let mut round = |_| {
        let signing = SigningKey::from_bytes(&random.seed());
        let length = 1 + random.below(400);
        let message = random.bytes(length);
        let (key, good) = (signing.verifying_key().to_bytes(), signing.sign(&message).to_bytes());
        let (mut in_r, mut in_s, mut in_key, mut in_message) = (good, good, key, message.clone());
        random.flip(&mut in_r[..32]);
        random.flip(&mut in_s[32..]);
        random.flip(&mut in_key);
        random.flip(&mut in_message);
        [
            Vector::judged(key, message.as_slice(), good),
            Vector::judged(key, message.as_slice(), in_r),
            Vector::judged(key, message.as_slice(), in_s),
            Vector::judged(in_key, message.as_slice(), good),
            Vector::judged(key, in_message, good),
        ]
    };
    (0..ROUNDS).flat_map(&mut round).collect()
}

/// S as it is, S + kL for every k that fits, and S = L. RFC 8032, section 5.1.7: S out of range makes the signature invalid.
fn s_plus_order() -> Vec<Vector> {
    let signing = SigningKey::from_bytes(&[5; 32]);
    let good = signing.sign(b"malleable");
    let sums = std::iter::successors(Some(*good.s_bytes()), plus_order).chain(plus_order(&[0; 32]));
    sums.map(|s| Vector::judged(signing.verifying_key().to_bytes(), b"malleable", signature(good.r_bytes(), &s))).collect()
}

/// Each point of small order as key, with R = the point and R = the identity, and as R under a good key.
fn points_of_small_order() -> Vec<Vector> {
    let signing = SigningKey::from_bytes(&[6; 32]);
    let good_key = signing.verifying_key().to_bytes();
    let points: Vec<[u8; 32]> = small_order().iter().map(|point| point.compress().0).collect();
    let identity = points[0];
    let with = |point: [u8; 32], message: u8| {
        let s = *signing.sign(&[message]).s_bytes();
        [
            Vector::judged(point, [message], signature(&point, &[0; 32])),
            Vector::judged(point, [message], signature(&identity, &[0; 32])),
            Vector::judged(good_key, [message], signature(&point, &s)),
        ]
    };
    points.iter().flat_map(|point| (0..8).flat_map(move |message| with(*point, message))).collect()
}

/// Each encoding with y >= p as key and as R. RFC 8032, section 5.1.3: decoding fails.
fn encodings_that_are_not_canonical() -> Vec<Vector> {
    let signing = SigningKey::from_bytes(&[9; 32]);
    let good_key = signing.verifying_key().to_bytes();
    let good = signing.sign(b"r");
    let with = |point| [Vector::judged(point, b"r", good.to_bytes()), Vector::judged(good_key, b"r", signature(&point, good.s_bytes()))];
    not_canonical().flat_map(with).collect()
}

/// Keys and nonces that coincide with small multiples of the base point: sums of equal and of opposite points occur inside the check.
fn base_point_sums() -> Vec<Vector> {
    let scalars = [Scalar::ONE, Scalar::from(2_u8), Scalar::from(3_u8), -Scalar::ONE, -Scalar::from(2_u8)];
    let pairs = scalars.iter().flat_map(|secret| scalars.iter().map(move |nonce| (secret, nonce)));
    let with = |(secret, nonce): (&Scalar, &Scalar), message: u8| {
        let (key, r) = (times_base(secret), times_base(nonce));
        let good = signature(&r, (nonce + challenge(&r, &key, &[message]) * secret).as_bytes());
        let mut bad = good;
        bad[32] ^= 1;
        [Vector::judged(key, [message], good), Vector::judged(key, [message], bad)]
    };
    pairs.flat_map(|pair| (0..2).flat_map(move |message| with(pair, message))).collect()
}

/// A key with a part of order 8, held to the equation without cofactor: valid exactly when the challenge makes that part vanish.
fn mixed_order() -> Result<Group, String> {
    let torsion = small_order()[1];
    let (secret, nonce) = (Scalar::from_bytes_mod_order([7; 32]), Scalar::from_bytes_mod_order([8; 32]));
    let key = (EdwardsPoint::mul_base(&secret) + torsion).compress().0;
    let r = times_base(&nonce);
    let vanishes = |message: &u8| challenge(&r, &key, &[*message]) * torsion == EdwardsPoint::identity();
    let with = |message: u8| {
        let s = nonce + challenge(&r, &key, &[message]) * secret;
        Vector::judged(key, [message], signature(&r, s.as_bytes()))
    };
    Group::new("mixed-order", (0..MESSAGES).map(with).collect(), (0..MESSAGES).filter(vanishes).count())
}

/// A good signature that is said to be bad, and a bad one that is said to be good: a program that notices neither notices nothing.
pub(crate) fn wrong_on_purpose() -> Group {
    let signing = SigningKey::from_bytes(&[10; 32]);
    let key = signing.verifying_key().to_bytes();
    let good = signing.sign(b"good").to_bytes();
    let with = |message: &[u8]| {
        let vector = Vector::judged(key, message, good);
        Vector { is_valid: !vector.is_valid, ..vector }
    };
    Group { name: "wrong-on-purpose", vectors: vec![with(b"good"), with(b"bad")] }
}

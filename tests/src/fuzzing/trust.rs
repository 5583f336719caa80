//! Any text as a trust file, and any keys as one.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use ed25519_dalek::VerifyingKey;
use twinslot_bootloader::crypto::PublicKey;
use twinslot_config::Trust;
use twinslot_config::test_keys::is_published;
use twinslot_config::trust::TrustKey;

use super::draw::Draw;
use super::message::assert_fit;
use crate::image::Signer;

/// What a message about a trust file may be about.
const THINGS: [&str; 4] = ["line ", "key", "threshold", "name"];

/// Good keys to draw from.
static GOOD: LazyLock<Vec<PublicKey>> = LazyLock::new(|| (1..=9).map(|number| Signer::ed25519(number).public()).collect());

/// Text as a trust file; bytes that are no text as the keys of one. Accepted: the keys are points of large order, distinct and as many as the
/// threshold asks for, by another library's word; the file that is written of them is the same trust. Refused: the message is fit to print, and keys
/// are refused only when a rule is broken.
///
/// # Panics
/// When a property does not hold.
pub fn trust(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        let (keys, threshold, floor) = drawn(&mut Draw::new(&data[1..]));
        let accepted = judge(&notation(&keys, threshold, floor));
        assert_eq!(accepted, broken_rule(&keys, threshold).is_none(), "{:?}: {threshold} of {keys:02x?}", broken_rule(&keys, threshold));
        return;
    };
    judge(text);
}

fn judge(text: &str) -> bool {
    match Trust::parse(text) {
        Ok(trust) => {
            assert_sound(&trust);
            true
        }
        Err(error) => {
            assert_fit(&error.to_string(), "trust file: ", &THINGS, text);
            false
        }
    }
}

fn assert_sound(trust: &Trust) {
    assert_eq!(broken_rule(trust.keys(), trust.threshold()), None);
    for text in [trust.to_toml(), notation(trust.keys(), trust.threshold(), trust.floor())] {
        assert_eq!(Trust::parse(&text).as_ref().ok(), Some(trust), "the same values in another notation: {text}");
    }
    let anchor = trust.anchor();
    let anchored: Vec<PublicKey> = anchor.keys().iter().map(|key| key.public).collect();
    let named: Vec<PublicKey> = trust.keys().iter().map(|key| key.public).collect();
    assert_eq!((anchored, anchor.threshold(), anchor.floor()), (named, trust.threshold(), trust.floor()));
    assert!(trust.published_test_keys().eq(trust.keys().iter().filter(|key| is_published(&key.public))));
}

/// The values as nobody would write them.
fn notation(keys: &[TrustKey], threshold: u8, floor: u32) -> String {
    let mut text = format!("# {} keys\nfloor = {floor:#x}\r\nkey = [", keys.len());
    for key in keys {
        let name = key.name.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = write!(text, "\n  {{ public = '{}', name = \"{name}\" }}, # one", base64(&key.public));
    }
    let _ = write!(text, "\n]\nthreshold = {threshold:#b}");
    text
}

/// Source: RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Keys of which some may never be trusted.
fn drawn(draw: &mut Draw<'_>) -> (Vec<TrustKey>, u8, u32) {
    let threshold = draw.byte() % 10;
    let floor = u32::from_le_bytes(draw.bytes());
    let mut keys = Vec::new();
    while !draw.is_empty() && keys.len() < 10 {
        let choice = draw.byte();
        let public = match choice % 16 {
            15 => draw.bytes(),
            14 => nearly_zero(draw),
            good => GOOD[usize::from(good) % GOOD.len()],
        };
        let name = if choice < 240 { format!("key {}", keys.len()) } else { "one".repeat(usize::from(choice - 240) * 2) };
        keys.push(TrustKey { name, public });
    }
    (keys, threshold, floor)
}

/// Where points of small order and encodings that are not canonical lie.
fn nearly_zero(draw: &mut Draw<'_>) -> PublicKey {
    let [fill, first, last] = draw.bytes();
    let mut public = [if Draw::is_odd(fill) { 0xff } else { 0 }; 32];
    (public[0], public[31]) = (first, last);
    public
}

/// The first rule that does not hold.
fn broken_rule(keys: &[TrustKey], threshold: u8) -> Option<&'static str> {
    let names: BTreeSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    let publics: BTreeSet<&PublicKey> = keys.iter().map(|key| &key.public).collect();
    let rules = [
        ("1 to 8 keys", (1..=8).contains(&keys.len())),
        ("names", names.len() == keys.len() && names.iter().all(|name| is_name(name))),
        ("keys that nobody and not anybody can sign for", keys.iter().all(|key| is_sound(&key.public))),
        ("distinct keys", publics.len() == keys.len()),
        ("threshold", (1..=keys.len()).contains(&usize::from(threshold))),
    ];
    rules.into_iter().find(|(_, holds)| !holds).map(|(name, _)| name)
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// A point of the curve, canonically encoded, of large order: as ed25519-dalek decodes it.
fn is_sound(public: &PublicKey) -> bool {
    let canonical = public[31] & 0x7f < 0x7f || public[0] < 0xed || public[1..31].iter().any(|byte| *byte != 0xff);
    VerifyingKey::from_bytes(public).is_ok_and(|key| canonical && !key.is_weak())
}

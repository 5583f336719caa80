//! The trust file: the owner's public keys, a threshold and a security floor.
//!
//! A [`Trust`] exists only when the verifier accepts it as a [`TrustAnchor`], so what is written, compiled in or verified against is always usable.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use twinslot_bootloader::{
    anchor::{AnchorError, TrustAnchor},
    crypto::{Builtin, PublicKey, is_on_curve, is_strong_key},
};

use crate::{
    excerpt::{Excerpt, SyntaxError},
    test_keys,
};

/// The longest key name.
const NAME_LIMIT: usize = 64;

/// A vetted trust file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    threshold: u8,
    floor: u32,
    keys: Vec<TrustKey>,
}

/// A public key and what people call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustKey {
    /// The name: informative, never trusted.
    pub name: String,
    /// The raw Ed25519 public key.
    pub public: PublicKey,
}

impl Trust {
    /// Vets keys and threshold.
    ///
    /// # Errors
    /// A name can not be used, or the verifier would not accept these keys with this threshold.
    pub fn new(keys: Vec<TrustKey>, threshold: u8, floor: u32) -> Result<Self, TrustError> {
        for (index, key) in keys.iter().enumerate() {
            check_name(&key.name, keys.get(..index).unwrap_or_default())?;
            if !is_strong_key(&key.public) || !is_on_curve(&key.public) {
                return Err(TrustError::WeakKey { name: key.name.clone() });
            }
        }
        let trust = Self { threshold, floor, keys };
        trust.build_anchor()?;
        Ok(trust)
    }

    /// Reads and vets a trust file.
    ///
    /// # Errors
    /// The file can not be read, is not a trust file, or the verifier would not accept it.
    pub fn read(path: &Path) -> Result<Self, TrustError> {
        let bytes = std::fs::read(path).map_err(|source| TrustError::Read { path: path.to_owned(), source })?;
        Self::parse(std::str::from_utf8(&bytes)?)
    }

    /// Parses and vets the text of a trust file.
    ///
    /// # Errors
    /// The text is not a trust file, or the verifier would not accept it.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        let file: TrustFile = toml::from_str(text).map_err(|error| SyntaxError::new(&error, text))?;
        let keys = file.key.into_iter().map(decode_key).collect::<Result<_, _>>()?;
        Self::new(keys, file.threshold, file.floor)
    }

    /// The text of a trust file with these values.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = format!("threshold = {}\nfloor = {}\n", self.threshold, self.floor);
        for key in &self.keys {
            let name = toml::Value::String(key.name.clone());
            let public = STANDARD.encode(key.public);
            let written = write!(text, "\n[[key]]\nname = {name}\npublic = \"{public}\"\n");
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        }
        text
    }

    /// How many distinct keys must sign.
    #[must_use]
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The security counter below which nothing runs.
    #[must_use]
    pub const fn floor(&self) -> u32 {
        self.floor
    }

    /// The keys, in the order of the file.
    #[must_use]
    pub fn keys(&self) -> &[TrustKey] {
        &self.keys
    }

    /// The anchor that a loader with this trust verifies against.
    ///
    /// # Panics
    /// Never: the same keys made an anchor when this value was built.
    #[must_use]
    pub fn anchor(&self) -> TrustAnchor {
        self.build_anchor().expect("a trust is only built from keys that make an anchor")
    }

    /// The keys whose private halves are published.
    pub fn published_test_keys(&self) -> impl Iterator<Item = &TrustKey> {
        self.keys.iter().filter(|key| test_keys::is_published(&key.public))
    }

    fn build_anchor(&self) -> Result<TrustAnchor, AnchorError> {
        let keys: Vec<PublicKey> = self.keys.iter().map(|key| key.public).collect();
        TrustAnchor::new(&keys, self.threshold, self.floor, &mut Builtin)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustFile {
    threshold: u8,
    #[serde(default)]
    floor: u32,
    #[serde(default)]
    key: Vec<KeyTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    name: String,
    public: String,
}

fn decode_key(table: KeyTable) -> Result<TrustKey, TrustError> {
    let KeyTable { name, public } = table;
    let bytes = STANDARD.decode(&public).ok();
    match bytes.and_then(|bytes| PublicKey::try_from(bytes).ok()) {
        Some(public) => Ok(TrustKey { name, public }),
        None => Err(TrustError::NotAKey { name }),
    }
}

fn check_name(name: &str, earlier: &[TrustKey]) -> Result<(), TrustError> {
    if name.is_empty() || name.len() > NAME_LIMIT || name.chars().any(char::is_control) {
        return Err(TrustError::Name { len: name.len(), limit: NAME_LIMIT });
    }
    if earlier.iter().any(|key| key.name == name) {
        return Err(TrustError::RepeatedName { name: name.to_owned() });
    }
    Ok(())
}

/// A trust file that can not be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file could not be read.
    #[error("trust file {}: can not be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not text.
    #[error("trust file: not UTF-8 text, but TOML is: {0}")]
    NotText(#[from] std::str::Utf8Error),
    /// The text is not the TOML of a trust file.
    #[error("trust file: {0}")]
    Syntax(#[from] SyntaxError),
    /// A key name that is empty, too long or does not print.
    #[error("trust file: a key's name is {len} bytes or has control characters; give it 1 to {limit} printable bytes")]
    Name {
        /// Its length.
        len: usize,
        /// The longest one allowed.
        limit: usize,
    },
    /// Two keys of one name.
    #[error("trust file: the name {} stands twice; rename one of the keys", Excerpt(name))]
    RepeatedName {
        /// The name.
        name: String,
    },
    /// A public key that is not 32 bytes of base64.
    #[error("trust file: key {} is not the base64 of 32 bytes; take it from `hosttool trust`", Excerpt(name))]
    NotAKey {
        /// The key's name.
        name: String,
    },
    /// A public key that anybody or nobody can sign for.
    #[error(
        "trust file: key {} is all zero, of small order, not canonical or not on the curve: anybody or nobody could sign for it; make a new one",
        Excerpt(name)
    )]
    WeakKey {
        /// The key's name.
        name: String,
    },
    /// The keys and the threshold do not make an anchor.
    #[error("trust file: {source}")]
    Anchor {
        /// Why.
        #[from]
        source: AnchorError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032 section 7.1, public keys of TEST 1 and TEST 2, base64.
    const ONE: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const TWO: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

    fn file(threshold: u8, keys: &[(&str, &str)]) -> String {
        let keys = keys.iter().map(|(name, public)| format!("[[key]]\nname = \"{name}\"\npublic = \"{public}\"\n"));
        format!("threshold = {threshold}\n{}", keys.collect::<String>())
    }

    fn error(text: &str) -> String {
        Trust::parse(text).expect_err("the trust file is wrong").to_string()
    }

    #[test]
    fn a_trust_file_survives_writing_and_reading() {
        let keys = Trust::parse(&file(2, &[("plant \\\"east\\\"", ONE), ("two", TWO)])).expect("two good keys");
        assert_eq!(Trust::parse(&keys.to_toml()).expect("what was written"), keys);
        assert_eq!((keys.threshold(), keys.floor(), keys.anchor().keys().len()), (2, 0, 2));
    }

    #[test]
    fn every_unusable_trust_file_has_a_named_error() {
        let zero = STANDARD.encode([0; 32]);
        assert!(error(&file(1, &[("zero", &zero)])).contains("key \"zero\" is all zero"));
        assert!(error(&file(1, &[("a", "AAAA")])).contains("key \"a\" is not the base64 of 32 bytes"));
        assert!(error(&file(1, &[("a", ONE), ("a", TWO)])).contains("the name \"a\" stands twice"));
        assert!(error(&file(1, &[("a", ONE), ("b", ONE)])).contains("a key stands twice"));
        assert!(error(&file(0, &[("a", ONE)])).contains("threshold 0 would accept unsigned images"));
        assert!(error(&file(2, &[("a", ONE)])).contains("the threshold is above the number of keys"));
        assert!(error(&file(1, &[])).contains("the trust anchor has no key"));
        assert!(error(&file(1, &[("", ONE)])).contains("a key's name is 0 bytes"));
        assert!(error("threshold = 1\nflour = 3").contains("unknown field `flour`"));
        assert!(error("floor = 1").contains("missing field `threshold`"));
    }
}

//! Ed25519 key files: PKCS#8 private keys, optionally encrypted, and SPKI public keys, both PEM (RFC 8410).
//!
//! Private keys never leave this module but as a [`SigningKey`], which erases itself, and never appear in a message.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::Context as _;
use ed25519_dalek::pkcs8::{KeypairBytes, spki::DecodePublicKey as _};
use ed25519_dalek::{SigningKey, VerifyingKey};
use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding, spki::EncodePublicKey as _};
use twinslot_bootloader::{
    anchor::{KeyId, key_id},
    crypto::{Builtin, PublicKey, is_on_curve, is_strong_key},
};
use twinslot_config::test_keys;
use zeroize::Zeroizing;

use crate::{refusal::Refusal, report::Failure};

/// The longest key or passphrase file that is read.
const FILE_LIMIT: u64 = 64 * 1024;

/// A secret text that erases itself.
pub type Secret = Zeroizing<String>;

/// Makes a key from the operating system's random numbers.
///
/// # Errors
/// The operating system has none.
pub fn generate() -> anyhow::Result<SigningKey> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).context("the operating system gives no random numbers")?;
    Ok(SigningKey::from_bytes(&seed))
}

/// The private key as PKCS#8 PEM; with a passphrase as PBES2 (scrypt, AES-256-CBC).
///
/// # Errors
/// Encoding failed, which no valid key does.
pub fn private_pem(key: &SigningKey, passphrase: Option<&Secret>) -> anyhow::Result<Secret> {
    let plain = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
    let pem = match passphrase {
        None => plain.to_pkcs8_pem(LineEnding::LF),
        Some(passphrase) => plain.to_pkcs8_encrypted_pem(passphrase.as_bytes(), LineEnding::LF),
    };
    pem.map_err(|error| anyhow::anyhow!("the private key can not be encoded: {error}"))
}

/// The public key as SPKI PEM.
///
/// # Errors
/// Encoding failed, which no valid key does.
pub fn public_pem(key: &VerifyingKey) -> anyhow::Result<String> {
    key.to_public_key_pem(LineEnding::LF).map_err(|error| anyhow::anyhow!("the public key can not be encoded: {error}"))
}

/// Reads a private key.
///
/// # Errors
/// The file can not be read, holds no Ed25519 key, the passphrase is missing or wrong, or the key is neither encrypted nor a published test key and
/// others than its owner may read it.
pub fn read_private(path: &Path, passphrase: Option<&Secret>) -> Result<SigningKey, Failure> {
    let pem = read_text(path)?;
    let encrypted = pem.contains("BEGIN ENCRYPTED PRIVATE KEY");
    let refuse = |reason: &str| Failure::from(Refusal::Key { path: path.to_owned(), reason: reason.to_owned() });
    match (encrypted, passphrase) {
        (true, None) => Err(refuse("the private key is encrypted: give --passphrase-file")),
        (true, Some(passphrase)) => SigningKey::from_pkcs8_encrypted_pem(&pem, passphrase.as_bytes())
            .map_err(|_| refuse("the passphrase is wrong, or the key is not Ed25519")),
        (false, _) => {
            let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| refuse("not an Ed25519 private key in PKCS#8 PEM (hosttool keygen makes one)"))?;
            if is_open_to_others(path)? && !test_keys::is_published(&key.verifying_key().to_bytes()) {
                return Err(refuse("others may read this private key, which is not encrypted: chmod 600 it, and make a new one if they did"));
            }
            Ok(key)
        }
    }
}

/// Whether the file's group or everybody may read or change it.
fn is_open_to_others(path: &Path) -> anyhow::Result<bool> {
    let metadata = std::fs::metadata(path).with_context(|| format!("{}: can not be read", path.display()))?;
    Ok(metadata.permissions().mode() & 0o077 != 0)
}

/// Reads and vets a public key.
///
/// # Errors
/// The file can not be read, holds no Ed25519 key, or a key that no anchor may have.
pub fn read_public(path: &Path) -> Result<PublicKey, Failure> {
    let pem = read_text(path)?;
    let refuse = |reason: &str| Failure::from(Refusal::Key { path: path.to_owned(), reason: reason.to_owned() });
    if pem.contains("PRIVATE KEY") {
        return Err(refuse("this is a private key: give the public one (.pub.pem)"));
    }
    let key = VerifyingKey::from_public_key_pem(&pem).map_err(|_| refuse("not an Ed25519 public key in SPKI PEM (.pub.pem)"))?.to_bytes();
    if is_strong_key(&key) && is_on_curve(&key) {
        Ok(key)
    } else {
        Err(refuse("the key is of small order or not canonical: anybody could sign for it; make a new one"))
    }
}

/// Reads a passphrase: the file's first line.
///
/// # Errors
/// The file can not be read or its first line is empty.
pub fn read_passphrase(path: &Path) -> Result<Secret, Failure> {
    let text = read_text(path)?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(Refusal::Key { path: path.to_owned(), reason: "the first line, which is the passphrase, is empty".to_owned() }.into()),
    }
}

/// The id of a public key.
#[must_use]
pub fn id_of(key: &PublicKey) -> KeyId {
    key_id(key, &mut Builtin)
}

fn read_text(path: &Path) -> Result<Secret, Failure> {
    let unreadable = || format!("{}: can not be read", path.display());
    let len = std::fs::metadata(path).with_context(unreadable)?.len();
    if len > FILE_LIMIT {
        return Err(Refusal::Key { path: path.to_owned(), reason: format!("{len} bytes are no key and no passphrase") }.into());
    }
    let bytes = Zeroizing::new(std::fs::read(path).with_context(unreadable)?);
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Refusal::Key { path: path.to_owned(), reason: "binary data: give a PEM file, or a passphrase as text".to_owned() }.into()),
    }
}

//! The test keys whose private halves are published in `qemu-boards/test-keys/`.
//!
//! Anybody can sign with them. Boards built with one say so at boot; no release image may carry or trust one.

use twinslot_bootloader::crypto::PublicKey;

/// The published public keys: base64 of the raw bytes, one a line, in the order of the file names.
const PUBLISHED: &str = include_str!("test_keys.txt");

/// Whether the private half of `key` is published.
#[must_use]
pub fn is_published(key: &PublicKey) -> bool {
    published().any(|published| published == *key)
}

/// Every published public key.
pub fn published() -> impl Iterator<Item = PublicKey> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    PUBLISHED.lines().filter_map(|line| STANDARD.decode(line).ok()?.try_into().ok())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    /// The key files are the truth: a key added there and forgotten here would pass for a release key.
    #[test]
    fn every_key_file_of_the_test_keys_folder_is_listed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../qemu-boards/test-keys");
        let files = std::fs::read_dir(&folder).expect("the folder of test keys").map(|entry| entry.expect("an entry").path());
        let in_files: BTreeSet<PublicKey> = files.filter(|path| path.to_string_lossy().ends_with(".pub.pem")).map(|path| read_spki(&path)).collect();
        assert_eq!(in_files, published().collect(), "bootloader/config/src/test_keys.txt must list exactly the keys of {}", folder.display());
        assert_eq!(published().count(), PUBLISHED.lines().count(), "every line is a key");
    }

    /// RFC 8410 section 4: the raw key is the last 32 bytes of an Ed25519 SubjectPublicKeyInfo.
    fn read_spki(path: &Path) -> PublicKey {
        let text = std::fs::read_to_string(path).expect("a key file");
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        *STANDARD.decode(body).expect("base64").last_chunk().expect("32 bytes of key")
    }
}

//! `hosttool sign`: adds one signature to a slot image, made here or elsewhere.
//!
//! A signature changes nothing but bytes 732..1024 of the file, which lie in one 512-byte sector and are written by one call: the image is never seen
//! half signed, and a 4 GiB image is signed as fast as a small one.

use std::{
    fmt,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use ed25519_dalek::Signer as _;
use serde::Serialize;
use twinslot_bootloader::{
    crypto::{Builtin, Crypto as _, PublicKey, Signature},
    image::{
        HEADER_SIZE, MAX_SIGNATURES, SIGNED_SIZE, SignatureEntry, check_format,
        draft::{DraftError, add_signature},
        manifest::NUMBER_LIMIT,
    },
};
use twinslot_config::test_keys;

use crate::{
    hex,
    image_file::{ImageFile, Use, is_release},
    keys, output,
    refusal::Refusal,
    report::{Failure, Outcome},
};

/// The sector that holds everything a signature changes.
const SECTOR: std::ops::Range<usize> = 512..HEADER_SIZE;
const _: () = assert!(SIGNED_SIZE >= SECTOR.start, "a signature must not change bytes before the sector");

/// Arguments of `hosttool sign`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("how").required(true).args(["key", "prepare", "attach"]))]
pub struct Arguments {
    /// The slot image.
    #[arg(value_name = "X.slot")]
    image: PathBuf,
    /// Sign with this private key (PKCS#8 PEM).
    #[arg(long, value_name = "K.key.pem")]
    key: Option<PathBuf>,
    /// The first line of this file decrypts the private key.
    #[arg(long, value_name = "FILE", requires = "key")]
    passphrase_file: Option<PathBuf>,
    /// Write the bytes to be signed (pure Ed25519) to --output, for a key that lives elsewhere.
    #[arg(long, requires = "output")]
    prepare: bool,
    /// Where the bytes to be signed go.
    #[arg(short, long, value_name = "TBS", requires = "prepare")]
    output: Option<PathBuf>,
    /// Add this signature (64 raw bytes) that was made elsewhere.
    #[arg(long, value_name = "SIG", requires = "public")]
    attach: Option<PathBuf>,
    /// The public key (SPKI PEM) of the signature to attach.
    #[arg(long, value_name = "PUB", requires = "attach")]
    public: Option<PathBuf>,
}

/// An image with one more signature.
#[derive(Debug, Serialize)]
pub struct Signed {
    path: PathBuf,
    key_id: String,
    signatures: usize,
    header_digest: String,
    published_test_key: bool,
}

/// Bytes that wait for a signature.
#[derive(Debug, Serialize)]
pub struct Prepared {
    path: PathBuf,
    bytes: usize,
    header_digest: String,
}

/// Signs, prepares or attaches.
///
/// # Errors
/// The image or the key is refused, or a file can not be read or written.
pub fn run(arguments: &Arguments) -> Outcome {
    change(arguments).map_err(|failure| failure.about(&arguments.image))
}

fn change(arguments: &Arguments) -> Outcome {
    match arguments {
        Arguments { key: Some(key), .. } => sign(&arguments.image, key, arguments.passphrase_file.as_deref()),
        Arguments { attach: Some(signature), public: Some(public), .. } => attach(&arguments.image, signature, public),
        Arguments { output: Some(output), .. } => prepare(&arguments.image, output),
        _ => Err(Failure::Trouble(anyhow::anyhow!("give --key, or --prepare with --output, or --attach with --public"))),
    }
}

fn sign(path: &Path, key: &Path, passphrase: Option<&Path>) -> Outcome {
    let passphrase = passphrase.map(keys::read_passphrase).transpose()?;
    let key = keys::read_private(key, passphrase.as_ref())?;
    let image = open(path, Use::Signing)?;
    let signature = key.sign(image.framed()?.signed()).to_bytes();
    add(image, &key.verifying_key().to_bytes(), signature)
}

fn prepare(path: &Path, output: &Path) -> Outcome {
    let image = open(path, Use::Reading)?;
    let signed = image.framed()?.signed();
    output::ensure_apart(output, [path])?;
    output::write(output, signed)?;
    super::done(Prepared { path: output.to_owned(), bytes: signed.len(), header_digest: hex::encode(&Builtin.digest(signed)) })
}

fn attach(path: &Path, signature: &Path, public: &Path) -> Outcome {
    let key = keys::read_public(public)?;
    let bytes = super::read_file(signature)?;
    let image = open(path, Use::Signing)?;
    let wrong = || Refusal::WrongSignature { signature: signature.to_owned(), image: path.to_owned(), key_id: hex::encode(&keys::id_of(&key)) };
    let raw = Signature::try_from(bytes).map_err(|_| wrong())?;
    if !Builtin.verify_ed25519(&key, image.framed()?.signed(), &raw) {
        return Err(wrong().into());
    }
    add(image, &key, raw)
}

/// Opens an image that a loader could accept once it is signed.
fn open(path: &Path, purpose: Use) -> Result<ImageFile, Failure> {
    let image = ImageFile::open(path, purpose)?;
    check_format(&image.manifest()?, NUMBER_LIMIT, 1)?;
    Ok(image)
}

fn add(image: ImageFile, key: &PublicKey, signature: Signature) -> Outcome {
    let entry = SignatureEntry { key: keys::id_of(key), signature };
    let published_test_key = test_keys::is_published(key);
    if published_test_key && is_release(&image.manifest()?) {
        return Err(Refusal::TestKey { what: format!("key {} for release {}", hex::encode(&entry.key), image.path().display()) }.into());
    }
    let mut header = *image.header();
    add_signature(&mut header, &entry).map_err(|error| refuse(error, &image, &entry))?;
    write_sector(&image, &header)?;
    let framed = twinslot_bootloader::image::HeaderBytes::parse(&header)?;
    super::done(Signed {
        path: image.path().to_owned(),
        key_id: hex::encode(&entry.key),
        signatures: framed.signatures().count(),
        header_digest: hex::encode(&Builtin.digest(framed.signed())),
        published_test_key,
    })
}

fn refuse(error: DraftError, image: &ImageFile, entry: &SignatureEntry) -> Failure {
    let path = image.path().to_owned();
    let refusal = match error {
        DraftError::AlreadySigned => Refusal::AlreadySigned { key_id: hex::encode(&entry.key), path },
        DraftError::NotAHeader(rejection) => Refusal::Image(rejection),
        DraftError::NoRoom | DraftError::ManifestTooLong | DraftError::ZeroEntry => Refusal::NoRoomForSignature { path },
    };
    refusal.into()
}

fn write_sector(image: &ImageFile, header: &[u8; HEADER_SIZE]) -> anyhow::Result<()> {
    let sector = header.get(SECTOR).unwrap_or_default();
    let written = image.file().write_all_at(sector, SECTOR.start as u64).and_then(|()| image.file().sync_data());
    written.with_context(|| format!("{}: can not be written", image.path().display()))
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warning = if self.published_test_key { ", a PUBLISHED TEST KEY" } else { "" };
        writeln!(f, "{}: signed by {}{warning}; {} of {MAX_SIGNATURES} signatures", self.path.display(), self.key_id, self.signatures)?;
        writeln!(f, "header digest {}", self.header_digest)
    }
}

impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} bytes to be signed with pure Ed25519", self.path.display(), self.bytes)?;
        writeln!(f, "header digest {}", self.header_digest)
    }
}

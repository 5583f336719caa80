//! `hosttool keygen`: an Ed25519 key pair in two new files.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use crate::{
    hex, keys,
    output::{self, Access},
    report::{Failure, Outcome},
};

/// Arguments of `hosttool keygen`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write NAME.key.pem (PKCS#8, mode 0600) and NAME.pub.pem (SPKI); never over existing files.
    #[arg(long, value_name = "NAME")]
    out: PathBuf,
    /// Encrypt the private key with the first line of this file.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// The files of a new key.
#[derive(Debug, Serialize)]
pub struct NewKey {
    private: PathBuf,
    public: PathBuf,
    key_id: String,
    encrypted: bool,
}

/// Makes a key pair.
///
/// # Errors
/// A file is there already or can not be written, or the passphrase can not be read.
pub fn run(arguments: &Arguments) -> Outcome {
    let passphrase = arguments.passphrase_file.as_deref().map(keys::read_passphrase).transpose()?;
    let key = keys::generate()?;
    let private = with_suffix(&arguments.out, ".key.pem");
    let public = with_suffix(&arguments.out, ".pub.pem");
    if let Some(taken) = [&private, &public].into_iter().find(|path| path.exists()) {
        return Err(Failure::Trouble(anyhow::anyhow!("{}: exists already, and keys are never overwritten: choose another --out", taken.display())));
    }
    output::write_new(&private, keys::private_pem(&key, passphrase.as_ref())?.as_bytes(), Access::Owner)?;
    output::write_new(&public, keys::public_pem(&key.verifying_key())?.as_bytes(), Access::Everybody)?;
    let key_id = hex::encode(&keys::id_of(key.verifying_key().as_bytes()));
    super::done(NewKey { private, public, key_id, encrypted: passphrase.is_some() })
}

fn with_suffix(name: &std::path::Path, suffix: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

impl fmt::Display for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.encrypted { "encrypted" } else { "not encrypted" };
        writeln!(f, "private key  {} ({how})", self.private.display())?;
        writeln!(f, "public key   {}", self.public.display())?;
        writeln!(f, "key id       {}", self.key_id)
    }
}

//! `hosttool trust`: public keys, a threshold and a floor become a trust file.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use twinslot_config::{Trust, trust::TrustKey};

use crate::{
    hex, keys, output,
    refusal::Refusal,
    report::{Failure, Outcome},
};

/// Arguments of `hosttool trust`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A public key (SPKI PEM); up to 8. Its name in the trust file is the file's name.
    #[arg(long = "key", value_name = "KEY.pub.pem", required = true)]
    keys: Vec<PathBuf>,
    /// How many of the keys must sign an image.
    #[arg(long, value_name = "M")]
    threshold: u8,
    /// The security counter below which nothing ever runs.
    #[arg(long, value_name = "N", default_value_t = 0)]
    floor: u32,
    /// Where the trust file goes.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// What the trust file says.
#[derive(Debug, Serialize)]
pub struct Written {
    path: PathBuf,
    threshold: u8,
    floor: u32,
    keys: Vec<NamedKey>,
}

#[derive(Debug, Serialize)]
struct NamedKey {
    name: String,
    key_id: String,
    published_test_key: bool,
}

/// Writes a trust file.
///
/// # Errors
/// A key can not be read or used, the verifier would not accept the keys, or the file can not be written.
pub fn run(arguments: &Arguments) -> Outcome {
    let keys = arguments.keys.iter().map(|path| read_key(path)).collect::<Result<Vec<_>, _>>()?;
    let trust = Trust::new(keys, arguments.threshold, arguments.floor).map_err(|error| Refusal::Trust { path: arguments.output.clone(), error })?;
    output::ensure_apart(&arguments.output, arguments.keys.iter().map(PathBuf::as_path))?;
    output::write(&arguments.output, trust.to_toml().as_bytes())?;
    super::done(Written { path: arguments.output.clone(), threshold: trust.threshold(), floor: trust.floor(), keys: describe(&trust) })
}

fn read_key(path: &Path) -> Result<TrustKey, Failure> {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = file.strip_suffix(".pub.pem").or_else(|| file.strip_suffix(".pem")).unwrap_or(&file).to_owned();
    Ok(TrustKey { name, public: keys::read_public(path)? })
}

fn describe(trust: &Trust) -> Vec<NamedKey> {
    let published: Vec<&TrustKey> = trust.published_test_keys().collect();
    let describe = |key: &TrustKey| NamedKey {
        name: key.name.clone(),
        key_id: hex::encode(&keys::id_of(&key.public)),
        published_test_key: published.contains(&key),
    };
    trust.keys().iter().map(describe).collect()
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} of {} keys, floor {}", self.path.display(), self.threshold, self.keys.len(), self.floor)?;
        for key in &self.keys {
            let warning = if key.published_test_key { "  PUBLISHED TEST KEY" } else { "" };
            writeln!(f, "  {}  {}{warning}", key.key_id, key.name)?;
        }
        Ok(())
    }
}

//! `hosttool verify`: asks the loader's own code about a slot image.

use std::{fmt, path::PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use twinslot_bootloader::{
    anchor::{KeyId, TrustAnchor},
    crypto::Builtin,
    image::{
        Expectations, Header, Identity, SlotUse,
        manifest::{Manifest, NUMBER_LIMIT, SlotRule},
    },
    load::{LoadError, verify_stored},
    rejection::Rejection,
    slot::Slot,
    storage::Region,
};
use twinslot_config::{Layout, Trust, layout::Span};

use crate::{
    board_memory::try_load,
    chunk_table,
    describe::{self, PartView},
    hex,
    image_file::{ImageFile, Use},
    keys,
    report::{Failure, Outcome},
};

/// Arguments of `hosttool verify`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The slot image.
    #[arg(value_name = "X.slot")]
    image: PathBuf,
    /// Whose signatures count.
    #[arg(long, value_name = "trust.toml")]
    trust: PathBuf,
    /// The product of the host; needed without --layout.
    #[arg(long, required_unless_present = "layout")]
    product: Option<String>,
    /// The board revision of the host, 0 to 31. Without it and --layout, the revision is not checked.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(..32))]
    hw: Option<u8>,
    /// The slot that the image is for. Without it, the slot is not checked.
    #[arg(long, value_parser = super::parse_slot)]
    slot: Option<Slot>,
    /// The host's floor: its highest confirmed security counter.
    #[arg(long, value_name = "N", default_value_t = 0)]
    floor: u32,
    /// Keys that the host has revoked.
    #[arg(long, value_name = "KEYID,...", value_delimiter = ',', value_parser = hex::decode::<8>)]
    revoked: Vec<KeyId>,
    /// The host's layout: gives product, revision, slot size and write size, and with --slot whether firmware can run from there.
    #[arg(long, value_name = "layout.toml")]
    layout: Option<PathBuf>,
}

/// An image that a loader would accept.
#[derive(Debug, Serialize)]
pub struct Accepted {
    path: PathBuf,
    product: String,
    version: String,
    security_counter: u32,
    slot: &'static str,
    hardware_checked: bool,
    slot_checked: bool,
    threshold: u8,
    signed_by: Vec<Signer>,
    header_digest: String,
    parts: Vec<PartView>,
}

#[derive(Debug, Serialize)]
struct Signer {
    key_id: String,
    name: String,
    published_test_key: bool,
}

/// Verifies header, parts and chunk table.
///
/// # Errors
/// The loader would refuse the image, or a file can not be read.
pub fn run(arguments: &Arguments) -> Outcome {
    accept(arguments).map_err(|failure| failure.about(&arguments.image))
}

fn accept(arguments: &Arguments) -> Outcome {
    let trust = super::read_trust(&arguments.trust)?;
    let layout = arguments.layout.as_deref().map(super::read_layout).transpose()?;
    let mut image = ImageFile::open(&arguments.image, Use::Reading)?;
    let claimed = image.framed()?.unverified_manifest().ok();
    let expect = expectations(arguments, layout.as_ref(), claimed.as_ref());
    let target = layout.as_ref().zip(arguments.slot).map(|(layout, slot)| Target { layout, region: Region::Slot(slot) });
    let header = verify(&mut image, &trust.anchor(), &expect, target)?;
    super::done(Accepted {
        path: arguments.image.clone(),
        product: header.manifest().product.as_str().to_owned(),
        version: header.manifest().version.to_string(),
        security_counter: header.manifest().security_counter,
        slot: describe::slot_name(header.manifest().slot),
        hardware_checked: arguments.hw.is_some() || layout.is_some(),
        slot_checked: arguments.slot.is_some(),
        threshold: trust.threshold(),
        signed_by: signers(&image, &trust, &arguments.revoked)?,
        header_digest: hex::encode(header.digest()),
        parts: describe::parts(header.manifest()),
    })
}

/// A place on a board that an image is meant for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) region: Region,
}

/// Everything that a loader and an installer check of a whole image; with a target, whether it can run from there as well.
pub(crate) fn verify(image: &mut ImageFile, anchor: &TrustAnchor, expect: &Expectations<'_>, target: Option<Target<'_>>) -> Result<Header, Failure> {
    let header = Header::verify(image.header(), anchor, expect, &mut Builtin)?;
    image.manifest()?;
    let stored = verify_stored(&header, image, &mut Builtin);
    let loaded = stored.and_then(|()| target.map_or(Ok(()), |Target { layout, region }| try_load(&header, region, image, layout)));
    loaded.map_err(|error| unreadable_or_refused(image, error))?;
    let table = chunk_table::walk(image.file(), image.len(), |_, _, _| Ok(()));
    let table = table.with_context(|| format!("{}: can not be read", image.path().display()))?;
    if table == header.manifest().chunks { Ok(header) } else { Err(Rejection::ChunkTableMismatch.into()) }
}

fn unreadable_or_refused(image: &ImageFile, error: LoadError) -> Failure {
    match error {
        LoadError::Refused(rejection) => rejection.into(),
        LoadError::Storage => Failure::Trouble(anyhow::anyhow!("{}: can not be read", image.path().display())),
    }
}

/// What was not asked about is taken from what the image claims, so that it always fits.
fn expectations<'a>(arguments: &'a Arguments, layout: Option<&'a Layout>, claimed: Option<&Manifest>) -> Expectations<'a> {
    let any_revision = || claimed.map_or(0, |manifest| u8::try_from(manifest.hw.trailing_zeros() & 31).unwrap_or(0));
    let any_slot = || if claimed.is_some_and(|manifest| manifest.slot == SlotRule::B) { Slot::B } else { Slot::A };
    let product = arguments.product.as_deref().or(layout.map(|layout| layout.product.as_str())).unwrap_or_default();
    let hardware = arguments.hw.or(layout.map(|layout| layout.hardware)).unwrap_or_else(any_revision);
    let slot = arguments.slot.unwrap_or_else(any_slot);
    Expectations {
        identity: Identity { product, hardware },
        slot_use: SlotUse::Slot(slot),
        slot_size: layout.map_or(NUMBER_LIMIT, |layout| slot_span(layout, slot).size),
        write_size: layout.map_or(1, |layout| layout.flash.write_size),
        floor: arguments.floor,
        revoked: &arguments.revoked,
    }
}

/// Where a slot lies.
pub(crate) const fn slot_span(layout: &Layout, slot: Slot) -> Span {
    match slot {
        Slot::A => layout.slot_a,
        Slot::B => layout.slot_b,
    }
}

fn signers(image: &ImageFile, trust: &Trust, revoked: &[KeyId]) -> Result<Vec<Signer>, Failure> {
    let framed = image.framed()?;
    let entries = framed.signatures().filter(|entry| !revoked.contains(&entry.key));
    let known = entries.filter_map(|entry| trust.keys().iter().find(|key| keys::id_of(&key.public) == entry.key));
    let signer = |key: &twinslot_config::trust::TrustKey| Signer {
        key_id: hex::encode(&keys::id_of(&key.public)),
        name: key.name.clone(),
        published_test_key: twinslot_config::test_keys::is_published(&key.public),
    };
    Ok(known.map(signer).collect())
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, product, version, security_counter, .. } = self;
        writeln!(f, "{}: accepted: {product} {version}, security counter {security_counter}", path.display())?;
        writeln!(f, "signatures: {} needed", self.threshold)?;
        for Signer { key_id, name, published_test_key } in &self.signed_by {
            writeln!(f, "  {key_id} {name}{}", if *published_test_key { "  PUBLISHED TEST KEY" } else { "" })?;
        }
        let checked = |checked| if checked { "checked" } else { "not checked" };
        writeln!(f, "hardware revision {}, slot {}", checked(self.hardware_checked), checked(self.slot_checked))?;
        writeln!(f, "header digest {}", self.header_digest)
    }
}

//! Which bytes go to which offset, each checked for its region and, with a trust file, by the loader's own code.

use std::{fs::File, path::Path};

use anyhow::anyhow;
use serde::Serialize;
use twinslot_bootloader::{
    anchor::KeyId,
    crypto::{Builtin, Crypto as _},
    image::{Expectations, HeaderBytes, HeaderDigest, Identity, SlotUse, manifest::Manifest, short_digest},
    slot::Slot,
    storage::Region,
};
use twinslot_config::{Layout, Trust, layout::Span, test_keys};

use super::Sources;
use crate::{
    bundle_file::BundleFile,
    commands::verify,
    hex,
    image_file::{ImageFile, Use},
    keys,
    loader_elf::{Segment, read_segments},
    refusal::Refusal,
    report::Failure,
};

/// Something at its place in the flash.
#[derive(Debug, Serialize)]
pub struct Placed {
    /// What it is, with its file.
    pub what: String,
    /// The region.
    pub region: &'static str,
    /// Its first byte, from the flash's start.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// The bytes.
    #[serde(skip)]
    pub contents: Contents,
    /// What the journal needs to know of a slot's image.
    #[serde(skip)]
    pub image: Option<ImageFacts>,
}

/// Where bytes come from.
#[derive(Debug)]
pub enum Contents {
    /// The front of a file, open since it was checked: what happens at its path meanwhile does not matter.
    File(File),
    /// Memory.
    Bytes(Vec<u8>),
}

/// What the journal needs to know of a slot's image.
#[derive(Debug, Clone)]
pub struct ImageFacts {
    /// The slot.
    pub slot: Slot,
    /// First half of its header digest.
    pub digest: HeaderDigest,
    /// What its header says.
    pub manifest: Manifest,
}

/// Places everything.
///
/// # Errors
/// A file can not be read or used, does not fit its region, or is refused.
pub fn place(sources: &Sources, layout: &Layout, trust: Option<&Trust>) -> Result<Vec<Placed>, Failure> {
    let judge = Judge { layout, trust, release: sources.release };
    judge.check_trust()?;
    let mut placed = Vec::new();
    for (index, (slot, path)) in sources.slots.iter().enumerate() {
        if sources.slots.iter().take(index).any(|(earlier, _)| earlier == slot) {
            return Err(Failure::Trouble(anyhow!("--slot {} is given twice", slot.name())));
        }
        placed.push(judge.place_slot(*slot, path)?);
    }
    if let Some(path) = &sources.golden {
        placed.push(judge.place_golden(path)?);
    }
    if let Some(path) = &sources.staging {
        placed.push(judge.place_staging(path)?);
    }
    Ok(placed)
}

struct Judge<'a> {
    layout: &'a Layout,
    trust: Option<&'a Trust>,
    release: bool,
}

impl Judge<'_> {
    fn check_trust(&self) -> Result<(), Refusal> {
        let published = self.trust.and_then(|trust| trust.published_test_keys().next());
        match published {
            Some(key) if self.release => Err(Refusal::TestKey { what: format!("key {:?} of the trust file", key.name) }),
            _ => Ok(()),
        }
    }

    fn place_slot(&self, slot: Slot, path: &Path) -> Result<Placed, Failure> {
        let (region, span) = match slot {
            Slot::A => ("slot-a", self.layout.slot_a),
            Slot::B => ("slot-b", self.layout.slot_b),
        };
        let image = self.judge(path, SlotUse::Slot(slot), region, span)?;
        let framed = image.framed()?;
        let facts = ImageFacts { slot, digest: short_digest(&Builtin.digest(framed.signed())), manifest: image.manifest()? };
        Ok(Placed { image: Some(facts), ..at(format!("slot image {}", path.display()), region, span, image.len(), image.into_file()) })
    }

    fn place_golden(&self, path: &Path) -> Result<Placed, Failure> {
        let span = self.layout.golden.ok_or(Refusal::NoRegion { region: "golden", option: "--golden" })?;
        let image = self.judge(path, SlotUse::Golden, "golden", span)?;
        Ok(at(format!("golden image {}", path.display()), "golden", span, image.len(), image.into_file()))
    }

    fn place_staging(&self, path: &Path) -> Result<Placed, Failure> {
        let span = self.layout.staging.ok_or(Refusal::NoRegion { region: "staging", option: "--staging" })?;
        let bundle = BundleFile::read(path).map_err(|failure| failure.about(path))?;
        let what = format!("bundle {}", path.display());
        self.check_signers(&what, &bundle.framed()?)?;
        check_room(&what, bundle.summary.bytes, "staging", span)?;
        Ok(at(what, "staging", span, bundle.summary.bytes, bundle.into_file()))
    }

    fn judge(&self, path: &Path, slot_use: SlotUse, region: &'static str, span: Span) -> Result<ImageFile, Failure> {
        let named = |failure: Failure| failure.about(path);
        let mut image = ImageFile::open(path, Use::Reading)?;
        image.manifest().map_err(Failure::from).map_err(named)?;
        let what = format!("slot image {}", path.display());
        check_room(&what, image.len(), region, span)?;
        self.check_signers(&what, &image.framed()?)?;
        if let Some(trust) = self.trust {
            let expect = self.expectations(slot_use, span);
            let region = match slot_use {
                SlotUse::Slot(slot) => Region::Slot(slot),
                SlotUse::Golden => Region::Golden,
            };
            let target = verify::Target { layout: self.layout, region };
            verify::verify(&mut image, &trust.anchor(), &expect, Some(target)).map_err(named)?;
        }
        Ok(image)
    }

    const fn expectations(&self, slot_use: SlotUse, span: Span) -> Expectations<'_> {
        Expectations {
            identity: Identity { product: self.layout.product.as_str(), hardware: self.layout.hardware },
            slot_use,
            slot_size: span.size,
            write_size: self.layout.flash.write_size,
            floor: 0,
            revoked: &[],
        }
    }

    fn check_signers(&self, what: &str, framed: &HeaderBytes<'_>) -> Result<(), Refusal> {
        let published: Vec<KeyId> = test_keys::published().map(|key| keys::id_of(&key)).collect();
        let signer = framed.signatures().find(|entry| published.contains(&entry.key));
        match signer {
            Some(entry) if self.release => Err(Refusal::TestKey { what: format!("key {} that signed {what}", hex::encode(&entry.key)) }),
            _ => Ok(()),
        }
    }
}

fn at(what: String, region: &'static str, span: Span, len: u64, file: File) -> Placed {
    Placed { what, region, offset: span.offset, len, contents: Contents::File(file), image: None }
}

fn check_room(what: &str, len: u64, region: &'static str, span: Span) -> Result<(), Refusal> {
    if len <= span.size { Ok(()) } else { Err(Refusal::TooLarge { what: what.to_owned(), len, region, room: span.size }) }
}

/// The loader's segments, each inside the loader's region.
///
/// # Errors
/// The ELF can not be read, or links to other addresses than the layout says.
pub fn read_loader(path: &Path, layout: &Layout) -> Result<Vec<Segment>, Failure> {
    let refuse = |reason: String| Failure::from(Refusal::Loader { path: path.to_owned(), reason });
    let start = layout.loader_address().ok_or_else(|| refuse("the layout gives the loader no address: give flash.base or loader.base".to_owned()))?;
    let region = start..start.saturating_add(layout.loader.span.size);
    let segments = read_segments(path)?;
    let outside = segments.iter().find(|segment| segment.address < region.start || segment.end() > region.end);
    match outside {
        Some(Segment { address, bytes }) => Err(refuse(format!(
            "{} bytes at {address:#x} lie outside the loader's region {:#x}..{:#x}: link it with the board's memory.x",
            bytes.len(),
            region.start,
            region.end
        ))),
        None => Ok(segments),
    }
}

/// The loader's segments at their offsets in the flash of the slots.
///
/// # Errors
/// The layout puts the loader in another memory.
pub fn place_loader(path: &Path, segments: Vec<Segment>, layout: &Layout) -> Result<Vec<Placed>, Failure> {
    let (Some(base), None) = (layout.flash.base, layout.loader.base) else {
        let reason = "the layout puts the loader in another memory than this flash: load or program it there, and leave --loader out";
        return Err(Refusal::Loader { path: path.to_owned(), reason: reason.to_owned() }.into());
    };
    let place = |Segment { address, bytes }| Placed {
        what: format!("loader {}", path.display()),
        region: "loader",
        offset: address.saturating_sub(base),
        len: bytes.len() as u64,
        contents: Contents::Bytes(bytes),
        image: None,
    };
    Ok(segments.into_iter().map(place).collect())
}

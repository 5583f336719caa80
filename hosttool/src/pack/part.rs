//! One `--part` argument: `KIND=FILE[,place=inplace|auto|ADDRESS][,entry=OFFSET][,mem=BYTES][,root-hash=HEX]`.

use std::{path::PathBuf, str::FromStr};

use twinslot_bootloader::{
    crypto::Digest,
    image::manifest::{Kind, Place},
};

use super::parse_kind;
use crate::hex;

/// What a `--part` argument says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSpec {
    /// What the part is.
    pub kind: Kind,
    /// Where its bytes come from.
    pub file: PathBuf,
    /// Where it runs: as the argument says, or as its kind usually does.
    pub place: Place,
    /// Entry point, in bytes from the part's start.
    pub entry: u64,
    /// Bytes occupied once placed; `None` to take what the bytes themselves claim.
    pub mem: Option<u64>,
    /// dm-verity root hash of a root file system that has its hash tree already.
    pub root_hash: Option<Digest>,
}

impl FromStr for PartSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut fields = text.split(',');
        let (kind, file) = fields.next().and_then(|first| first.split_once('=')).ok_or("expected KIND=FILE")?;
        let kind = parse_kind(kind).ok_or("unknown KIND: firmware, kernel, initrd, device-tree, command-line, rootfs or aux0 to aux255")?;
        if file.is_empty() {
            return Err("expected KIND=FILE, but FILE is empty".to_owned());
        }
        let mut part = Self { kind, file: file.into(), place: usual_place(kind), entry: 0, mem: None, root_hash: None };
        fields.try_for_each(|field| part.set(field))?;
        if kind != Kind::RootFs && part.root_hash.is_some() {
            return Err("only a rootfs has a root-hash=HEX, its dm-verity root hash".to_owned());
        }
        Ok(part)
    }
}

impl PartSpec {
    fn set(&mut self, field: &str) -> Result<(), String> {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        match name {
            "place" => self.place = parse_place(value)?,
            "entry" => self.entry = parse_number(value)?,
            "mem" => self.mem = Some(parse_number(value)?),
            "root-hash" => self.root_hash = Some(hex::decode(value)?),
            _ => return Err(format!("unknown option {field:?}: place=, entry=, mem= or root-hash= (a FILE can have no comma in its name)")),
        }
        Ok(())
    }
}

/// Firmware, root file systems and what is not interpreted run where they lie; the loader places kernels and what goes with them.
const fn usual_place(kind: Kind) -> Place {
    match kind {
        Kind::Firmware | Kind::RootFs | Kind::Aux(_) | Kind::Loader => Place::InPlace,
        Kind::Kernel | Kind::Initrd | Kind::DeviceTree | Kind::CommandLine => Place::Auto,
    }
}

fn parse_place(value: &str) -> Result<Place, String> {
    match value {
        "inplace" => Ok(Place::InPlace),
        "auto" => Ok(Place::Auto),
        address => parse_number(address).map(Place::At).map_err(|_| "expected place=inplace, place=auto or place=ADDRESS".to_owned()),
    }
}

/// A decimal or `0x` hexadecimal number.
pub(crate) fn parse_number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => u64::from_str_radix(digits, 16).ok(),
        None if text.bytes().all(|digit| digit.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| format!("{text:?} is no number: expected decimal or 0x hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_usual_values_and_can_set_each() {
        let firmware: PartSpec = "firmware=a/b.bin".parse().expect("a part");
        assert_eq!((firmware.kind, firmware.place, firmware.entry, firmware.mem), (Kind::Firmware, Place::InPlace, 0, None));
        let kernel: PartSpec = "kernel=Image,place=0x80000,entry=16,mem=0x100".parse().expect("a part");
        assert_eq!((kernel.place, kernel.entry, kernel.mem), (Place::At(0x80000), 16, Some(256)));
        let root = format!("rootfs=r.img,root-hash={}", "ab".repeat(32));
        assert_eq!(root.parse::<PartSpec>().expect("a part").root_hash, Some([0xab; 32]));
    }

    #[test]
    fn a_malformed_part_says_what_was_expected() {
        let wrong = format!("kernel=x,root-hash={}", "ab".repeat(32));
        let cases = [
            ("firmware", "expected KIND=FILE"),
            ("firmware=", "FILE is empty"),
            ("kernal=x", "unknown KIND"),
            ("kernel=x,plaice=auto", "unknown option \"plaice=auto\""),
            ("kernel=x,place=here", "expected place=inplace"),
            ("kernel=x,mem=1k", "\"1k\" is no number"),
            ("kernel=x,entry=-1", "\"-1\" is no number"),
            ("rootfs=x,root-hash=00", "expected 64 hexadecimal digits"),
            (wrong.as_str(), "only a rootfs has a root-hash"),
        ];
        for (text, message) in cases {
            let error = text.parse::<PartSpec>().expect_err(text);
            assert!(error.contains(message), "{text:?} gave {error:?}");
        }
    }
}

//! `hosttool pack`: parts become an unsigned slot image.

use std::{
    fmt,
    fs::File,
    io::Read,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;
use twinslot_bootloader::{
    anchor::KeyId,
    crypto::{Builtin, Crypto as _, Digest},
    image::{
        HeaderBytes, Product, check_format,
        draft::{DraftError, unsigned_header},
        manifest::{Check, EXTRA_RELEASE, Encoding, Extra, Kind, Manifest, NUMBER_LIMIT, Part, SlotRule, Version},
    },
    verity::{BLOCK_SIZE, Verity},
};

use crate::{
    hex,
    output::{Access, NewFile, ensure_apart},
    pack::{PartSpec, Protected, StreamError, Streamed, check_parts, kind_name, parse_number, parse_version, protect, root_of, salt, stream},
    refusal::Refusal,
    report::{Failure, Outcome},
};

/// Arguments of `hosttool pack`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The product that the image is for: 1 to 32 visible ASCII characters.
    #[arg(long, value_parser = parse_product)]
    product: Product,
    /// The image's version.
    #[arg(long, value_name = "1.2.3+4", value_parser = parse_version)]
    version: Version,
    /// Raise this with every security fix: a host never goes back below the highest one it confirmed.
    #[arg(long, value_name = "N")]
    security_counter: u32,
    /// Mask of accepted board revisions; 0 accepts any.
    #[arg(long, value_name = "MASK", default_value = "0", value_parser = parse_mask)]
    hw: u32,
    /// The slots that the image may lie in: a, b or any.
    #[arg(long, default_value = "any", value_parser = parse_slot_rule)]
    slot: SlotRule,
    /// A key that this image's confirm revokes (16 hexadecimal digits); up to 4.
    #[arg(long, value_name = "KEYID", value_parser = hex::decode::<8>)]
    revoke: Vec<KeyId>,
    /// An opaque build id of up to 32 bytes, padded with zeros.
    #[arg(long, value_name = "HEX", value_parser = hex::decode_up_to::<32>)]
    build_id: Option<[u8; 32]>,
    /// Parts start at multiples of this: a power of two, 1024 or more.
    #[arg(long, value_name = "BYTES", default_value = "4096", value_parser = parse_align)]
    align: u64,
    /// Mark the image as a release: `sign` then refuses published test keys.
    #[arg(long)]
    release: bool,
    /// Append a dm-verity hash tree to the rootfs, and what the kernel needs for it to the command line (rootfs.verity=BLOCKS,SALT,ROOTHASH).
    #[arg(long)]
    verity: bool,
    /// KIND=FILE[,place=inplace|auto|ADDRESS][,entry=OFFSET][,mem=BYTES][,root-hash=HEX]; up to 6, in the order of the image. KIND: firmware, kernel,
    /// initrd, device-tree, command-line, rootfs, aux0 to aux255. A rootfs needs root-hash= or --verity. Without mem=, a kernel gets what its own header claims, everything else its length.
    #[arg(long = "part", value_name = "PART", required = true)]
    parts: Vec<PartSpec>,
    /// Where the slot image goes.
    #[arg(short, long, value_name = "X.slot")]
    output: PathBuf,
}

/// The image that was packed.
#[derive(Debug, Serialize)]
pub struct Packed {
    path: PathBuf,
    bytes: u64,
    product: String,
    version: String,
    security_counter: u32,
    created: u64,
    release: bool,
    header_digest: String,
    parts: Vec<PackedPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verity: Option<PackedVerity>,
}

#[derive(Debug, Serialize)]
struct PackedPart {
    kind: String,
    offset: u64,
    len: u64,
    mem: u64,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct PackedVerity {
    data_blocks: u64,
    hash_offset: u64,
    salt: String,
    root_hash: String,
}

/// Packs an image. The creation time is `SOURCE_DATE_EPOCH`, or 0 without it, so the same inputs always give the same bytes.
///
/// # Errors
/// A loader would refuse the image, or a file can not be read or written.
pub fn run(arguments: &Arguments) -> Outcome {
    pack(arguments).map_err(|failure| failure.about(&arguments.output))
}

fn pack(arguments: &Arguments) -> Outcome {
    let created = creation_time()?;
    let mut inputs = arguments.parts.iter().map(|part| open(&part.file)).collect::<Result<Vec<_>, _>>()?;
    ensure_apart(&arguments.output, arguments.parts.iter().map(|part| part.file.as_path()))?;
    let new = NewFile::create(&arguments.output, Access::Everybody)?;
    let mut parts = arguments.parts.clone();
    let protected = arguments.verity.then(|| protect_root(arguments, &mut parts, &mut inputs)).transpose()?;
    root_of(&parts)?;
    let streamed = stream(&mut inputs, arguments.align, new.file()).map_err(|error| name_file(arguments, error))?;
    protected.map_or(Ok(()), |protected| protected.check(&parts, &streamed.parts))?;
    let manifest = manifest(arguments, &parts, &streamed, created)?;
    let header = unsigned_header(&manifest).map_err(refuse_draft)?;
    let framed = HeaderBytes::parse(&header)?;
    check_format(&framed.unverified_manifest()?, NUMBER_LIMIT, arguments.align)?;
    new.file().write_all_at(&header, 0).with_context(|| format!("{}: can not be written", arguments.output.display()))?;
    new.finish()?;
    let verity = protected.map(|protected| protected.verity);
    super::done(report(arguments, &manifest, Builtin.digest(framed.signed()), verity))
}

/// `SOURCE_DATE_EPOCH` as <https://reproducible-builds.org/specs/source-date-epoch/> defines it, else 0.
fn creation_time() -> Result<u64, anyhow::Error> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => parse_number(&text).map_err(|error| anyhow::anyhow!("SOURCE_DATE_EPOCH: {error}")),
        Err(_) => Ok(0),
    }
}

fn open(path: &Path) -> Result<Box<dyn Read>, Failure> {
    Ok(Box::new(File::open(path).with_context(|| format!("{}: can not be read", path.display()))?))
}

fn protect_root(arguments: &Arguments, parts: &mut [PartSpec], inputs: &mut [Box<dyn Read>]) -> Result<Protected, Failure> {
    if !arguments.align.is_multiple_of(BLOCK_SIZE) {
        return Err(anyhow::anyhow!("--verity needs parts that start at blocks of {BLOCK_SIZE} bytes: leave --align out, or raise it").into());
    }
    protect(parts, inputs, salt(arguments.product.as_str(), arguments.version), &arguments.output)
}

fn name_file(arguments: &Arguments, error: StreamError) -> anyhow::Error {
    match error {
        StreamError::Input { index, source } => {
            let file = arguments.parts.get(index).map(|part| part.file.display().to_string()).unwrap_or_default();
            anyhow::Error::new(source).context(format!("{file}: can not be read"))
        }
        StreamError::Output(source) => anyhow::Error::new(source).context(format!("{}: can not be written", arguments.output.display())),
    }
}

fn refuse_draft(error: DraftError) -> Failure {
    match error {
        DraftError::NotAHeader(rejection) => rejection.into(),
        _ => Refusal::ManifestTooLong.into(),
    }
}

fn manifest(arguments: &Arguments, parts: &[PartSpec], streamed: &Streamed, created: u64) -> Result<Manifest, Failure> {
    let memory = check_parts(parts, &streamed.parts)?;
    let parts = parts.iter().zip(&streamed.parts).zip(memory).map(|((spec, part), mem)| Part {
        kind: spec.kind,
        offset: part.offset,
        len: part.len,
        mem,
        place: spec.place,
        entry: spec.entry,
        encoding: Encoding::Plain,
        sha256: spec.root_hash.unwrap_or(part.sha256),
        check: if spec.kind == Kind::RootFs { Check::ByOs } else { Check::AtBoot },
    });
    Ok(Manifest {
        product: arguments.product.clone(),
        hw: arguments.hw,
        version: arguments.version,
        security_counter: arguments.security_counter,
        slot: arguments.slot,
        revoke: limited(arguments.revoke.iter().copied(), "--revoke", 4)?,
        created,
        build: arguments.build_id.unwrap_or_default(),
        chunks: streamed.chunks,
        min_loader: MIN_LOADER,
        requires: 0,
        parts: limited(parts, "--part", 6)?,
        extra: arguments.release.then(release_mark).into_iter().collect(),
    })
}

/// The first loader reads everything that this command writes.
const MIN_LOADER: u16 = 1;

fn release_mark() -> Extra {
    Extra { tag: EXTRA_RELEASE, data: heapless::Vec::new() }
}

fn limited<T, const N: usize>(items: impl Iterator<Item = T>, option: &str, most: usize) -> Result<heapless::Vec<T, N>, anyhow::Error> {
    let mut limited = heapless::Vec::new();
    for item in items {
        limited.push(item).map_err(|_| anyhow::anyhow!("{option} is given more than {most} times"))?;
    }
    Ok(limited)
}

fn report(arguments: &Arguments, manifest: &Manifest, digest: Digest, verity: Option<Verity>) -> Packed {
    let part =
        |part: &Part| PackedPart { kind: kind_name(part.kind), offset: part.offset, len: part.len, mem: part.mem, sha256: hex::encode(&part.sha256) };
    Packed {
        path: arguments.output.clone(),
        bytes: manifest.image_len().unwrap_or(0),
        product: manifest.product.as_str().to_owned(),
        version: manifest.version.to_string(),
        security_counter: manifest.security_counter,
        created: manifest.created,
        release: arguments.release,
        header_digest: hex::encode(&digest),
        parts: manifest.parts.iter().map(part).collect(),
        verity: verity.map(|verity| PackedVerity {
            data_blocks: verity.data_blocks,
            hash_offset: verity.data_blocks * BLOCK_SIZE,
            salt: hex::encode(&verity.salt),
            root_hash: hex::encode(&verity.root_hash),
        }),
    }
}

fn parse_product(text: &str) -> Result<Product, String> {
    Product::try_from(text).map_err(|error| error.to_string())
}

fn parse_mask(text: &str) -> Result<u32, String> {
    u32::try_from(parse_number(text)?).map_err(|_| "expected a mask of 32 bits".to_owned())
}

fn parse_slot_rule(text: &str) -> Result<SlotRule, String> {
    match text {
        "a" => Ok(SlotRule::A),
        "b" => Ok(SlotRule::B),
        "any" => Ok(SlotRule::Any),
        _ => Err("expected a, b or any".to_owned()),
    }
}

fn parse_align(text: &str) -> Result<u64, String> {
    match parse_number(text)? {
        align if align.is_power_of_two() && (1024..=1 << 30).contains(&align) => Ok(align),
        _ => Err("expected a power of two from 1024 to 1073741824".to_owned()),
    }
}

impl fmt::Display for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} {}, security counter {}, {} bytes, not signed yet",
            self.path.display(),
            self.product,
            self.version,
            self.security_counter,
            self.bytes
        )?;
        for part in &self.parts {
            writeln!(f, "  {:<12} {} bytes at {:#x}, {} in memory, {}", part.kind, part.len, part.offset, part.mem, part.sha256)?;
        }
        if let Some(verity) = &self.verity {
            writeln!(f, "  dm-verity: {} blocks of data, hash tree at {:#x} of the rootfs", verity.data_blocks, verity.hash_offset)?;
        }
        writeln!(f, "header digest {}", self.header_digest)
    }
}

//! Why an image, a chunk or a bundle is refused. Each refusal has a stable numeric code that the journal and the hand-off carry.

use core::fmt;

macro_rules! rejections {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal, $text:literal;)*) => {
        /// A refusal: the bytes were read and found not to be what the owner signed for this host.
        ///
        /// The numeric codes (`as u8`) are stable and append-only; 0 and 100..=255 are never used here (see [`crate::reason::Reason`]).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u8)]
        pub enum Rejection {
            $($(#[doc = $doc])* $name = $code,)*
        }

        impl Rejection {
            /// Every refusal, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The refusal of a stable code, or `None` when no refusal has it.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// What is wrong, in one lower-case clause.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The variant's name, as documentation and `--json` use it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

rejections! {
    /// The header does not begin with the magic: most often an empty slot.
    WrongMagic = 1, "no image: the header does not begin with TWINSLOT";
    /// Another format version.
    WrongFormatVersion = 2, "the header has a format version that this loader does not read";
    /// A header size other than 1 KiB.
    WrongHeaderSize = 3, "the header size is not 1 KiB";
    /// The reserved byte of the prefix is set.
    ReservedByteSet = 4, "the reserved header byte is not zero";
    /// Body length outside 1..=716.
    BodyLengthOutOfRange = 5, "the body length is outside 1..=716";
    /// A byte between the body and the signatures is set.
    NonZeroPadding = 6, "the padding behind the body is not zero";
    /// The CRC over the header does not match: a torn or damaged header.
    CrcMismatch = 7, "the header's CRC does not match: torn or damaged";
    /// A signature entry or a byte after the end of the list.
    EntryAfterEnd = 8, "the signature list has bytes after its end";
    /// One key id stands twice in the signature list.
    RepeatedKeyId = 9, "a key id stands twice in the signature list";
    /// A key of the trust anchor stands beside a signature that does not verify.
    BadSignature = 10, "a signature of a known key does not verify";
    /// Fewer valid signatures of distinct unrevoked keys than the threshold.
    TooFewSignatures = 11, "too few valid signatures for the threshold";
    /// The body is not a manifest.
    BodyMalformed = 12, "the body is not a manifest of this format version";
    /// The body has bytes behind the manifest.
    BodyLeftOver = 13, "the body has bytes left over behind the manifest";
    /// The body is not the canonical encoding of its manifest.
    BodyNotCanonical = 14, "the body is not the canonical encoding of its manifest";
    /// A number of 2^48 or more.
    NumberTooLarge = 15, "a number in the manifest is 2^48 or more";
    /// A feature bit that this loader does not know.
    UnknownRequirement = 16, "the image requires a feature that this loader does not have";
    /// Neither firmware nor kernel.
    NoBootablePart = 17, "the image has no firmware and no kernel part to boot";
    /// Firmware and kernel in one image.
    FirmwareAndKernel = 18, "the image has both a firmware and a kernel part";
    /// One kind of part twice.
    RepeatedPart = 19, "a kind of part stands twice";
    /// An initrd, device tree or command line without a kernel.
    PartNeedsKernel = 20, "an initrd, device tree or command line stands without a kernel";
    /// `ByOs` on something that is not a root file system, or the reverse.
    WrongCheck = 21, "only a root file system is checked by the OS, and it always is";
    /// The reserved loader part.
    LoaderPartReserved = 22, "loader parts are reserved";
    /// An encoding that this loader does not decode.
    UnsupportedEncoding = 23, "the part's encoding is not supported";
    /// Parts do not ascend or overlap.
    PartsOverlap = 24, "the parts do not ascend or they overlap";
    /// A part starts at an unaligned offset or inside the header.
    PartMisaligned = 25, "a part starts inside the header or at an unaligned offset";
    /// A part ends outside the slot.
    PartOutsideSlot = 26, "a part ends outside the slot";
    /// `mem` is less than `len`, or a part is empty.
    MemoryTooSmall = 27, "a part is empty or claims less memory than its bytes";
    /// The entry lies outside the part.
    EntryOutsidePart = 28, "the entry lies outside its part";
    /// The placement does not fit the kind of part or the board.
    WrongPlacement = 29, "the part can not be placed as the manifest says on this board";
    /// A vector table that VTOR can not point at.
    VectorTableMisaligned = 30, "the vector table is not aligned for VTOR";
    /// A command line with forbidden characters or tokens.
    ForbiddenCommandLine = 31, "the command line has a forbidden character or token";
    /// A command line that is too long with what the loader appends.
    CommandLineTooLong = 32, "the command line is too long with what the loader appends";
    /// A root file system without a signed command line that names its root hash.
    RootHashNotSigned = 33, "the root file system's hash does not stand on a signed command line";
    /// Another product.
    WrongProduct = 34, "the image is for another product";
    /// Another hardware revision.
    WrongHardware = 35, "the image is for another hardware revision";
    /// The other slot.
    WrongSlot = 36, "the image is for the other slot";
    /// The loader is older than the image demands.
    LoaderTooOld = 37, "the image needs a newer loader";
    /// The security counter is below the floor.
    BelowFloor = 38, "the security counter is below the floor";
    /// The keys left after revocations are fewer than the threshold.
    TooFewKeysLeft = 39, "the revocations leave fewer keys than the threshold";
    /// A part would overwrite something it must not.
    RangeConflict = 40, "a part's memory overlaps the loader, reserved memory or another part";
    /// A part would be placed outside usable memory.
    RangeOutsideRam = 41, "a part's memory is outside the RAM for images";
    /// The bytes that would run are not the bytes that were signed.
    DigestMismatch = 42, "a part's digest does not match: the payload is damaged or forged";
    /// The chunk table is not the one that the header pins.
    ChunkTableMismatch = 43, "the chunk table is not the one that the header pins";
    /// A chunk is not the one that the chunk table pins.
    ChunkMismatch = 44, "a chunk is not the one that the chunk table pins";
    /// The kernel claims more memory than the manifest says.
    KernelClaimsMore = 45, "the kernel's own header claims more memory than the manifest";
    /// The kernel is not one for this machine.
    WrongKernel = 46, "the kernel is not an image for this architecture";
    /// The slot could not be read.
    Unreadable = 47, "the storage could not be read";
    /// The arithmetic of offsets and lengths overflows.
    Overflow = 48, "an offset and a length overflow";
    /// The bundle does not begin with its magic.
    WrongBundleMagic = 49, "not a bundle: it does not begin with TWINBNDL";
    /// The bundle's index does not fit the header.
    BundleIndexInvalid = 50, "the bundle's index does not fit its header";
    /// The bundle is shorter or longer than its index says.
    BundleLengthWrong = 51, "the bundle's length is not what its index says";
    /// A chunk is stored in an encoding that this installer does not decode.
    UnsupportedChunkEncoding = 52, "a chunk is stored compressed, which this installer does not decode";
    /// More revocations than the journal can hold.
    TooManyRevocations = 53, "the journal can not hold all revocations";
    /// The image in the slot is authentic but not the one the journal speaks of.
    NotTheArmedImage = 54, "the slot holds another image than the journal speaks of";
    /// A signed device tree that the loader can not make Linux's of.
    UnusableDeviceTree = 55, "the device tree is not one that this loader can give to Linux";
}

impl Rejection {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Rejection {}

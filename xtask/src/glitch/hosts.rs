//! The hosts of the campaign: a board with one image that its loader must refuse.
//!
//! But for its flaw each image is the same one, with a payload of a few bytes, signed by key one. A flaw in what is signed, or in who signs, is there
//! from the start; any other one is done to the flash afterwards. So each image has the header digest that the journal of its host knows.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use thumb_interpreter::Machine;
use twinslot_bootloader::rejection::Rejection;
use twinslot_config::layout::Purpose;

use crate::board::{Board, FLASH_FILE_SIZE};
use crate::elf::Firmware;
use crate::firmware::Logging;
use crate::scenario::{AnchorFile, Fixture, Flash, Hardware, Image, Key, Place, Product, Size, Slot, SlotRule, Variant, Version};
use crate::workspace::Workspace;

use super::patch;

/// The board whose loader is attacked.
pub(super) const BOARD: Board = Board::An386;

/// What is wrong with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flaw {
    /// A known key signed, but another header; the CRC is right. (A bit flipped in a good signature would be no flaw: who has that signature has a
    /// good image, and a fault that undoes the flip starts a good image.)
    BadSignature,
    /// All 64 bytes of the signature are zero; the CRC is right.
    ZeroSignature,
    /// The only signature is a good one, of a key that the loader does not know.
    UnknownKey,
    /// An all-zero signature, and the address of the image's code as every word that nobody signed: a fault may make a word of the stack an address.
    FilledHeader,
    /// The same words in both logs of the journal, beside an all-zero signature.
    FilledJournal,
    /// One bit of the payload is flipped under a good header.
    FlippedPayload,
    /// The image is for another product.
    OtherProduct,
    /// The image is for another revision of the board.
    OtherHardware,
    /// The security counter is below the floor that is compiled into the loader.
    BelowFloor,
    /// The security counter is below the floor that the journal has reached. Whoever makes the journal unreadable is rid of that floor, by design
    /// (docs/threat-model.md): bypasses are reported, not gated.
    BelowJournalFloor,
}

/// What the journal says of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Confirmed, by its digest; nothing else lies in the flash.
    Confirmed,
    /// On trial; nothing else can boot.
    Trial,
}

/// One host of the campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Case {
    pub(super) flaw: Flaw,
    pub(super) standing: Standing,
}

impl Flaw {
    const ALL: [Self; 10] = [
        Self::BadSignature,
        Self::ZeroSignature,
        Self::UnknownKey,
        Self::FilledHeader,
        Self::FilledJournal,
        Self::FlippedPayload,
        Self::OtherProduct,
        Self::OtherHardware,
        Self::BelowFloor,
        Self::BelowJournalFloor,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::BadSignature => "bad-signature",
            Self::ZeroSignature => "zero-signature",
            Self::UnknownKey => "unknown-key",
            Self::FilledHeader => "filled-header",
            Self::FilledJournal => "filled-journal",
            Self::FlippedPayload => "flipped-payload",
            Self::OtherProduct => "other-product",
            Self::OtherHardware => "other-hardware",
            Self::BelowFloor => "below-floor",
            Self::BelowJournalFloor => "below-journal-floor",
        }
    }

    /// Whether nobody whom the loader knows has signed the header: it is refused before anything in it is read.
    pub(super) const fn is_in_a_signature(self) -> bool {
        matches!(self, Self::BadSignature | Self::ZeroSignature | Self::UnknownKey | Self::FilledHeader | Self::FilledJournal)
    }

    /// Whether one field of the manifest is all that is wrong: whoever has it read as something else has a good image.
    pub(super) const fn is_in_a_field(self) -> bool {
        matches!(self, Self::OtherProduct | Self::OtherHardware | Self::BelowFloor)
    }

    /// Why the loader halts without a fault. With a newer image that is gone, what it says is that the preferred slot holds none.
    const fn refusal(self) -> Rejection {
        match self {
            Self::BadSignature | Self::ZeroSignature | Self::FilledHeader | Self::FilledJournal => Rejection::BadSignature,
            Self::UnknownKey => Rejection::TooFewSignatures,
            Self::FlippedPayload => Rejection::DigestMismatch,
            Self::OtherProduct => Rejection::WrongProduct,
            Self::OtherHardware => Rejection::WrongHardware,
            Self::BelowFloor => Rejection::BelowFloor,
            Self::BelowJournalFloor => Rejection::WrongMagic,
        }
    }
}

impl Standing {
    pub(super) const BOTH: [Self; 2] = [Self::Confirmed, Self::Trial];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Trial => "trial",
        }
    }

    /// The flash with this standing of the image in slot A.
    fn applied_to(self, flash: Flash) -> Flash {
        match self {
            Self::Confirmed => Flash { confirmed: Some(Slot::A), ..flash },
            Self::Trial => Flash { trial: Some(Slot::A), ..flash },
        }
    }
}

impl Case {
    /// Every host. A confirmed image is at the journal's floor by itself, so the one below it is on trial only; and no image has a standing without a
    /// journal.
    pub(super) fn all() -> Vec<Self> {
        let cases = Standing::BOTH.into_iter().flat_map(|standing| Flaw::ALL.map(|flaw| Self { flaw, standing }));
        let is_one = |case: &Self| match case.flaw {
            Flaw::BelowJournalFloor => case.standing == Standing::Trial,
            Flaw::FilledJournal => case.standing == Standing::Confirmed,
            _ => true,
        };
        cases.filter(is_one).collect()
    }

    /// Whether the short campaign attacks this host. What refuses an image on trial for one of its fields is what refuses a confirmed one; that the
    /// counter shows it is enough. A filled header has a zero signature and worse bytes around it.
    pub(super) fn is_in_short(self) -> bool {
        match self.flaw {
            Flaw::ZeroSignature => false,
            Flaw::OtherProduct | Flaw::OtherHardware => self.standing == Standing::Confirmed,
            _ => true,
        }
    }

    /// Whether a bypass on this host fails the campaign.
    pub(super) fn is_gated(self) -> bool {
        self.flaw != Flaw::BelowJournalFloor
    }

    /// What the loader prints as it halts, without a fault.
    pub(super) fn halt_line(self) -> String {
        format!("twinslot: halt code={}", self.flaw.refusal().code())
    }

    /// The trust anchor of its loader.
    fn anchor(self) -> AnchorFile {
        if self.flaw == Flaw::BelowFloor { AnchorFile::RaisedFloor } else { AnchorFile::Default }
    }

    /// The case of that name.
    pub(super) fn named(name: &str) -> Result<Self> {
        let names: Vec<String> = Self::all().iter().map(Self::to_string).collect();
        let found = Self::all().into_iter().find(|case| case.to_string() == name);
        found.with_context(|| format!("there is no host {name}; the hosts are {}", names.join(", ")))
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.flaw.name(), self.standing.name())
    }
}

/// What it takes to make hosts.
pub(super) struct Supply {
    fixture: Fixture,
}

/// A loader as it is linked.
pub(super) struct Loader {
    pub(super) path: PathBuf,
    pub(super) elf: Firmware,
    /// What lies at address 0.
    pub(super) code: Vec<u8>,
}

/// A host: its loader, and what is in its flash.
pub(super) struct Host {
    pub(super) loader: Loader,
    pub(super) flash: Vec<u8>,
    /// Where images run: in flash, or in the RAM for images.
    pub(super) image_memory: [Range<u32>; 2],
    /// The image's first instruction.
    pub(super) image_entry: u32,
    /// Where files of the campaign go.
    pub(super) folder: PathBuf,
}

impl Supply {
    /// The loaders are those of `workspace`, which may be a variant.
    pub(super) fn new(workspace: &Workspace, hosttool: &Path, folder: &Path) -> Result<Self> {
        Ok(Self { fixture: Fixture::new(workspace, BOARD, hosttool, folder, Logging::Off)? })
    }

    /// A host of that standing with a good image, at the raised floor: what must boot without a fault.
    pub(super) fn good_host(&mut self, standing: Standing, anchor: AnchorFile) -> Result<Host> {
        let image = Image { security_counter: RAISED_FLOOR, ..IMAGE };
        let flash = self.assemble(&format!("good-{}", standing.name()), &standing.applied_to(Flash { a: Some(image), ..EMPTY }))?;
        self.with_loader(anchor, flash)
    }

    /// The host of a case.
    pub(super) fn host(&mut self, case: Case) -> Result<Host> {
        let header = usize::try_from(self.fixture.layout().slot_a.offset)?;
        let mut flash = self.assembled(case)?;
        match case.flaw {
            Flaw::BadSignature => patch::set_signature(&mut flash, header, &self.signature_of_another_image()?)?,
            Flaw::ZeroSignature => patch::set_signature(&mut flash, header, &[0; patch::SIGNATURE])?,
            Flaw::FilledHeader => {
                patch::set_signature(&mut flash, header, &[0; patch::SIGNATURE])?;
                patch::fill_unsigned(&mut flash, header, self.image_entry()? | 1)?;
            }
            Flaw::FilledJournal => {
                patch::set_signature(&mut flash, header, &[0; patch::SIGNATURE])?;
                let journal = self.fixture.layout().journal;
                let bytes = usize::try_from(journal.offset)?..usize::try_from(journal.end())?;
                patch::fill(flash.get_mut(bytes).context("the flash ends before the journal")?, self.image_entry()? | 1);
            }
            Flaw::FlippedPayload => patch::flip_payload(&mut flash, header)?,
            Flaw::BelowJournalFloor => patch::erase(&mut flash, self.fixture.layout().slot_b)?,
            Flaw::UnknownKey | Flaw::OtherProduct | Flaw::OtherHardware | Flaw::BelowFloor => {}
        }
        self.with_loader(case.anchor(), flash)
    }

    /// The flash before anything is done to its bytes.
    fn assembled(&mut self, case: Case) -> Result<Vec<u8>> {
        let flash = case.standing.applied_to(Flash { a: Some(IMAGE), ..EMPTY });
        let flash = match case.flaw {
            // Another image was confirmed and has raised the floor; it will be gone.
            Flaw::BelowJournalFloor => {
                let b = Image { place: Place::InB, security_counter: IMAGE.security_counter + 1, ..IMAGE };
                Flash { b: Some(b), confirmed: Some(Slot::B), ..flash }
            }
            Flaw::UnknownKey => Flash { a: Some(Image { signers: &[Key::Three], ..IMAGE }), ..flash },
            Flaw::OtherProduct => Flash { a: Some(Image { product: Product::Other, ..IMAGE }), ..flash },
            Flaw::OtherHardware => Flash { a: Some(Image { hardware: Hardware::OtherRevision, ..IMAGE }), ..flash },
            _ => flash,
        };
        self.assemble(&case.to_string().replace('/', "-"), &flash)
    }

    fn signature_of_another_image(&mut self) -> Result<Vec<u8>> {
        let other = self.fixture.image(&Image { version: Version { major: 2, ..IMAGE.version }, ..IMAGE })?;
        let bytes = std::fs::read(&other).with_context(|| format!("can not read {}", other.display()))?;
        patch::first_signature(&bytes).map(<[u8]>::to_vec)
    }

    fn with_loader(&mut self, anchor: AnchorFile, flash: Vec<u8>) -> Result<Host> {
        let path = self.fixture.loader(anchor)?;
        let elf = Firmware::read(&path)?;
        ensure!(elf.base()? == 0, "the loader does not start at address 0");
        let code = elf.flat()?;
        let folder = self.fixture.folder().to_owned();
        Ok(Host { loader: Loader { path, elf, code }, flash, image_memory: self.image_memory()?, image_entry: self.image_entry()?, folder })
    }

    fn image_memory(&self) -> Result<[Range<u32>; 2]> {
        let layout = self.fixture.layout();
        let flash = u32::try_from(layout.flash.base.context("the layout's flash has no address")?)?;
        let ram = layout.ram_for(Purpose::Image).next().context("the layout has no RAM for images")?;
        let ram_start = u32::try_from(ram.base)?;
        Ok([flash..flash + u32::try_from(FLASH_FILE_SIZE)?, ram_start..ram_start + u32::try_from(ram.size)?])
    }

    /// Behind the image's vector table.
    fn image_entry(&self) -> Result<u32> {
        let layout = self.fixture.layout();
        let slot = layout.flash.base.context("the layout's flash has no address")? + layout.slot_a.offset;
        Ok(u32::try_from(slot)? + patch::FIRST_INSTRUCTION)
    }

    fn assemble(&mut self, name: &str, flash: &Flash) -> Result<Vec<u8>> {
        let path = self.fixture.folder().join(format!("{name}.img"));
        self.fixture.flash(flash, &path)?;
        std::fs::read(&path).with_context(|| format!("can not read {}", path.display()))
    }
}

const EMPTY: Flash = Flash { a: None, b: None, golden: None, staging: None, confirmed: None, trial: None };

/// The floor of [`AnchorFile::RaisedFloor`].
const RAISED_FLOOR: u32 = 2;

/// The image: it does nothing, in a few bytes.
const IMAGE: Image = Image {
    version: Version { major: 1, minor: 0, patch: 0, build: 1 },
    variant: Variant::Resting,
    place: Place::InA,
    slot: SlotRule::Any,
    product: Product::Own,
    hardware: Hardware::Any,
    security_counter: 1,
    revoke: &[],
    signers: &[Key::One],
    size: Size::Natural,
};

impl Host {
    /// The board at its reset.
    pub(super) fn machine(&self) -> Machine {
        Machine::new(&self.loader.code, &self.flash, self.image_memory.clone())
    }
}

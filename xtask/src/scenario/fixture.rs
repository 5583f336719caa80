//! Makes what a scenario needs: loaders, packed and signed images, bundles, flash files. Everything goes through the host tool's own commands.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use twinslot_config::layout::Purpose;
use twinslot_config::{Layout, Trust};

use super::fault::FlashFile;
use super::{AnchorFile, Change, Flash, Hardware, Image, Key, Place, Product, Size, SlotRule, Variant};
use crate::application::{self, Identity};
use crate::board::{Board, FLASH_FILE_SIZE};
use crate::elf::Firmware;
use crate::firmware::{self, Logging};
use crate::process;
use crate::workspace::Workspace;

/// Where `pack` puts the first part of an image.
const FIRST_PART: u64 = 4096;

/// One board's supply. Images and loaders are made once.
pub(crate) struct Fixture {
    workspace: Workspace,
    board: Board,
    layout: Layout,
    hosttool: PathBuf,
    folder: PathBuf,
    logging: Logging,
    images: HashMap<Image, PathBuf>,
    bundles: HashMap<Image, PathBuf>,
    loaders: HashMap<AnchorFile, PathBuf>,
}

impl Fixture {
    /// `folder` takes all files; `logging` is that of the loaders.
    pub(crate) fn new(workspace: &Workspace, board: Board, hosttool: &Path, folder: &Path, logging: Logging) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("can not make the folder {}", folder.display()))?;
        let layout = board.layout(workspace)?;
        let (images, bundles, loaders) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Self {
            workspace: workspace.clone(),
            board,
            layout,
            hosttool: hosttool.to_owned(),
            folder: folder.to_owned(),
            logging,
            images,
            bundles,
            loaders,
        })
    }

    pub(crate) const fn board(&self) -> Board {
        self.board
    }

    pub(crate) const fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The ELF of the loader with that trust anchor.
    pub(crate) fn loader(&mut self, anchor: AnchorFile) -> Result<PathBuf> {
        if let Some(path) = self.loaders.get(&anchor) {
            return Ok(path.clone());
        }
        let path = firmware::loader(&self.workspace, self.board, anchor.file(), self.logging)?;
        self.loaders.insert(anchor, path.clone());
        Ok(path)
    }

    /// The ELF of the program that runs the vectors.
    pub(crate) fn vectors(&self) -> Result<PathBuf> {
        firmware::vectors(&self.workspace, self.board)
    }

    /// The packed and signed image.
    pub(crate) fn image(&mut self, image: &Image) -> Result<PathBuf> {
        if let Some(path) = self.images.get(image) {
            return Ok(path.clone());
        }
        let path = self.folder.join(format!("{}-{:016x}.slot", image.version, hash(image)));
        let payload = path.with_extension("bin");
        std::fs::write(&payload, self.payload(image)?).with_context(|| format!("can not write {}", payload.display()))?;
        self.pack(image, &payload, &path)?;
        for key in image.signers {
            let key = self.workspace.path("qemu-boards/test-keys").join(format!("{}.key.pem", key.file_stem()));
            self.hosttool(Command::new(&self.hosttool).arg("sign").arg(&path).arg("--key").arg(key))?;
        }
        self.images.insert(*image, path.clone());
        Ok(path)
    }

    /// The same image as a bundle.
    pub(crate) fn bundle(&mut self, image: &Image) -> Result<PathBuf> {
        if let Some(path) = self.bundles.get(image) {
            return Ok(path.clone());
        }
        let slot = self.image(image)?;
        let path = slot.with_extension("bundle");
        self.hosttool(Command::new(&self.hosttool).arg("bundle").arg(&slot).arg("-o").arg(&path))?;
        self.bundles.insert(*image, path.clone());
        Ok(path)
    }

    /// Assembles a flash file.
    pub(crate) fn flash(&mut self, flash: &Flash, path: &Path) -> Result<()> {
        let mut command = Command::new(&self.hosttool);
        command.arg("assemble").arg("--layout").arg(self.board.layout_path(&self.workspace)).arg("-o").arg(path);
        for (name, image) in [("a", flash.a), ("b", flash.b)] {
            if let Some(image) = image {
                command.arg("--slot").arg(assignment(name, &self.image(&image)?));
            }
        }
        if let Some(image) = flash.golden {
            command.arg("--golden").arg(self.image(&image)?);
        }
        if let Some(image) = flash.staging {
            command.arg("--staging").arg(self.bundle(&image)?);
        }
        for (option, slot) in [("--confirmed", flash.confirmed), ("--trial", flash.trial)] {
            if let Some(slot) = slot {
                command.arg(option).arg(slot.name());
            }
        }
        self.hosttool(&mut command)?;
        extend_erased(path)
    }

    /// Assembles a flash file and lets things happen to it.
    pub(crate) fn prepare(&mut self, flash: &Flash, changes: &[Change], path: &Path) -> Result<()> {
        self.flash(flash, path)?;
        changes.iter().try_for_each(|change| self.apply(*change, path))
    }

    /// Lets something happen to a flash file.
    pub(crate) fn apply(&mut self, change: Change, path: &Path) -> Result<()> {
        let content = match change {
            Change::Stage(image) => std::fs::read(self.bundle(&image)?)?,
            Change::Put(_, image) => std::fs::read(self.image(&image)?)?,
            _ => Vec::new(),
        };
        let file = FlashFile::open(path, &self.layout)?;
        match change {
            Change::Stage(_) | Change::ClearStaging => file.stage(&content),
            Change::Put(slot, _) => file.put(slot, &content),
            Change::TearHeader(slot) => file.tear_header(slot),
            Change::FlipPayloadBit(slot) => file.flip_payload_bit(slot),
            Change::LoseJournal => file.lose_journal(),
            Change::TearNewestRecord(log) => file.tear_newest_record(log),
        }
    }

    /// What the journal of a flash file says, as JSON text.
    pub(crate) fn journal(&self, flash: &Path) -> Result<String> {
        self.show_journal(flash, &["--json"])
    }

    /// The same in words for people.
    pub(crate) fn journal_in_words(&self, flash: &Path) -> Result<String> {
        self.show_journal(flash, &[])
    }

    fn show_journal(&self, flash: &Path, options: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.hosttool);
        command.args(["journal", "show"]).args(options).arg("--layout").arg(self.board.layout_path(&self.workspace)).arg(flash);
        let output = process::finish(&mut command)?;
        String::from_utf8(output.stdout).context("hosttool journal show wrote no text")
    }

    fn hosttool(&self, command: &mut Command) -> Result<()> {
        // The time of packing is part of a header; scenarios are the same every time.
        process::output_of(command.env("SOURCE_DATE_EPOCH", "1700000000")).map(|_| ())
    }

    /// The bytes of the image's part: the application with its variant and version filled in, or the resting image.
    fn payload(&self, image: &Image) -> Result<Vec<u8>> {
        let mut payload = match image.variant {
            Variant::Resting => application::resting(self.address(image.place)?)?,
            variant => {
                let elf = firmware::application(&self.workspace, self.board, place_word(image.place))?;
                application::customised(&Firmware::read(&elf)?, &Identity { version: image.version, variant })?
            }
        };
        if let Size::Filled(size) = image.size {
            payload.extend((payload.len()..size).map(|index| (index % 251) as u8));
        }
        Ok(payload)
    }

    /// Where the image's part runs.
    fn address(&self, place: Place) -> Result<u64> {
        let flash = self.layout.flash.base.context("the layout's flash has no address")?;
        match place {
            Place::InA => Ok(flash + self.layout.slot_a.offset + FIRST_PART),
            Place::InB => Ok(flash + self.layout.slot_b.offset + FIRST_PART),
            Place::Ram => Ok(self.layout.ram_for(Purpose::Image).next().context("the layout has no RAM for images")?.base),
        }
    }

    fn pack(&self, image: &Image, payload: &Path, output: &Path) -> Result<()> {
        let product = match image.product {
            Product::Own => self.layout.product.clone(),
            Product::Other => format!("{}-other", self.layout.product),
        };
        let mut command = Command::new(&self.hosttool);
        command.args(["pack", "--product", &product, "--version", &image.version.to_string()]);
        command.args(["--security-counter", &image.security_counter.to_string(), "--slot", slot_word(image.slot)]);
        if image.hardware == Hardware::OtherRevision {
            command.args(["--hw", &format!("{:#x}", 1u32 << ((self.layout.hardware + 1) % 32))]);
        }
        for key in image.revoke {
            command.args(["--revoke", &key.id(&self.workspace)?]);
        }
        command.arg("--part").arg(format!("firmware={},place={}", payload.display(), self.place(image.place)?));
        self.hosttool(command.arg("-o").arg(output))
    }

    /// The placement as `pack` takes it.
    fn place(&self, place: Place) -> Result<String> {
        match place {
            Place::InA | Place::InB => Ok("inplace".to_owned()),
            Place::Ram => Ok(format!("{:#x}", self.address(place)?)),
        }
    }
}

fn hash(image: &Image) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    hasher.finish()
}

fn assignment(name: &str, path: &Path) -> std::ffi::OsString {
    let mut assignment = std::ffi::OsString::from(format!("{name}="));
    assignment.push(path);
    assignment
}

/// The part of the flash that nothing was assembled for reads as erased, up to the emulator's size.
fn extend_erased(path: &Path) -> Result<()> {
    use std::io::Write as _;
    let written = std::fs::metadata(path).with_context(|| format!("hosttool assemble made no {}", path.display()))?.len();
    let missing = FLASH_FILE_SIZE.checked_sub(written).with_context(|| format!("{} is larger than the board's flash", path.display()))?;
    let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
    file.write_all(&vec![0xff; usize::try_from(missing)?]).with_context(|| format!("can not extend {}", path.display()))
}

const fn place_word(place: Place) -> &'static str {
    match place {
        Place::InA => "a",
        Place::InB => "b",
        Place::Ram => "ram",
    }
}

const fn slot_word(slot: SlotRule) -> &'static str {
    match slot {
        SlotRule::A => "a",
        SlotRule::Any => "any",
    }
}

impl Key {
    /// The key's id: the first 8 bytes of SHA-256 over its raw bytes, in hexadecimal.
    fn id(self, workspace: &Workspace) -> Result<String> {
        let trust = Trust::read(&workspace.path("qemu-boards/test-keys").join(AnchorFile::TwoOfThree.file()))?;
        let name = format!("test-{}", self.file_stem());
        let key = trust.keys().iter().find(|key| key.name == name).with_context(|| format!("no published trust file names {name}"))?;
        Ok(Sha256::digest(key.public).iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }
}

//! A small disk with signed images on it, and what a loader hands over about them.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ed25519_dalek::{Signer as _, SigningKey};
use twinslot_agent::FileStorage;
use twinslot_bootloader::anchor::key_id;
use twinslot_bootloader::crypto::{Builtin, Crypto as _, Digest};
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::{Booted, HANDOFF_SIZE, Handoff, Reads, Verdict};
use twinslot_bootloader::image::chunks::CHUNK_SIZE;
use twinslot_bootloader::image::draft::{add_signature, unsigned_header};
use twinslot_bootloader::image::manifest::{Check, Encoding, Kind, Manifest, Part, Place, SlotRule, Version};
use twinslot_bootloader::image::{HEADER_SIZE, SIGNED_SIZE, SignatureEntry, short_digest};
use twinslot_bootloader::journal::{Journal, Phase, SlotState, State};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::slot::{BySlot, Slot};
use twinslot_bootloader::verity::Verity;
use twinslot_config::{Layout, Trust};

pub(crate) const LAYOUT_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/layout.toml");

/// The published key that `trust.toml` of the boards names first.
pub(crate) const TRUST_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../qemu-boards/test-keys/trust.toml");
const KEY: &str = include_str!("../../../qemu-boards/test-keys/key-1.key.pem");

/// A root file system of two blocks and the block of hashes over them.
pub(crate) const VERITY: Verity = Verity { data_blocks: 2, salt: [0xa5; 32], root_hash: [0x0f; 32] };

pub(crate) fn layout() -> Layout {
    Layout::read(Path::new(LAYOUT_PATH)).expect("the layout of the tests")
}

/// Runs the agent.
pub(crate) fn output_of(agent: &mut Command) -> Output {
    agent.output().expect("the agent runs")
}

/// A disk in a folder of its own.
pub(crate) struct Host {
    pub(crate) folder: tempfile::TempDir,
    digests: BySlot<Digest>,
}

impl Host {
    /// Both slots hold an image, in these phases; `running` is preferred, and in flight when it is a trial.
    pub(crate) fn new(running: Slot, phases: BySlot<Phase>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = std::fs::File::create(folder.path().join("disk")).expect("a disk");
        let layout = layout();
        file.set_len(layout.flash_extent()).expect("a longer file");
        let mut digests = BySlot { a: [0; 32], b: [0; 32] };
        for (slot, span) in [(Slot::A, layout.slot_a), (Slot::B, layout.slot_b)] {
            let (image, digest) = image(slot as u16 + 1);
            file.write_all_at(&image, span.offset).expect("an image");
            *digests.of_mut(slot) = digest;
        }
        let host = Self { folder, digests };
        host.commit(running, phases, &layout);
        host
    }

    fn commit(&self, running: Slot, phases: BySlot<Phase>, layout: &Layout) {
        let mut state = State::new(0);
        for slot in Slot::BOTH {
            let digest = short_digest(self.digests.of(slot));
            *state.slots.of_mut(slot) = match phases.of(slot) {
                Phase::Confirmed => SlotState::confirmed(digest),
                Phase::Trial => SlotState::trial(digest, &layout.policy),
                Phase::Rejected => SlotState::trial(digest, &layout.policy).rejected(Reason::Operator),
                Phase::Empty => continue,
            };
        }
        state.preferred = running;
        state.in_flight = (*phases.of(running) == Phase::Trial).then_some(running);
        let mut storage = FileStorage::open(&self.disk(), layout).expect("storage");
        let mut journal = Journal::open(&mut storage, &layout.policy);
        let sequence = journal.sequence();
        journal.commit(&mut storage, &layout.policy, sequence, &state).expect("a commit");
    }

    pub(crate) fn disk(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// The state that the journal holds.
    pub(crate) fn state(&self) -> State {
        let layout = layout();
        let mut storage = FileStorage::open_read_only(&self.disk(), &layout).expect("storage");
        *Journal::open(&mut storage, &layout.policy).state().expect("a state")
    }

    /// Flips a bit so many bytes behind a slot's start.
    pub(crate) fn flip(&self, slot: Slot, offset: u64) {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(self.disk()).expect("the disk");
        let layout = layout();
        let at = if slot == Slot::A { layout.slot_a } else { layout.slot_b }.offset + offset;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("a byte");
        file.write_all_at(&[byte[0] ^ 1], at).expect("a byte");
    }

    /// What a loader hands over that booted a slot.
    pub(crate) fn handoff(&self, slot: Slot, why: Why) -> Handoff {
        let anchor = Trust::read(Path::new(TRUST_PATH)).expect("the trust of the boards").anchor();
        Handoff {
            loader_version: 1,
            reads: Reads::of_this_build(&anchor),
            booted: Booted::Slot(slot),
            phase: if why == Why::Trial { Phase::Trial } else { Phase::Confirmed },
            attempts_left: 3,
            why,
            verdicts: BySlot { a: Verdict::NotExamined, b: Verdict::NotExamined },
            last_revert: None,
            reset_cause: ResetCause::PowerOn,
            halt_reason: Reason::None,
            digest: *self.digests.of(slot),
            layout: layout().digest(),
            marks: [0; 4],
        }
    }

    /// Runs the agent on the disk, with a hand-off.
    pub(crate) fn agent(&self, command: &str, handoff: &Handoff, more: &[&str]) -> Output {
        output_of(&mut self.agent_command(command, handoff, more))
    }

    /// The same, to be run by the caller.
    pub(crate) fn agent_command(&self, command: &str, handoff: &Handoff, more: &[&str]) -> Command {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_twinslot-agent"));
        agent.args([command, "--layout", LAYOUT_PATH, "--storage"]).arg(self.disk()).arg("--handoff").arg(self.hand_over(handoff)).args(more);
        agent
    }

    /// Writes a hand-off beside the disk.
    pub(crate) fn hand_over(&self, handoff: &Handoff) -> PathBuf {
        let mut record = [0; HANDOFF_SIZE];
        handoff.encode(&mut record);
        let path = self.folder.path().join("handoff");
        std::fs::write(&path, record).expect("a hand-off");
        path
    }
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// A signed image and its header digest: a kernel, a command line and a root file system.
pub(crate) fn image(minor: u16) -> (Vec<u8>, Digest) {
    let line = VERITY.to_string().into_bytes();
    let parts = [(Kind::Kernel, vec![0x5a; 5000]), (Kind::CommandLine, line), (Kind::RootFs, vec![3; 3 * 4096])];
    let mut image = vec![0; 4096];
    let mut manifest = manifest(minor);
    for (kind, bytes) in parts {
        image.resize(image.len().next_multiple_of(4096), 0);
        let sha256 = if kind == Kind::RootFs { VERITY.root_hash } else { Builtin.digest(&bytes) };
        manifest.parts.push(part(kind, image.len() as u64, bytes.len() as u64, sha256)).expect("room for a part");
        image.extend(bytes);
    }
    let table: Vec<u8> = image[HEADER_SIZE..].chunks(CHUNK_SIZE as usize).flat_map(|chunk| Builtin.digest(chunk)).collect();
    manifest.chunks = Builtin.digest(&table);
    let mut header = unsigned_header(&manifest).expect("a header");
    let key = signing_key();
    let id = key_id(&key.verifying_key().to_bytes(), &mut Builtin);
    let signature = key.sign(&header[..SIGNED_SIZE]).to_bytes();
    add_signature(&mut header, &SignatureEntry { key: id, signature }).expect("a signature");
    image[..header.len()].copy_from_slice(&header);
    (image, Builtin.digest(&header[..SIGNED_SIZE]))
}

fn part(kind: Kind, offset: u64, len: u64, sha256: Digest) -> Part {
    let (place, check) = if kind == Kind::RootFs { (Place::InPlace, Check::ByOs) } else { (Place::Auto, Check::AtBoot) };
    Part { kind, offset, len, mem: len, place, entry: 0, encoding: Encoding::Plain, sha256, check }
}

fn manifest(minor: u16) -> Manifest {
    Manifest {
        product: "twinslot-demo".try_into().expect("a short name"),
        hw: 0,
        version: Version { major: 1, minor, patch: 0, build: 0 },
        security_counter: 1,
        slot: SlotRule::Any,
        revoke: heapless::Vec::new(),
        created: 0,
        build: [0; 32],
        chunks: [0; 32],
        min_loader: 1,
        requires: 0,
        parts: heapless::Vec::new(),
        extra: heapless::Vec::new(),
    }
}

fn signing_key() -> SigningKey {
    use ed25519_dalek::pkcs8::DecodePrivateKey as _;
    SigningKey::from_pkcs8_pem(KEY).expect("a published key")
}

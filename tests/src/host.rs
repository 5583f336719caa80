//! A simulated host and its life: boot, install, confirm, revert; with a power cut at any operation.
//!
//! A step that a cut hits returns an error and everything after it fails until [`Host::power_on`], as on a board.

use embedded_storage::nor_flash::NorFlash;
use twinslot_bootloader::anchor::TrustAnchor;
use twinslot_bootloader::boot::{Config, Event, Outcome, Ports, WatchdogUse, boot};
use twinslot_bootloader::crypto::PublicKey;
use twinslot_bootloader::decide::{Fallback, Why};
use twinslot_bootloader::handoff::{Booted, Handoff};
use twinslot_bootloader::image::Identity;
use twinslot_bootloader::image::chunks::CHUNK_SIZE;
use twinslot_bootloader::install::{Host as WriterHost, InstallError, Session};
use twinslot_bootloader::journal::{Journal, Policy, SlotState, State};
use twinslot_bootloader::load::Memory;
use twinslot_bootloader::reason::ResetCause;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;

use crate::board::{LinuxMemory, SimMachine, SimMemory};
use crate::crypto::CheapCrypto;
use crate::flash::{CacheLoss, SimFlash, Tear};
use crate::image::{Image, ImageBuilder, PRODUCT, Signer};
use crate::storage::{Geometry, SimCounter, SimStorage};

/// What a writer of this host's storage is.
pub type SimSession<'a, const WRITE: usize, const ERASE: usize> = Session<'a, SimStorage<WRITE, ERASE>, CheapCrypto, SimCounter>;

/// The board's revision.
pub const HARDWARE: u8 = 2;

/// The layout digest that loader and writers share.
pub const LAYOUT: [u8; 32] = [0x1a; 32];

/// What kind of host it is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whom it trusts.
    pub anchor: TrustAnchor,
    /// What loader and writers agree on.
    pub policy: Policy,
    /// When the watchdog is armed.
    pub watchdog: WatchdogUse,
    /// Whether there is a golden image.
    pub golden: Fallback,
    /// Whether there is a recovery.
    pub recovery: Fallback,
}

impl Settings {
    /// Three cheap keys, of which `threshold` must sign; a watchdog; neither golden image nor recovery.
    ///
    /// # Panics
    /// When the threshold is not 1..=3.
    #[must_use]
    pub fn new(threshold: u8) -> Self {
        let keys: Vec<PublicKey> = (1..=3).map(|number| Signer::cheap(number).public()).collect();
        Self {
            anchor: TrustAnchor::new(&keys, threshold, 0, &mut CheapCrypto).expect("three good keys"),
            policy: Policy::DEFAULT,
            watchdog: WatchdogUse::Trials,
            golden: Fallback::Absent,
            recovery: Fallback::Absent,
        }
    }
}

/// A host.
#[derive(Debug, Clone)]
pub struct Host<const WRITE: usize, const ERASE: usize> {
    /// Its storage.
    pub storage: SimStorage<WRITE, ERASE>,
    /// Its memory.
    pub memory: SimMemory,
    /// The rest of it.
    pub machine: SimMachine,
    /// Its monotonic counter.
    pub counter: SimCounter,
    /// What kind of host it is.
    pub settings: Settings,
    /// What its loader told last.
    pub handoff: Handoff,
}

/// What became of a boot.
#[derive(Debug)]
pub struct Boot {
    /// How it ended.
    pub outcome: Outcome,
    /// What the loader told.
    pub handoff: Handoff,
    /// What it logged.
    pub events: Vec<Event>,
    /// Operations on the flash.
    pub operations: u64,
}

impl Boot {
    /// The slot that runs and why; `None` for anything else.
    #[must_use]
    pub const fn slot(&self) -> Option<(Slot, Why)> {
        match (&self.outcome, self.handoff.booted) {
            (Outcome::Boot(_), Booted::Slot(slot)) => Some((slot, self.handoff.why)),
            _ => None,
        }
    }
}

impl<const WRITE: usize, const ERASE: usize> Host<WRITE, ERASE>
where
    SimFlash<WRITE, ERASE>: NorFlash,
{
    /// A host with blank storage and one key needed to sign.
    #[must_use]
    pub fn new(geometry: Geometry) -> Self {
        Self::with(geometry, Settings::new(1))
    }

    /// A host with blank storage.
    #[must_use]
    pub fn with(geometry: Geometry, settings: Settings) -> Self {
        let handoff = Handoff::new(&settings.anchor, LAYOUT, ResetCause::PowerOn);
        Self {
            storage: SimStorage::new(geometry),
            memory: SimMemory::new(64 * 1024, 1024),
            machine: SimMachine::default(),
            counter: SimCounter::default(),
            settings,
            handoff,
        }
    }

    /// A host whose slot A holds `image`, confirmed and running.
    ///
    /// # Panics
    /// When it does not boot.
    #[must_use]
    pub fn running(geometry: Geometry, image: &Image) -> Self {
        let mut host = Self::new(geometry);
        host.storage.put(Region::Slot(Slot::A), &image.slot);
        let mut state = State::new(0);
        state.slots.a = SlotState::confirmed(image.short_digest());
        host.set_state(&state);
        let boot = host.boot(ResetCause::PowerOn);
        assert_eq!(boot.slot(), Some((Slot::A, Why::Confirmed)));
        host
    }

    /// Starts the machine: runs the loader.
    pub fn boot(&mut self, reset_cause: ResetCause) -> Boot {
        self.machine.reset();
        for region in [Region::Slot(Slot::A), Region::Slot(Slot::B), Region::Golden] {
            self.memory.map_region(region, self.storage.bytes(region));
        }
        let mut memory = core::mem::replace(&mut self.memory, SimMemory::new(0, 0));
        let boot = self.load_with(&mut memory, reset_cause);
        self.memory = memory;
        boot
    }

    /// Starts a machine that boots Linux, with the storage of this one.
    pub fn boot_linux(&mut self, reset_cause: ResetCause) -> Boot {
        self.machine.reset();
        self.load_with(&mut LinuxMemory(SimMemory::new(16 << 20, 1024)), reset_cause)
    }

    fn load_with(&mut self, memory: &mut impl Memory, reset_cause: ResetCause) -> Boot {
        let before = self.storage.flash.counters().operations();
        let mut handoff = Handoff::new(&self.settings.anchor, LAYOUT, reset_cause);
        let config = Config {
            identity: identity(),
            anchor: &self.settings.anchor,
            policy: self.settings.policy,
            layout: LAYOUT,
            watchdog: self.settings.watchdog,
            golden: self.settings.golden,
            recovery: self.settings.recovery,
            counter_floor: self.counter.value,
            reset_cause,
        };
        let mut ports = Ports { storage: &mut self.storage, memory, crypto: &mut CheapCrypto, machine: &mut self.machine };
        let outcome = boot(&mut ports, &config, &mut handoff);
        if let Outcome::Boot(bootable) = &outcome {
            assert_eq!(bootable.missing(), 0, "the second line refuses what the first one accepts: {handoff:?}");
        }
        self.handoff = handoff.clone();
        let operations = self.storage.flash.counters().operations() - before;
        Boot { outcome, handoff, events: self.machine.events.clone(), operations }
    }

    /// Lets the writer of the running system do something.
    ///
    /// # Errors
    /// What the writer refuses or fails at.
    pub fn write<T>(&mut self, work: impl FnOnce(&mut SimSession<'_, WRITE, ERASE>) -> Result<T, InstallError>) -> Result<T, InstallError> {
        let host = writer_host(&self.settings);
        let mut crypto = CheapCrypto;
        let mut session = Session::open(&mut self.storage, &mut crypto, &mut self.counter, host, &self.handoff)?;
        work(&mut session)
    }

    /// Lets a tool write while nothing runs.
    ///
    /// # Errors
    /// What the writer refuses or fails at.
    pub fn write_offline<T>(&mut self, work: impl FnOnce(&mut SimSession<'_, WRITE, ERASE>) -> Result<T, InstallError>) -> Result<T, InstallError> {
        let host = writer_host(&self.settings);
        let mut crypto = CheapCrypto;
        let mut session = Session::offline(&mut self.storage, &mut crypto, &mut self.counter, host);
        work(&mut session)
    }

    /// Installs an image into the inactive slot, resuming what an earlier install left.
    ///
    /// # Errors
    /// What the writer refuses or fails at.
    pub fn install(&mut self, image: &Image) -> Result<(), InstallError> {
        self.write(|session| {
            let slot = session.inactive()?;
            let mut install = session.install(slot, image.header(), &image.table)?;
            while let Some(index) = install.next_chunk() {
                install.write_chunk(image.chunk(index))?;
            }
            install.finish()
        })
    }

    /// Confirms the running trial.
    ///
    /// # Errors
    /// What the writer refuses or fails at.
    pub fn confirm(&mut self) -> Result<(), InstallError> {
        self.write(|session| session.confirm())
    }

    /// Gives the running trial up.
    ///
    /// # Errors
    /// What the writer refuses or fails at.
    pub fn revert(&mut self) -> Result<(), InstallError> {
        self.write(|session| session.revert())
    }

    /// Installs, boots the trial and confirms it.
    ///
    /// # Errors
    /// What the writer refuses or fails at.
    ///
    /// # Panics
    /// When the trial is not booted.
    pub fn update(&mut self, image: &Image) -> Result<(), InstallError> {
        self.install(image)?;
        let boot = self.boot(ResetCause::Software);
        assert!(matches!(boot.slot(), Some((_, Why::Trial))), "the armed trial boots: {boot:?}");
        self.confirm()
    }

    /// The boot state; `None` when the journal is lost.
    pub fn state(&mut self) -> Option<State> {
        self.journal().state().copied()
    }

    /// The journal as it is.
    pub fn journal(&mut self) -> Journal {
        Journal::open(&mut self.storage, &self.settings.policy)
    }

    /// Commits a state as a test needs it.
    ///
    /// # Panics
    /// When it can not be committed.
    pub fn set_state(&mut self, state: &State) {
        let policy = self.settings.policy;
        let mut journal = self.journal();
        let expected = journal.sequence();
        journal.commit(&mut self.storage, &policy, expected, state).expect("a possible state on good flash");
    }

    /// Cuts the power at the operation `at` from now on.
    pub fn cut_at(&mut self, at: u64, tear: Tear) {
        self.storage.flash.cut_at(at, tear, CacheLoss::All);
    }

    /// Gives power again.
    pub fn power_on(&mut self) {
        self.storage.flash.power_on();
    }

    /// Fails when a rule of the flash was broken.
    ///
    /// # Panics
    /// When one was.
    pub fn assert_flash_rules(&self) {
        assert!(self.storage.flash.breaches().is_empty(), "flash rules broken: {:?}", self.storage.flash.breaches());
    }
}

/// What the simulated host is.
#[must_use]
pub const fn identity() -> Identity<'static> {
    Identity { product: PRODUCT, hardware: HARDWARE }
}

const fn writer_host(settings: &Settings) -> WriterHost<'_> {
    WriterHost { identity: identity(), anchor: &settings.anchor, policy: settings.policy, layout: LAYOUT }
}

/// An image that a host with [`Settings::new`] accepts; the seed names it.
#[must_use]
pub fn image(seed: u16) -> Image {
    signed(ImageBuilder::new(seed))
}

/// The same for a draft.
#[must_use]
pub fn signed(builder: ImageBuilder) -> Image {
    builder.signer(Signer::cheap(1)).build(&mut CheapCrypto)
}

/// An image of more than two chunks, in place because no RAM would hold it. Runs from `region`.
#[must_use]
pub fn large_image(seed: u16, region: Region) -> Image {
    use crate::image::PartDraft;
    use twinslot_bootloader::image::manifest::Place;
    let address = crate::board::mapped_address(region).map_or(0, |base| base + 4096);
    let len = 2 * CHUNK_SIZE as usize + 70_000;
    signed(ImageBuilder::new(seed).parts(vec![PartDraft::firmware(u64::from(seed), len, Place::InPlace, address)]))
}

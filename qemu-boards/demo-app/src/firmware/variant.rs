//! Which application this is: words that tools fill in after the build.

use twinslot_bootloader::image::manifest::Version;

/// Behaviour and version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variant {
    pub(super) behaviour: Behaviour,
    pub(super) version: Version,
}

/// What the application does when it is on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Confirms itself.
    Healthy,
    /// Spins until the watchdog bites.
    Hangs,
    /// Takes a fault.
    Crashes,
    /// Resets the machine without confirming.
    Silent,
}

/// Behaviour, major, minor, patch, build.
type Words = [u32; 5];

#[expect(unsafe_code, reason = "tools find the words by their section")]
// SAFETY: the linker script gives the section a place of its own in read-only memory; the static is plain words.
#[unsafe(link_section = ".twinslot.variant")]
#[used]
static VARIANT: Words = [0, 1, 0, 0, 0];

impl Variant {
    /// What the words say. Numbers that are no behaviour count as healthy, and version fields keep their lower half: the words are trusted like code.
    #[expect(unsafe_code, reason = "the compiler must not know what the words were at build time")]
    pub(super) fn read() -> Self {
        // SAFETY: a static may always be read; volatile, because tools changed it after the compiler saw it.
        let [behaviour, major, minor, patch, build] = unsafe { (&raw const VARIANT).read_volatile() };
        let [major, minor, patch] = [major, minor, patch].map(|field| field as u16);
        Self { behaviour: Behaviour::of(behaviour), version: Version { major, minor, patch, build } }
    }
}

impl Behaviour {
    const fn of(word: u32) -> Self {
        match word {
            1 => Self::Hangs,
            2 => Self::Crashes,
            3 => Self::Silent,
            _ => Self::Healthy,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Hangs => "hangs",
            Self::Crashes => "crashes",
            Self::Silent => "silent",
        }
    }
}

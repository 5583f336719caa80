//! What runs is what was verified (U-Boot CVE-2020-10648: the signature of one configuration was checked and another one was booted).
//!
//! Both images of these hosts run at the same address, so that the one that was looked at last lies where the other one would run.

use embedded_storage::nor_flash::NorFlash;
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::Verdict;
use twinslot_bootloader::journal::{SlotState, State};
use twinslot_bootloader::reason::ResetCause;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::board::RAM_BASE;
use twinslot_tests::flash::SimFlash;
use twinslot_tests::host::{Boot, Host, signed};
use twinslot_tests::image::{Image, ImageBuilder};
use twinslot_tests::on_every_geometry;
use twinslot_tests::storage::Geometry;

fn with_counter(seed: u16, counter: u32) -> Image {
    signed(ImageBuilder::new(seed).counter(counter))
}

/// The boot chose this slot for this reason, and the bytes that run are those of the image.
#[track_caller]
fn assert_runs<const WRITE: usize, const ERASE: usize>(host: &Host<WRITE, ERASE>, boot: &Boot, image: &Image, expected: (Slot, Why))
where
    SimFlash<WRITE, ERASE>: NorFlash,
{
    assert_eq!(boot.slot(), Some(expected), "{boot:?}");
    let part = &image.manifest.parts[0];
    let signed = &image.slot[part.offset as usize..(part.offset + part.len) as usize];
    assert_eq!(host.memory.peek(RAM_BASE, part.len), signed, "the bytes that run are those of the image that the hand-off names");
    assert_eq!(boot.handoff.digest, image.digest);
}

#[test]
fn the_image_that_runs_is_the_chosen_one_although_the_other_was_verified_after_it() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        // A lost journal has both examined, A first and B last; whichever is chosen, its own bytes run.
        for (counter_a, counter_b, chosen) in [(6, 5, Slot::A), (5, 6, Slot::B)] {
            let (a, b) = (with_counter(1, counter_a), with_counter(2, counter_b));
            let mut host = Host::<WRITE, ERASE>::new(geometry);
            host.storage.put(Region::Slot(Slot::A), &a.slot);
            host.storage.put(Region::Slot(Slot::B), &b.slot);
            let boot = host.boot(ResetCause::PowerOn);
            assert_eq!((boot.handoff.verdicts.a, boot.handoff.verdicts.b), (Verdict::Verified, Verdict::Verified), "both were examined");
            assert_runs(&host, &boot, if chosen == Slot::A { &a } else { &b }, (chosen, Why::Trial));
        }
    }
    on_every_geometry!(check);
}

#[test]
fn the_fallback_runs_its_own_bytes_after_a_refused_trial_was_loaded() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let [a, b, armed] = [1, 2, 3].map(|seed| with_counter(seed, 5));
        let mut host = Host::<WRITE, ERASE>::running(geometry, &a);
        // Another authentic image than the armed one lies in slot B: it verifies, it is loaded, and it must not run.
        host.storage.put(Region::Slot(Slot::B), &b.slot);
        let state = host.state().expect("a journal");
        let policy = host.settings.policy;
        let mut next = State { preferred: Slot::B, ..state };
        next.slots.b = SlotState::trial(armed.short_digest(), &policy);
        host.set_state(&next);
        let boot = host.boot(ResetCause::PowerOn);
        assert_runs(&host, &boot, &a, (Slot::A, Why::Confirmed));
    }
    on_every_geometry!(check);
}

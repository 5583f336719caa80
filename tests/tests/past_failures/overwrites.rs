//! A slot that is being overwritten is not what it was (ESP-IDF #14808: an update that stopped half way left the mark "valid" of the image before).

use embedded_storage::nor_flash::NorFlash;
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::journal::{Phase, SlotState, State};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::flash::{SimFlash, Tear};
use twinslot_tests::host::{Host, image};
use twinslot_tests::image::Image;
use twinslot_tests::on_every_geometry;
use twinslot_tests::storage::Geometry;

const B: Region = Region::Slot(Slot::B);

/// Slot A confirmed and running; slot B holds `old` in this state.
fn beside<const WRITE: usize, const ERASE: usize>(geometry: Geometry, old: &Image, entry: SlotState) -> Host<WRITE, ERASE>
where
    SimFlash<WRITE, ERASE>: NorFlash,
{
    let mut host = Host::running(geometry, &image(1));
    host.storage.put(B, &old.slot);
    let mut state: State = host.state().expect("a journal");
    state.slots.b = entry;
    host.set_state(&state);
    host
}

#[test]
fn no_byte_of_a_slot_changes_while_the_journal_still_vouches_for_what_it_held() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (old, new) = (image(2), image(3));
        let confirmed = SlotState::confirmed(old.short_digest());
        for entry in [confirmed, confirmed.rejected(Reason::Watchdog)] {
            let start = beside::<WRITE, ERASE>(geometry, &old, entry);
            let mut whole = start.clone();
            whole.install(&new).expect("an install on good flash");
            let operations = whole.storage.flash.counters().operations() - start.storage.flash.counters().operations();
            for (at, tear) in (0..operations).flat_map(|at| Tear::ALL.map(|tear| (at, tear))) {
                let mut host = start.clone();
                host.cut_at(at, tear);
                assert!(host.install(&new).is_err(), "the power is cut");
                host.power_on();
                let is_untouched = host.storage.bytes(B) == start.storage.bytes(B);
                let now = host.state().expect("a journal").slots.b;
                let is_new = now.phase == Phase::Trial && now.digest == new.short_digest();
                let context = format!("{} cut at {at}, {tear:?}", geometry.name);
                assert!(is_untouched || now.phase == Phase::Empty || is_new, "{context}: {now:?}");
                let boot = host.boot(ResetCause::PowerOn);
                let expected = if is_new { (Slot::B, Why::Trial) } else { (Slot::A, Why::Confirmed) };
                assert_eq!(boot.slot(), Some(expected), "{context}");
            }
        }
    }
    on_every_geometry!(check);
}

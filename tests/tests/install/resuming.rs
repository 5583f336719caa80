//! What an install keeps of what a slot holds, and where it erases.

use twinslot_bootloader::decide::Why;
use twinslot_bootloader::image::HEADER_SIZE;
use twinslot_bootloader::image::chunks::CHUNK_SIZE;
use twinslot_bootloader::image::manifest::Place;
use twinslot_bootloader::install::{Refusal, Running};
use twinslot_bootloader::journal::{FloorRaise, Phase, SlotState, State};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::geometry::{BLOCKS, NOR};
use twinslot_tests::host::{Host, image, large_image, signed};
use twinslot_tests::image::{Image, ImageBuilder, PartDraft};
use twinslot_tests::storage::Geometry;

use crate::hosts::{A, B, Nor, on_trial, phases, refused, rejected, updated};

const LARGE: Geometry = Geometry { slot_size: 768 * 1024, ..NOR };

/// An image that runs where it is stored in slot B and ends `behind` bytes behind its first chunk.
fn just_over_one_chunk(seed: u16, behind: usize) -> Image {
    let address = twinslot_tests::board::mapped_address(B).expect("mapped") + 4096;
    let len = 1024 + CHUNK_SIZE as usize + behind - 4096;
    signed(ImageBuilder::new(seed).parts(vec![PartDraft::firmware(u64::from(seed), len, Place::InPlace, address)]))
}

#[test]
fn a_chunk_that_ends_in_an_erased_unit_erases_nothing_more() {
    let mut host = Nor::running(LARGE, &image(1));
    let new = just_over_one_chunk(2, 100);
    assert_eq!(new.chunk_count(), 2);
    host.install(&new).expect("an install");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
    host.assert_flash_rules();
}

#[test]
fn a_slot_with_the_right_header_and_a_damaged_part_is_written_anew() {
    let new = large_image(2, B);
    let mut host = Nor::running(LARGE, &image(1));
    host.storage.put(B, &new.slot);
    host.storage.flip(B, 4096 + 300_000, 2);
    let start = host.write(|session| {
        let slot = session.inactive()?;
        Ok(session.install(slot, new.header(), &new.table)?.next_chunk())
    });
    assert_eq!(start, Ok(Some(0)), "a header on the medium tells nothing about the parts");
    host.install(&new).expect("an install");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
    host.assert_flash_rules();
}

#[test]
fn a_slot_that_holds_everything_but_the_header_needs_the_header_only() {
    let new = large_image(2, B);
    let mut host = Nor::running(LARGE, &image(1));
    host.storage.put(B, &[&[0xff; 1024], &new.slot[1024..]].concat());
    let before = host.storage.flash.counters().erases;
    host.install(&new).expect("an install");
    assert_eq!(host.storage.flash.counters().erases, before, "nothing was erased");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
}

#[test]
fn chunks_behind_a_header_that_one_erase_took_with_it_are_not_relied_on() {
    let new = image(2);
    let mut host = Host::<512, 65_536>::running(BLOCKS, &image(1));
    // What an erase that was cut may leave of a unit that held the whole image.
    host.storage.put(B, &[&[0xff; HEADER_SIZE], &new.slot[HEADER_SIZE..]].concat());
    let resumed = host.write(|session| {
        let slot = session.inactive()?;
        Ok(session.install(slot, new.header(), &new.table)?.next_chunk())
    });
    assert_eq!(resumed, Ok(Some(0)), "the unit must be erased again, and its chunks with it");
    host.install(&new).expect("an install");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
    host.assert_flash_rules();
}

#[test]
fn an_installer_knows_how_many_chunks_it_has_to_bring() {
    let new = large_image(2, B);
    let told = Nor::running(LARGE, &image(1)).write(|session| {
        let slot = session.inactive()?;
        Ok(session.install(slot, new.header(), &new.table)?.chunk_count())
    });
    assert_eq!(told, Ok(3), "two whole ones and a short one");
}

#[test]
fn an_install_resumes_at_the_unit_that_holds_the_first_bad_byte() {
    let new = large_image(2, B);
    for chunks in 0..3 {
        let mut host = Nor::running(LARGE, &image(1));
        // Cut after `chunks` whole chunks: the slot holds them, the header's place reads blank.
        let kept = 1024 + chunks * CHUNK_SIZE as usize;
        host.storage.put(B, &[&[0xff; 1024], &new.slot[1024..kept.max(1024)]].concat());
        let resumed = host.write(|session| {
            let slot = session.inactive()?;
            Ok(session.install(slot, new.header(), &new.table)?.next_chunk())
        });
        // The unit that holds the chunk's start is erased with the end of the chunk before it, which is verified and written once more.
        assert_eq!(resumed, Ok(Some(chunks.saturating_sub(1) as u64)), "{chunks} chunks");
        let before = host.storage.flash.counters().erases;
        host.install(&new).expect("an install");
        let erased = (host.storage.flash.counters().erases - before) * 4096;
        let needed = new.slot.len() as u64 - kept as u64;
        assert!(erased < needed + 3 * 4096, "{erased} bytes erased for {needed} that were missing");
        assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
    }
}

#[test]
fn an_installer_sees_what_it_installs_and_writes_no_chunk_too_many() {
    let new = image(2);
    let mut host = Nor::running(NOR, &image(1));
    let running = Running::Slot { slot: Slot::A, digest: image(1).short_digest(), why: Why::Confirmed };
    host.write(|session| {
        assert_eq!(session.running(), running);
        assert_eq!(session.state().map(|state| state.slots.a.phase), Some(Phase::Confirmed));
        let slot = session.inactive()?;
        let mut install = session.install(slot, new.header(), &new.table)?;
        assert_eq!((install.slot(), install.chunk_count(), install.next_chunk()), (Slot::B, 1, Some(0)));
        assert_eq!(install.header().short_digest(), new.short_digest());
        assert_eq!(install.leaves_no_fallback(), Ok(false));
        install.write_chunk(new.chunk(0))?;
        assert_eq!(install.next_chunk(), None);
        for extra in [new.chunk(0), &[]] {
            assert_eq!(install.write_chunk(extra), rejected(Rejection::ChunkMismatch));
        }
        install.finish()
    })
    .expect("the image is whole");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
}

#[test]
fn the_first_image_of_a_host_has_no_fallback() {
    let mut host = Nor::new(NOR);
    let new = image(1);
    let told = host.write_offline(|session| {
        let slot = session.inactive()?;
        assert_eq!(slot.slot(), Slot::B, "the slot that is not preferred");
        session.install(slot, new.header(), &new.table)?.leaves_no_fallback()
    });
    assert_eq!(told, Ok(true));
}

#[test]
fn a_tool_writes_the_slot_that_is_worth_less() {
    let spare = |phases: [Phase; 2], preferred| {
        let mut host = Nor::new(NOR);
        let of = |phase, seed: u16| match phase {
            Phase::Empty => SlotState::empty(Reason::None),
            Phase::Trial => SlotState::trial(image(seed).short_digest(), &host.settings.policy),
            Phase::Confirmed => SlotState::confirmed(image(seed).short_digest()),
            Phase::Rejected => SlotState::confirmed(image(seed).short_digest()).rejected(Reason::Operator),
        };
        let mut state = State::new(0);
        (state.slots.a, state.slots.b, state.preferred) = (of(phases[0], 1), of(phases[1], 2), preferred);
        host.set_state(&state);
        host.write_offline(|session| session.inactive().map(|slot| slot.slot()))
    };
    use Phase::{Confirmed, Empty, Rejected, Trial};
    assert_eq!(spare([Confirmed, Confirmed], Slot::A), Ok(Slot::B), "not the preferred one");
    assert_eq!(spare([Confirmed, Confirmed], Slot::B), Ok(Slot::A));
    assert_eq!(spare([Trial, Confirmed], Slot::A), Ok(Slot::A), "not the confirmed one");
    assert_eq!(spare([Confirmed, Rejected], Slot::B), Ok(Slot::B));
    assert_eq!(spare([Confirmed, Empty], Slot::A), Ok(Slot::B));
    assert_eq!(spare([Trial, Trial], Slot::B), Ok(Slot::A));
}

#[test]
fn a_trial_in_flight_that_is_overwritten_or_armed_anew_is_in_flight_no_more() {
    for overwrite in [true, false] {
        let (mut host, ..) = on_trial(NOR);
        assert_eq!(host.state().expect("a journal").in_flight, Some(Slot::B));
        let done = host.write_offline(|session| {
            if !overwrite {
                return session.arm(Slot::B);
            }
            let new = image(3);
            let slot = session.inactive_slot(Slot::B)?;
            session.install(slot, new.header(), &new.table).map(|_| ())
        });
        assert_eq!(done, Ok(()));
        let state = host.state().expect("a journal");
        let expected = if overwrite { (Phase::Empty, Slot::A) } else { (Phase::Trial, Slot::B) };
        assert_eq!((state.in_flight, (state.slots.b.phase, state.preferred)), (None, expected));
    }
}

#[test]
fn the_trial_in_the_other_slot_stays_in_flight() {
    let (mut host, ..) = updated();
    host.install(&image(3)).expect("an install");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::A, Why::Trial)));
    for overwrite in [true, false] {
        let mut host = host.clone();
        let mut state = host.state().expect("a journal");
        state.slots.b = SlotState::trial(state.slots.b.digest, &host.settings.policy);
        host.set_state(&state);
        let done = host.write_offline(|session| {
            if !overwrite {
                return session.arm(Slot::B);
            }
            let new = image(4);
            let slot = session.inactive_slot(Slot::B)?;
            session.install(slot, new.header(), &new.table).map(|_| ())
        });
        assert_eq!(done, Ok(()));
        assert_eq!(host.state().expect("a journal").in_flight, Some(Slot::A));
    }
}

#[test]
fn a_confirm_by_a_tool_verifies_what_lies_in_the_slot() {
    let mut host = Nor::new(NOR);
    host.storage.put(A, &image(1).slot);
    host.write_offline(|session| session.repair()).expect("good flash");
    host.storage.flip(A, 4096 + 9, 0);
    assert_eq!(host.write_offline(|session| session.confirm_offline(Slot::A)), rejected(Rejection::DigestMismatch));
    assert_eq!(phases(&mut host), (Phase::Trial, Phase::Empty));
}

#[test]
fn the_floor_stays_while_the_other_slot_holds_another_image_than_the_journal_says() {
    let (mut host, ..) = updated();
    host.settings.policy.floor_raise = FloorRaise::WhenBothSlotsMeetIt;
    let floor = host.state().expect("a journal").floor;
    host.install(&signed(ImageBuilder::new(3).counter(8))).expect("an install");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::A, Why::Trial)));
    host.storage.put(B, &signed(ImageBuilder::new(4).counter(7)).slot);
    host.confirm().expect("the trial runs");
    assert_eq!(host.state().expect("a journal").floor, floor, "nobody confirmed that image");
}

#[test]
fn a_chunk_that_is_shorter_than_a_write_unit_is_written_and_padded() {
    let geometry = Geometry { name: "pages 512/4096", tear_size: 512, ..LARGE };
    let mut host = Host::<512, 4096>::running(geometry, &image(1));
    let new = just_over_one_chunk(2, 100);
    host.install(&new).expect("the largest write unit that there may be");
    assert!(host.storage.bytes(B)[..new.slot.len()] == new.slot[..]);
    assert!(host.storage.bytes(B)[new.slot.len()..].iter().all(|byte| *byte == 0xff), "what erased flash holds");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
    host.assert_flash_rules();
}

#[test]
fn an_install_needs_its_last_chunk() {
    let new = large_image(2, B);
    let mut host = Nor::running(LARGE, &image(1));
    let outcome = host.write(|session| {
        let slot = session.inactive()?;
        let mut install = session.install(slot, new.header(), &new.table)?;
        for index in 0..new.chunk_count() - 1 {
            install.write_chunk(new.chunk(index))?;
        }
        install.finish()
    });
    assert_eq!(outcome, refused(Refusal::Incomplete));
}

#[test]
fn regions_of_a_host_do_not_touch_each_other() {
    let mut host = Nor::running(NOR, &image(1));
    let golden = host.storage.bytes(Region::Golden).to_vec();
    host.install(&image(2)).expect("an install");
    assert!(golden == host.storage.bytes(Region::Golden));
    assert!(host.storage.bytes(A).starts_with(&image(1).slot));
}

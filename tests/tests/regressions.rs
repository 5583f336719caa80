//! One test for each fault that reviews of the core found, named after what holds since.

use twinslot_bootloader::boot::{Event, Outcome};
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::Verdict;
use twinslot_bootloader::image::manifest::{Kind, Place};
use twinslot_bootloader::install::{InstallError, Refusal};
use twinslot_bootloader::journal::{Phase, SlotState, State};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::geometry::NOR;
use twinslot_tests::host::{Host, image, signed};
use twinslot_tests::image::{Image, ImageBuilder, PartDraft, kernel};

const A: Region = Region::Slot(Slot::A);
const B: Region = Region::Slot(Slot::B);
const LOGS: [Region; 2] = [Region::Log0, Region::Log1];

type Nor = Host<4, 4096>;

/// The only confirmed image has rotted, and the rejected one in slot B runs.
fn on_its_last_resort() -> Nor {
    let (a, b) = (image(1), image(2));
    let mut host = Nor::running(NOR, &a);
    host.storage.put(B, &b.slot);
    let mut state = host.state().expect("a journal");
    state.slots.b = SlotState::confirmed(b.short_digest()).rejected(Reason::HealthCheck);
    host.set_state(&state);
    host.storage.flip(A, 4096 + 7, 1);
    assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::B, Why::LastResort)));
    host
}

#[test]
fn a_host_on_its_last_resort_can_be_updated() {
    let mut host = on_its_last_resort();
    assert_eq!(host.install(&image(3)), Ok(()), "the confirmed image was refused in this boot: {:?}", host.handoff.verdicts.a);
}

#[test]
fn a_trial_that_never_ran_pays_nothing() {
    let mut host = Nor::running(NOR, &image(1));
    host.install(&image(2)).expect("an install");
    host.machine.broken_watchdog = true;
    for _ in 0..4 {
        host.boot(ResetCause::Software);
    }
    let entry = host.state().expect("a journal").slots.b;
    assert_eq!((entry.phase, entry.reason), (Phase::Rejected, Reason::NoWatchdog), "the confirmed system reset the machine, not the trial");
}

#[test]
fn a_confirm_that_is_committed_is_not_told_as_failed() {
    let of = |seed, counter| signed(ImageBuilder::new(seed).counter(counter));
    let mut host = Nor::running(NOR, &of(1, 5));
    host.install(&of(2, 7)).expect("an install");
    host.boot(ResetCause::Software);
    host.counter.present = true;
    // It answers while the floor is read and fails when it is raised.
    host.counter.fails_to_raise = true;
    assert_eq!(host.confirm(), Err(InstallError::CounterNotRaised));
    assert_eq!(host.state().expect("a journal").slots.b.phase, Phase::Confirmed, "the error says that it is");
    host.counter.fails_to_raise = false;
    host.write(|_session| Ok(())).expect("a session");
    assert_eq!(host.counter.value, 7, "the next session raises what lagged");
}

#[test]
fn floor_survives_a_moment_in_which_no_log_can_be_read() {
    let mut host = Nor::running(NOR, &image(1));
    let state = host.state().expect("a journal");
    host.set_state(&State { floor: 5, ..state });
    host.storage.fail_reads(Region::Log0);
    host.storage.fail_reads(Region::Log1);
    host.boot(ResetCause::PowerOn);
    host.storage.flash.heal();
    host.boot(ResetCause::PowerOn);
    assert_eq!(host.state().expect("a journal").floor, 5);
}

#[test]
fn condemn_goes_to_an_image_that_verifies() {
    let mut host = Nor::running(NOR, &image(1));
    host.update(&image(2)).expect("an update");
    host.boot(ResetCause::Software);
    host.storage.flip(A, 4096 + 7, 1);
    let told = host.write(|session| session.condemn());
    assert!(matches!(told, Err(InstallError::Refused(Refusal::Image(_)))), "{told:?}: there is no image to go to");
}

#[test]
fn a_reason_of_a_newer_writer_does_not_tear_a_record() {
    let mut host = Nor::running(NOR, &image(1));
    let mut state = host.state().expect("a journal");
    state.slots.b.reason = Reason::Other(99);
    host.set_state(&state);
    assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::A, Why::Confirmed)));
    assert_eq!(host.state(), Some(state));
}

#[test]
fn a_good_confirmed_image_stays_untouchable_on_the_last_resort() {
    let mut host = on_its_last_resort();
    host.storage.flip(A, 4096 + 7, 1);
    assert_eq!(host.install(&image(3)), Err(Refusal::OnlyConfirmedSlot.into()), "it was refused at boot and verifies now: nothing proves it dead");
}

#[test]
fn a_slot_that_was_named_before_the_state_changed_is_checked_again() {
    let mut host = Nor::running(NOR, &image(1));
    host.update(&image(2)).expect("an update");
    host.boot(ResetCause::Software);
    let third = image(3);
    let told = host.write(|session| {
        let slot = session.inactive()?;
        session.condemn()?;
        session.install(slot, third.header(), &third.table).map(|_| ())
    });
    assert_eq!(told, Err(Refusal::OnlyConfirmedSlot.into()));

    let mut host = Nor::running(NOR, &image(1));
    host.update(&image(2)).expect("an update");
    host.boot(ResetCause::Software);
    let slot = host.write_offline(|session| session.inactive_slot(Slot::B)).expect("a slot of another session");
    assert_eq!(host.write(|session| session.install(slot, third.header(), &third.table).map(|_| ())), Err(Refusal::RunningSlot.into()));
}

#[test]
fn an_update_that_failed_from_the_last_resort_does_not_win_the_last_resort() {
    for cause in [ResetCause::Watchdog, ResetCause::Fault, ResetCause::Software, ResetCause::Unknown] {
        let mut host = on_its_last_resort();
        host.install(&signed(ImageBuilder::new(3).counter(9))).expect("the way out");
        for _ in 0..3 {
            assert_eq!(host.boot(cause).slot(), Some((Slot::A, Why::Trial)));
        }
        assert_eq!(host.boot(cause).slot(), Some((Slot::B, Why::LastResort)), "the image that installed the update goes on");
    }
}

#[test]
fn a_floor_that_somebody_wrote_into_the_journal_does_not_reach_the_counter() {
    let mut host = Nor::running(NOR, &signed(ImageBuilder::new(1).counter(3)));
    let state = host.state().expect("a journal");
    host.counter.present = true;
    host.set_state(&State { floor: u32::MAX, ..state });
    host.write(|_session| Ok(())).expect("a session");
    assert_eq!(host.counter.value, 3, "what the confirmed image's signed header vouches for, and no more");
}

/// Boots a host whose slot B hangs, until it does not start B as a trial any more.
fn boot_while_it_hangs(host: &mut Nor) -> Option<(Slot, Why)> {
    (0..8).map(|_| host.boot(ResetCause::Watchdog).slot()).find(|ended| *ended != Some((Slot::B, Why::Trial))).flatten()
}

#[test]
fn a_hung_update_does_not_win_over_an_image_that_could_not_be_read_once() {
    let mut host = Nor::new(NOR);
    host.storage.put(A, &image(1).slot);
    host.storage.put(B, &image(2).slot);
    host.storage.fail_reads(A);
    assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::B, Why::Trial)), "the journal is lost, and only B can be read");
    host.storage.flash.heal();
    assert_eq!(boot_while_it_hangs(&mut host), Some((Slot::A, Why::LastResort)));
}

#[test]
fn a_hung_update_does_not_win_over_the_image_that_installed_it_without_a_journal() {
    let mut host = Nor::new(NOR);
    host.storage.put(A, &image(1).slot);
    LOGS.into_iter().for_each(|log| host.storage.fail_writes(log));
    assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::A, Why::LastResort)), "the journal is lost, and can not be written");
    host.storage.flash.heal();
    host.install(&image(2)).expect("an install");
    assert_eq!(boot_while_it_hangs(&mut host), Some((Slot::A, Why::LastResort)));
}

#[test]
fn a_halt_over_an_image_that_could_not_be_read_says_so_and_is_over_at_the_next_start() {
    let mut host = Nor::running(NOR, &image(1));
    host.storage.fail_reads(A);
    let boot = host.boot(ResetCause::PowerOn);
    assert_eq!((boot.outcome, boot.handoff.halt_reason, boot.operations), (Outcome::Halt(Reason::ReadError), Reason::ReadError, 0));
    host.storage.flash.heal();
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::A, Why::Confirmed)));
}

#[test]
fn a_tool_gives_up_no_confirmed_slot_when_the_other_one_is_rotten() {
    let mut host = Nor::running(NOR, &image(1));
    host.update(&image(2)).expect("an update");
    host.storage.flip(B, 4096 + 7, 1);
    let only = Err(Refusal::OnlyConfirmedSlot.into());
    assert_eq!(host.write_offline(|session| session.reject(Slot::A)), only);
    assert_eq!(host.write_offline(|session| session.arm(Slot::A)), only);
    assert_eq!(host.write_offline(|session| session.inactive().map(|slot| slot.slot())), Ok(Slot::B));
    assert_eq!(host.write_offline(|session| session.reject(Slot::B)), Ok(()));

    let mut host = Nor::running(NOR, &image(1));
    host.update(&image(2)).expect("an update");
    Slot::BOTH.into_iter().for_each(|slot| host.storage.flip(Region::Slot(slot), 4096 + 7, 1));
    assert_eq!(host.write_offline(|session| session.inactive().map(|slot| slot.slot())), Ok(Slot::A), "there is nothing left to lose");
    assert_eq!(host.write_offline(|session| session.reject(Slot::A)), Ok(()));
}

#[test]
fn a_journal_that_no_log_gives_back_is_told_as_lost() {
    let mut host = Nor::running(NOR, &image(1));
    LOGS.into_iter().for_each(|log| host.storage.fail_reads(log));
    assert!(host.boot(ResetCause::PowerOn).events.contains(&Event::JournalLost));
}

/// A device tree of these nodes below the root, by their tokens. Source: Devicetree Specification, release 0.4, chapter 5.
fn tree(nodes: &[&str]) -> Vec<u8> {
    const HEADER: u32 = 40;
    const NO_RESERVATIONS: u32 = 16;
    let word = |value: u32| value.to_be_bytes().to_vec();
    let mut structure = [word(1), word(0)].concat();
    for node in nodes {
        structure.extend([word(1), node.as_bytes().to_vec(), vec![0]].concat());
        structure.resize(structure.len().next_multiple_of(4), 0);
        structure.extend(word(2));
    }
    structure.extend([word(2), word(9)].concat());
    let (start, len) = (HEADER + NO_RESERVATIONS, structure.len() as u32);
    let header = [0xd00d_feed, start + len, start, start + len, HEADER, 17, 16, 0, 0, len];
    [header.map(u32::to_be_bytes).concat(), vec![0; 16], structure].concat()
}

/// An image for Linux with this device tree.
fn linux_image(seed: u16, tree: Vec<u8>) -> Image {
    let kernel = PartDraft::new(Kind::Kernel, Place::Auto, kernel(4096, 0, 4096));
    signed(ImageBuilder::new(seed).parts(vec![kernel, PartDraft::new(Kind::DeviceTree, Place::Auto, tree)]))
}

const AMBIGUOUS: [&str; 2] = ["chosen", "chosen@0"];
const UNUSABLE: Reason = Reason::Refused(Rejection::UnusableDeviceTree);

/// A host that runs the image in slot A, confirmed.
fn linux_host(a: &Image) -> (Nor, State) {
    let mut host = Nor::new(NOR);
    host.storage.put(A, &a.slot);
    let mut state = State::new(0);
    state.slots.a = SlotState::confirmed(a.short_digest());
    host.set_state(&state);
    (host, state)
}

#[test]
fn a_trial_whose_signed_device_tree_is_ambiguous_is_rejected_before_its_intent() {
    let (mut host, mut state) = linux_host(&linux_image(1, tree(&["chosen"])));
    let b = linux_image(2, tree(&AMBIGUOUS));
    host.storage.put(B, &b.slot);
    state.slots.b = SlotState::trial(b.short_digest(), &host.settings.policy);
    state.preferred = Slot::B;
    host.set_state(&state);
    let boot = host.boot_linux(ResetCause::PowerOn);
    assert_eq!(boot.slot(), Some((Slot::A, Why::Confirmed)), "it was halted with after its intent was committed");
    let state = host.state().expect("a journal");
    assert_eq!((state.slots.b.phase, state.slots.b.reason, state.in_flight), (Phase::Rejected, UNUSABLE, None));
    assert_eq!(host.boot_linux(ResetCause::PowerOn).handoff.last_revert.map(|revert| revert.reason), Some(UNUSABLE));
}

#[test]
fn a_confirmed_image_whose_signed_device_tree_is_ambiguous_is_left_for_the_other_slot() {
    let (mut host, mut state) = linux_host(&linux_image(1, tree(&AMBIGUOUS)));
    let b = linux_image(2, tree(&["chosen"]));
    host.storage.put(B, &b.slot);
    state.slots.b = SlotState::confirmed(b.short_digest());
    host.set_state(&state);
    let boot = host.boot_linux(ResetCause::PowerOn);
    assert_eq!(boot.slot(), Some((Slot::B, Why::Fallback)), "it was halted with, or reset for ever");
    assert_eq!(boot.handoff.verdicts.a, Verdict::Refused(UNUSABLE));
    assert_eq!(host.state(), Some(state), "a confirmed image stays so");
}

//! The known limits of `docs/threat-model.md`, each as it is today. A change that lifts one changes its test and the document.

use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::Verdict;
use twinslot_bootloader::image::HEADER_SIZE_U64;
use twinslot_bootloader::install::{InstallError, Refusal};
use twinslot_bootloader::journal::{CommitError, Phase, RECORD_SIZE, SlotState, State};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::flash::Tear;
use twinslot_tests::geometry::NOR;
use twinslot_tests::host::{Host, image, large_image};
use twinslot_tests::storage::Geometry;

const A: Region = Region::Slot(Slot::A);
const B: Region = Region::Slot(Slot::B);
const LOGS: [Region; 2] = [Region::Log0, Region::Log1];

const NOT_COMMITTED: InstallError = InstallError::Commit(CommitError::Storage);

type Nor = Host<4, 4096>;

#[test]
fn a_log_whose_writes_always_fail_stops_updates_and_the_host_goes_on() {
    for log in LOGS {
        let mut host = Nor::running(NOR, &image(1));
        host.storage.fail_writes(log);
        assert_eq!(host.install(&image(2)), Err(NOT_COMMITTED));
        for _ in 0..20 {
            let boot = host.boot(ResetCause::PowerOn);
            assert!(matches!(boot.slot(), Some((Slot::A, Why::Confirmed | Why::Fallback))), "{log:?}: {boot:?}");
        }
    }
}

/// Pages of a header.
const HEADER_WRITES: u64 = HEADER_SIZE_U64 / 256;

/// A record to each log, a page each.
const COMMIT_WRITES: u64 = 2;

#[test]
fn a_cut_in_the_write_of_the_header_starts_an_install_over_and_one_before_it_does_not() {
    let geometry = Geometry { slot_size: 1 << 20, ..NOR };
    let update = large_image(2, B);
    let start = Nor::running(geometry, &image(1));
    let mut whole = start.clone();
    whole.install(&update).expect("an install");
    let writes = |host: &Nor| host.storage.flash.counters().operations();
    let all = writes(&whole) - writes(&start);
    let goes_on_at = |at: u64| {
        let mut host = start.clone();
        host.cut_at(at, Tear::Before);
        assert!(host.install(&update).is_err(), "the power is cut");
        host.power_on();
        host.boot(ResetCause::PowerOn);
        host.write(|session| {
            let slot = session.inactive()?;
            Ok(session.install(slot, update.header(), &update.table)?.next_chunk())
        })
    };
    assert_eq!(goes_on_at(all - COMMIT_WRITES - HEADER_WRITES), Ok(None), "all chunks are there");
    assert_eq!(goes_on_at(all - COMMIT_WRITES - HEADER_WRITES / 2), Ok(Some(0)), "half a header says nothing of what lies behind it");
    assert_eq!(goes_on_at(all - COMMIT_WRITES), Ok(None), "a whole header does");
}

#[test]
fn a_newest_record_that_neither_log_gives_back_is_outvoted() {
    let mut host = Nor::running(NOR, &image(1));
    let state = host.state().expect("a journal");
    host.set_state(&State { floor: 5, ..state });
    for log in LOGS {
        let newest = NOR.place(log).0 + RECORD_SIZE as u32;
        host.storage.flash.fail_reads(newest..newest + RECORD_SIZE as u32);
    }
    assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::A, Why::Confirmed)));
    host.storage.flash.heal();
    assert_eq!(host.state(), Some(state), "the floor of the record that could not be read is lost");
}

#[test]
fn rot_that_reads_as_an_error_opens_no_way_out() {
    let (a, b) = (image(1), image(2));
    let mut host = Nor::running(NOR, &a);
    host.storage.put(B, &b.slot);
    let mut state = host.state().expect("a journal");
    state.slots.b = SlotState::confirmed(b.short_digest()).rejected(Reason::HealthCheck);
    host.set_state(&state);
    host.storage.fail_reads(A);
    let boot = host.boot(ResetCause::PowerOn);
    assert_eq!((boot.slot(), boot.handoff.verdicts.a), (Some((Slot::B, Why::LastResort)), Verdict::ReadError));
    assert_eq!(host.install(&image(3)), Err(Refusal::OnlyConfirmedSlot.into()));
}

#[test]
fn two_logs_that_can_not_be_read_stop_writing() {
    let mut host = Nor::running(NOR, &image(1));
    host.install(&image(2)).expect("an install");
    LOGS.into_iter().for_each(|log| host.storage.fail_reads(log));
    for _ in 0..20 {
        let boot = host.boot(ResetCause::PowerOn);
        assert!(matches!(boot.slot(), Some((_, Why::LastResort))), "nothing is on trial: {boot:?}");
        assert_eq!(boot.operations, 0, "nothing is written");
    }
    assert!(host.install(&image(3)).is_err());
    host.storage.flash.heal();
    assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::B, Why::Trial)), "nothing was lost");
}

#[test]
fn a_slot_that_could_not_be_read_when_the_journal_was_lost_stays_empty() {
    let mut host = Nor::new(NOR);
    host.storage.put(A, &image(1).slot);
    host.storage.put(B, &image(2).slot);
    host.storage.fail_reads(B);
    assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::A, Why::Trial)));
    host.storage.flash.heal();
    host.confirm().expect("a trial");
    let boot = host.boot(ResetCause::PowerOn);
    assert_eq!((boot.slot(), boot.handoff.verdicts.b), (Some((Slot::A, Why::Confirmed)), Verdict::NotExamined));
    assert_eq!(host.state().expect("a journal").slots.b, SlotState::empty(Reason::ReadError));
    host.storage.flip(A, 4096 + 7, 1);
    assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::B, Why::LastResort)), "the last resort reaches it");
    assert_eq!(host.state().expect("a journal").phase(Slot::B), Phase::Empty);
}

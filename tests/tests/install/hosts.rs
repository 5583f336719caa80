//! Hosts in the states that the writer meets.

use twinslot_bootloader::decide::Why;
use twinslot_bootloader::install::{InstallError, Refusal};
use twinslot_bootloader::journal::Phase;
use twinslot_bootloader::reason::ResetCause;
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::geometry::NOR;
use twinslot_tests::host::{Host, image};
use twinslot_tests::image::Image;
use twinslot_tests::storage::Geometry;

pub(crate) const A: Region = Region::Slot(Slot::A);
pub(crate) const B: Region = Region::Slot(Slot::B);

pub(crate) type Nor = Host<4, 4096>;

pub(crate) const fn refused<T>(refusal: Refusal) -> Result<T, InstallError> {
    Err(InstallError::Refused(refusal))
}

pub(crate) const fn rejected<T>(rejection: Rejection) -> Result<T, InstallError> {
    Err(InstallError::Refused(Refusal::Image(rejection)))
}

/// Slot A confirmed and running, the trial in slot B running.
pub(crate) fn on_trial(geometry: Geometry) -> (Nor, Image, Image) {
    let (a, b) = (image(1), image(2));
    let mut host = Nor::running(geometry, &a);
    host.install(&b).expect("an install");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
    (host, a, b)
}

/// Both slots confirmed, slot B running.
pub(crate) fn updated() -> (Nor, Image, Image) {
    let (mut host, a, b) = on_trial(NOR);
    host.confirm().expect("the trial runs");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Confirmed)));
    (host, a, b)
}

pub(crate) fn phases(host: &mut Nor) -> (Phase, Phase) {
    let state = host.state().expect("a journal");
    (state.slots.a.phase, state.slots.b.phase)
}

/// Does something that must be refused, and checks that not a bit of the flash has changed.
#[track_caller]
pub(crate) fn assert_refused(host: &mut Nor, expected: Result<(), InstallError>, work: impl FnOnce(&mut Nor) -> Result<(), InstallError>) {
    let before = host.storage.flash.bytes().to_vec();
    assert_eq!(work(host), expected);
    assert!(before == host.storage.flash.bytes(), "a refusal writes nothing");
}

//! What becomes of the running image, through the verifier's own writer of the boot state.

use twinslot_bootloader::anchor::TrustAnchor;
use twinslot_bootloader::crypto::Builtin;
use twinslot_bootloader::handoff::Handoff;
use twinslot_bootloader::image::Identity;
use twinslot_bootloader::install::{Host, InstallError, Session};
use twinslot_bootloader::storage::{NoCounter, Storage};
use twinslot_config::{Layout, Trust};

/// A verdict on the running image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The trial is good. Refused unless the running image is the trial.
    Confirm,
    /// The confirmed system is broken. Refused unless the other slot is confirmed too, with an image that verifies.
    Condemn,
    /// The trial failed. Refused unless the other slot holds an image.
    Revert,
}

/// Records a verdict. The next boot goes by it.
///
/// # Errors
/// The verifier refuses it, and nothing was written; or the journal could not be written.
pub fn judge(storage: &mut impl Storage, layout: &Layout, trust: &Trust, handoff: &Handoff, verdict: Verdict) -> Result<(), InstallError> {
    let anchor = trust.anchor();
    let (mut crypto, mut counter) = (Builtin, NoCounter);
    let mut session = Session::open(storage, &mut crypto, &mut counter, host(layout, &anchor), handoff)?;
    match verdict {
        Verdict::Confirm => session.confirm(),
        Verdict::Condemn => session.condemn(),
        Verdict::Revert => session.revert(),
    }
}

/// What a writer knows of the host with this layout.
pub(crate) fn host<'a>(layout: &'a Layout, anchor: &'a TrustAnchor) -> Host<'a> {
    let identity = Identity { product: &layout.product, hardware: layout.hardware };
    Host { identity, anchor, policy: layout.policy, layout: layout.digest() }
}

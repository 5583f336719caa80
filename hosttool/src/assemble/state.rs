//! The boot state that a new flash starts with.

use anyhow::anyhow;
use twinslot_bootloader::{
    journal::{FloorRaise, SlotState, State},
    rejection::Rejection,
    slot::Slot,
};
use twinslot_config::{Layout, Trust};

use super::{Placed, Sources, images::ImageFacts};
use crate::report::Failure;

/// The state that `--confirmed` and `--trial` ask for; `None` when neither is given.
///
/// A trial is preferred, else the first confirmed slot. The floor is the highest one that no confirmed image is below, where the policy raises it on
/// confirm; with the other policy that holds once both slots are confirmed. Confirmed images revoke what their headers say.
///
/// # Errors
/// A slot without an image, a slot in both lists, or more revocations than a journal holds.
pub fn initial_state(sources: &Sources, layout: &Layout, trust: Option<&Trust>, placed: &[Placed]) -> Result<Option<State>, Failure> {
    let Some(preferred) = sources.trial.first().or(sources.confirmed.first()) else {
        return Ok(None);
    };
    let mut state = State::new(0);
    state.preferred = *preferred;
    for slot in &sources.trial {
        if sources.confirmed.contains(slot) {
            return Err(Failure::Trouble(anyhow!("slot {} is both --confirmed and --trial: choose one", slot.name())));
        }
        *state.slots.of_mut(*slot) = SlotState::trial(facts(placed, *slot, "--trial")?.digest, &layout.policy);
    }
    let mut counters = Vec::new();
    for slot in &sources.confirmed {
        let image = facts(placed, *slot, "--confirmed")?;
        *state.slots.of_mut(*slot) = SlotState::confirmed(image.digest);
        counters.push(image.manifest.security_counter);
        revoke(&mut state, image, trust)?;
    }
    let met = layout.policy.floor_raise == FloorRaise::OnConfirm || counters.len() == Slot::BOTH.len();
    state.floor = counters.into_iter().min().filter(|_| met).unwrap_or(0);
    Ok(Some(state))
}

fn facts<'a>(placed: &'a [Placed], slot: Slot, option: &str) -> Result<&'a ImageFacts, Failure> {
    let image = placed.iter().filter_map(|placed| placed.image.as_ref()).find(|image| image.slot == slot);
    image.ok_or_else(|| Failure::Trouble(anyhow!("{option} {0} needs an image in that slot: give --slot {0}=X.slot", slot.name())))
}

/// As a confirm does: only keys of the anchor are remembered, where the anchor is known.
fn revoke(state: &mut State, image: &ImageFacts, trust: Option<&Trust>) -> Result<(), Rejection> {
    let anchor = trust.map(Trust::anchor);
    let known = |id: &&[u8; 8]| anchor.as_ref().is_none_or(|anchor| anchor.key(id).is_some());
    image.manifest.revoke.iter().filter(known).try_for_each(|id| state.revoked.insert(*id)).map_err(|_| Rejection::TooManyRevocations)
}

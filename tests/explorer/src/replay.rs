//! Lives one script through, step by step, with the same judges as the search.

use crate::rules::{Broken, Verdict};
use crate::script::{Script, Trouble};
use crate::search::{Budget, Job, Next, Node, Scene, next};
use crate::subject::{Ended, Performed, Step};
use crate::tear::cut;
use crate::view::{View, brief};

/// Steps after which a life is over, whatever it does.
const MAX_STEPS: usize = 200;

/// One step that was lived.
#[derive(Debug)]
pub struct Lived {
    /// Its number.
    pub number: usize,
    /// What happened, in one line.
    pub text: String,
}

/// Lives a script. `tell` hears of every step.
///
/// # Errors
/// The rules that the first step breaks that breaks any.
pub fn replay(script: &Script, mut tell: impl FnMut(&Lived)) -> Verdict {
    let budget = Budget { cuts: u8::MAX, faults: u8::MAX };
    let job = Job { board: script.board, life: script.life, causes: script.causes, budget };
    let mut troubles = script.troubles.iter().peekable();
    let mut node = Node::first(&job);
    let mut quiet = 0;
    while node.step < MAX_STEPS && quiet < 2 {
        let power_fails = |(step, trouble): &&(usize, Trouble)| *step <= node.step && *trouble == Trouble::PowerFails;
        if node.off.is_none() && troubles.next_if(power_fails).is_some() {
            tell(&Lived { number: node.step, text: "the power fails while nothing is written".to_owned() });
            node = node.powered_off(job.causes);
            continue;
        }
        match next(&job, &node) {
            Next::Start(started) => {
                tell(&Lived { number: node.step, text: format!("reset, told as {:?}", started.off) });
                node = *started;
            }
            Next::Step(step) => {
                let trouble = troubles.next_if(|(number, _)| *number <= node.step).map(|(_, trouble)| trouble);
                let at_rest = troubles.peek().is_none() && node.goal >= job.life.goals.len();
                let before = node.content.key();
                node = live(&job, &node, step, trouble, &mut tell)?;
                quiet = if at_rest && before == node.content.key() { quiet + 1 } else { 0 };
            }
        }
    }
    Ok(())
}

fn live(job: &Job, node: &Node, step: Step, trouble: Option<&Trouble>, tell: &mut impl FnMut(&Lived)) -> Result<Node, Vec<Broken>> {
    let scene = Scene::new(job, node, step);
    let mut say = |performed: &Performed, what: &str| {
        let found = brief(View::of(job.board, &performed.content, None).state());
        let text = format!("{step:?} {}; {} operations, {} reads; {found}{what}", ending(performed), performed.recorded.len(), performed.reads);
        tell(&Lived { number: node.step, text });
    };
    match trouble {
        Some(Trouble::Fault(fault)) => {
            let performed = scene.perform(node, Some(fault.clone()));
            say(&performed, &format!("; fault {fault:?}"));
            scene.after_fault(node, fault.clone(), performed)
        }
        Some(Trouble::Cut(at, tear, loss)) => {
            let performed = scene.perform(node, None);
            say(&performed, &format!("; cut at {at}"));
            let left = performed.recorded.get(*at).and_then(|recorded| Some((recorded, cut(job.board, recorded, *tear, *loss)?)));
            match left {
                Some((recorded, content)) => {
                    let text = format!("cut at {}: {tear}", recorded.operation);
                    tell(&Lived { number: node.step, text });
                    scene.after_cut(node, &performed.recorded, (*at, *tear, *loss), content)
                }
                None => scene.judge(node, &performed).and_then(|()| scene.successor(node, performed)),
            }
        }
        Some(Trouble::PowerFails) | None => {
            let performed = scene.perform(node, None);
            say(&performed, "");
            scene.judge(node, &performed)?;
            scene.successor(node, performed)
        }
    }
}

fn ending(performed: &Performed) -> String {
    match &performed.ended {
        Ended::Booted(boot) => format!("ends in {:?}", boot.end),
        Ended::Wrote(Ok(())) => "done".to_owned(),
        Ended::Wrote(Err(error)) => format!("is refused or fails: {error}"),
    }
}

//! Lives a life with everything that can go wrong in it, until nothing new can be reached: depth first, each combination of flash content and phase
//! once.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use twinslot_bootloader::handoff::Handoff;
use twinslot_bootloader::install::InstallError;
use twinslot_bootloader::reason::ResetCause;
use twinslot_bootloader::storage::Region;

use crate::begun::Begun;
use crate::board::Board;
use crate::content::Content;
use crate::faults::faults;
use crate::life::{Goal, Life};
use crate::medium::{Fault, Operation, Recorded};
use crate::mirror;
use crate::reader::{self, POLICY};
use crate::rules::{self, Broken, Moment, Verdict, all, ensure};
use crate::script::{Causes, Script, Trouble};
use crate::subject::{Ended, Performed, Step, no_handoff};
use crate::tear::{Loss, Tear, cuts};
use crate::view::View;
use twinslot_tests::model::End;

/// How much may go wrong in one life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Power cuts.
    pub cuts: u8,
    /// Failures of the storage.
    pub faults: u8,
}

impl Budget {
    pub(crate) fn total(self) -> u16 {
        u16::from(self.cuts) + u16::from(self.faults)
    }
}

/// What is explored.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// The flash.
    pub board: &'static Board,
    /// The life.
    pub life: &'static Life,
    /// How the host learns why it started.
    pub causes: Causes,
    /// How much may go wrong.
    pub budget: Budget,
}

/// How much was explored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Transitions that were judged: steps, and steps that something went wrong in.
    pub transitions: u64,
    /// Cuts of a step that leave what another cut of it left, and was judged there. No transitions.
    pub repeats: u64,
    /// Distinct combinations of flash content and phase.
    pub states: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { transitions: self.transitions + other.transitions, repeats: self.repeats + other.repeats, states: self.states + other.states }
    }
}

/// A rule that a life breaks.
#[derive(Debug, Clone)]
pub struct Violation {
    /// What to live through to see it.
    pub script: Script,
    /// The rule.
    pub broken: Broken,
}

/// What came of a life.
#[derive(Debug, Default)]
pub struct Explored {
    /// How much was explored.
    pub tally: Tally,
    /// What was broken, each rule once.
    pub violations: Vec<Violation>,
}

impl Explored {
    /// Adds rules that are broken at the end of a script, those that no other script has shown.
    pub(crate) fn note(&mut self, script: &Script, broken: Vec<Broken>) {
        for broken in broken {
            if self.violations.iter().all(|noted| noted.broken.rule != broken.rule) {
                self.violations.push(Violation { script: script.clone(), broken });
            }
        }
    }
}

/// Where a life is.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) content: Content,
    pub(crate) handoff: Handoff,
    /// Why the machine starts next; `None` while something runs.
    pub(crate) off: Option<ResetCause>,
    pub(crate) goal: usize,
    pub(crate) step: usize,
    begun: Begun,
    restless: u8,
    left: Budget,
}

impl Node {
    pub(crate) fn first(job: &Job) -> Self {
        let cause = job.causes.told(ResetCause::PowerOn);
        let content = job.life.content(job.board);
        Self { content, handoff: no_handoff(), off: Some(cause), goal: 0, step: 0, begun: Begun::default(), restless: 0, left: job.budget }
    }

    /// Two hashes of what the flash holds, and one of everything else that a later step may depend on.
    pub(crate) fn key(&self) -> [u64; 3] {
        let mut hasher = DefaultHasher::new();
        (self.off, self.goal, self.left.cuts, self.left.faults, &self.begun).hash(&mut hasher);
        if self.off.is_none() {
            let Handoff { booted, why, digest, verdicts, .. } = &self.handoff;
            (booted, why, digest, verdicts).hash(&mut hasher);
        }
        let [first, second] = self.content.key();
        [first, second, hasher.finish()]
    }

    /// The same host without power, about to start.
    pub(crate) fn powered_off(&self, causes: Causes) -> Self {
        Self { off: Some(causes.told(ResetCause::PowerOn)), restless: 0, ..self.clone() }
    }
}

/// Explores one life to its fix-point. A life ends where it breaks a rule; what else can go wrong is lived all the same.
#[must_use]
pub fn explore(job: Job) -> Explored {
    let script = Script { board: job.board, life: job.life, causes: job.causes, troubles: Vec::new() };
    let mut search = Search { job, visited: HashSet::new(), script, explored: Explored::default() };
    search.visit(Node::first(&job));
    let states = search.visited.len() as u64;
    Explored { tally: Tally { states, ..search.explored.tally }, ..search.explored }
}

struct Search {
    job: Job,
    visited: HashSet<[u64; 3]>,
    /// What went wrong until now.
    script: Script,
    explored: Explored,
}

impl Search {
    fn visit(&mut self, node: Node) {
        if !self.visited.insert(node.key()) {
            return;
        }
        if node.off.is_none() && node.left.cuts > 0 {
            let left = Budget { cuts: node.left.cuts - 1, ..node.left };
            self.with(node.step, Trouble::PowerFails, |search| search.visit(Node { left, ..node.powered_off(search.job.causes) }));
        }
        match next(&self.job, &node) {
            Next::Start(node) => self.visit(*node),
            Next::Step(step) => self.live(&node, step),
        }
    }

    /// Goes on, unless a rule is broken: what follows then is nothing that the design speaks of.
    fn go_on(&mut self, next: Result<Node, Vec<Broken>>) {
        match next {
            Ok(node) => self.visit(node),
            Err(broken) => self.explored.note(&self.script, broken),
        }
    }

    /// Does what `then` does, with one more trouble in the script.
    fn with(&mut self, step: usize, trouble: Trouble, then: impl FnOnce(&mut Self)) {
        self.explored.tally.transitions += 1;
        self.script.troubles.push((step, trouble));
        then(self);
        self.script.troubles.pop();
    }

    /// Does a step as it should go, and then with everything that can go wrong in it.
    fn live(&mut self, node: &Node, step: Step) {
        let scene = Scene::new(&self.job, node, step);
        let performed = scene.perform(node, None);
        self.explored.tally.transitions += 1;
        let judged = scene.judge(node, &performed);
        if node.left.cuts > 0 {
            self.cut_everywhere(node, &scene, &performed.recorded);
        }
        if node.left.faults > 0 {
            for fault in faults(self.job.board, &scene.content, &performed) {
                self.with(node.step, Trouble::Fault(fault.clone()), |search| search.fail(node, &scene, fault));
            }
        }
        self.go_on(judged.and_then(|()| scene.successor(node, performed)));
    }

    fn cut_everywhere(&mut self, node: &Node, scene: &Scene, recorded: &[Recorded]) {
        let mut seen = HashSet::new();
        for (at, operation) in recorded.iter().enumerate() {
            for (tear, loss, content) in cuts(self.job.board, operation) {
                if seen.insert(content.key()) {
                    let trouble = Trouble::Cut(at, tear, loss);
                    self.with(node.step, trouble, |search| search.go_on(scene.after_cut(node, recorded, (at, tear, loss), content)));
                } else {
                    self.explored.tally.repeats += 1;
                }
            }
        }
    }

    fn fail(&mut self, node: &Node, scene: &Scene, fault: Fault) {
        let performed = scene.perform(node, Some(fault.clone()));
        self.go_on(scene.after_fault(node, fault, performed));
    }
}

/// What comes next in a life.
pub(crate) enum Next {
    /// The machine starts anew.
    Start(Box<Node>),
    /// A step.
    Step(Step),
}

/// What comes next. At the end of its goals a host is started again and again, until that changes nothing.
pub(crate) fn next(job: &Job, node: &Node) -> Next {
    match (node.off, job.life.goals.get(node.goal)) {
        (Some(cause), _) => Next::Step(Step::Boot(cause)),
        (None, Some(Goal::Do(act))) => Next::Step(Step::Write(*act)),
        (None, Some(Goal::Reset(cause))) => {
            Next::Start(Box::new(Node { off: Some(job.causes.told(*cause)), goal: node.goal + 1, restless: 0, ..node.clone() }))
        }
        (None, None) => Next::Start(Box::new(Node { off: Some(job.causes.told(ResetCause::PowerOn)), ..node.clone() })),
    }
}

/// A step, and what is known before it.
pub(crate) struct Scene {
    job: Job,
    step: Step,
    /// The flash as the step sees it.
    pub(crate) content: Content,
    view: View,
    states: Vec<twinslot_bootloader::journal::State>,
}

impl Scene {
    pub(crate) fn new(job: &Job, node: &Node, step: Step) -> Self {
        let mut content = node.content.clone();
        if matches!(step, Step::Boot(_)) {
            content.start();
        }
        let view = View::of(job.board, &content, None);
        let mut scene = Self { job: *job, step, content, view, states: Vec::new() };
        scene.states = match step {
            Step::Boot(cause) => rules::states_of_boot(&scene.moment(node), cause),
            Step::Write(act) => rules::expected_of(&scene.moment(node), act, &node.handoff).states().to_vec(),
        };
        scene
    }

    fn moment<'a>(&'a self, node: &'a Node) -> Moment<'a> {
        Moment { board: self.job.board, content: &self.content, view: &self.view, begun: &node.begun }
    }

    pub(crate) fn perform(&self, node: &Node, fault: Option<Fault>) -> Performed {
        self.job.board.subject.perform(self.job.board, &node.content, &node.handoff, self.step, fault)
    }

    /// Judges a step on storage that works. Its mirror is looked at until the second thing goes wrong.
    pub(crate) fn judge(&self, node: &Node, performed: &Performed) -> Verdict {
        let after = View::of(self.job.board, &performed.content, None);
        let moment = self.moment(node);
        let step = match self.step {
            Step::Boot(cause) => rules::check_boot(&moment, cause, performed, &after),
            Step::Write(act) => {
                let expected = rules::expected_of(&moment, act, &node.handoff);
                rules::check_write(&moment, act, &expected, performed, &after)
            }
        };
        let is_early = self.job.budget.total() <= node.left.total() + 1;
        let mirrored = if is_early { mirror::check(&moment, node, self.step, performed) } else { Ok(()) };
        all([rules::check_step(&moment, &after, performed), step, mirrored])
    }

    /// Where a life goes on after a step on storage that works.
    pub(crate) fn successor(&self, node: &Node, performed: Performed) -> Result<Node, Vec<Broken>> {
        let begun = node.begun.after(self.job.board, &performed.recorded);
        let restless = match self.step {
            Step::Boot(_) if !performed.recorded.is_empty() => node.restless + 1,
            _ => 0,
        };
        ensure(restless <= POLICY.boots + POLICY.attempts + 2, "no_livelock", || format!("{restless} boots in a row write"))?;
        let next = Node { begun, restless, ..self.went_on(node, performed) };
        Ok(next)
    }

    /// Where a life goes on when the power was cut at an operation.
    pub(crate) fn after_cut(
        &self,
        node: &Node,
        recorded: &[Recorded],
        (at, _, loss): (usize, Tear, Loss),
        content: Content,
    ) -> Result<Node, Vec<Broken>> {
        let mut first_read = content.clone();
        first_read.start();
        let found = View::of(self.job.board, &first_read, None);
        self.check_cut(&found)?;
        let may_be_begun = if loss == Loss::Nothing { begun_until(recorded, at, &first_read) } else { 0 };
        let begun = node.begun.after(self.job.board, &recorded[..may_be_begun]);
        let begun = if content.is_flickering() { begun.doubtful() } else { begun };
        let left = Budget { cuts: node.left.cuts.saturating_sub(1), ..node.left };
        Ok(Node { content, begun, left, step: node.step + 1, ..node.powered_off(self.job.causes) })
    }

    /// Judges what a cut left. What flickered may read as it did at this start, or as it will from the next one on.
    fn check_cut(&self, found: &View) -> Verdict {
        let judged = rules::check_cut(&self.view, &self.states, found);
        if judged.is_ok() || !self.content.is_flickering() {
            return judged;
        }
        // What flickers may read from now on as it did not at this start; and where it held the only copy of the newest record an older one stands.
        let mut later = self.content.clone();
        later.start();
        let as_later = reader::newest(self.job.board, &later, None).map(|record| record.state) == found.state();
        let held = [Region::Log0, Region::Log1].into_iter().flat_map(|log| reader::records(self.job.board, &self.content, log, None));
        let is_older = held.into_iter().any(|record| Some(record.state) == found.state());
        if as_later || is_older { Ok(()) } else { judged }
    }

    /// Where a life goes on when the storage failed once.
    pub(crate) fn after_fault(&self, node: &Node, fault: Fault, performed: Performed) -> Result<Node, Vec<Broken>> {
        let unreadable = match &fault {
            Fault::Unreadable(range) => Some(range),
            _ => None,
        };
        let view = View::of(self.job.board, &self.content, unreadable);
        let moment = Moment { view: &view, ..self.moment(node) };
        let after = View::of(self.job.board, &performed.content, unreadable);
        rules::check_fault(&moment, &fault, &self.states, &performed, &after)?;
        let left = Budget { faults: node.left.faults.saturating_sub(1), ..node.left };
        let done =
            performed.recorded.iter().enumerate().filter(|(number, _)| !matches!(fault, Fault::Swallowed(at) | Fault::Failed(at) if at == *number));
        let done: Vec<Recorded> = done.map(|(_, recorded)| recorded.clone()).collect();
        let begun = node.begun.after(self.job.board, &done);
        let is_blind = node.left.cuts < self.job.budget.cuts && view.sequence() < self.view.sequence();
        let begun = if is_blind { begun.blind() } else { begun };
        let failed = matches!(&performed.ended, Ended::Wrote(Err(error)) if !matches!(error, InstallError::Refused(_)));
        let next = self.went_on(node, performed);
        let goal = if failed { node.goal } else { next.goal };
        Ok(Node { begun, left, goal, restless: 0, ..next })
    }

    fn went_on(&self, node: &Node, performed: Performed) -> Node {
        let step = node.step + 1;
        match performed.ended {
            Ended::Wrote(_) => Node { content: performed.content, goal: node.goal + 1, step, ..node.clone() },
            Ended::Booted(boot) => {
                // Whoever stands before a host that does not boot turns it off and on again.
                let off = if matches!(boot.end, End::Boot(..)) { None } else { Some(self.job.causes.told(ResetCause::PowerOn)) };
                Node { content: performed.content, handoff: boot.handoff, off, step, ..node.clone() }
            }
        }
    }
}

/// How many of the operations may have left something when the one at `at` was cut. A record that reads as never begun can not be told from one that
/// was not, and an erase that was cut frees nothing.
fn begun_until(recorded: &[Recorded], at: usize, content: &Content) -> usize {
    match &*recorded[at].operation {
        Operation::Program { at: place, bytes } if !content.holds(*place, &recorded[at].before.bytes(*place..place + bytes.len())) => at + 1,
        _ => at,
    }
}

//! Power that fails again and again, far more often than cuts can be enumerated: in every step at the same operation and in the same pattern, or at
//! random. A host in a storm may make no progress; afterwards it must come to rest, as if there had been one cut.

use std::collections::HashSet;

use twinslot_tests::random::Random;

use crate::board::Board;
use crate::life::Life;
use crate::medium::Recorded;
use crate::rules::{Broken, Verdict, ensure};
use crate::script::{Causes, Script, Trouble};
use crate::search::{Budget, Explored, Job, Next, Node, Scene, next};
use crate::tear::{Loss, Tear, cut};

/// Cuts in one storm.
const CUTS: u64 = 100;

/// Steps in which a host must have come to rest after a storm: all of its life, and every trial to its end.
const CALM: usize = 60;

/// Operations of a step at which storms of one pattern cut.
const OPERATIONS: usize = 6;

/// Storms at random on each flash.
const RANDOM: u64 = 40;

/// Where a storm cuts.
#[derive(Debug, Clone)]
enum Pattern {
    /// Always there.
    Same(usize, Tear, Loss),
    /// Anywhere.
    Random(Random),
}

impl Pattern {
    /// The cut in a step with these operations; `None` when it is over before the cut.
    fn choose(&mut self, recorded: &[Recorded]) -> Option<(usize, Tear, Loss)> {
        match self {
            Self::Same(at, tear, loss) => (*at < recorded.len()).then_some((*at, *tear, *loss)),
            Self::Random(random) => {
                let at = random.below(recorded.len().max(1) as u64) as usize;
                let tear = Tear::ALL[random.below(Tear::ALL.len() as u64) as usize];
                let loss = Loss::ALL[random.below(Loss::ALL.len() as u64) as usize];
                (at < recorded.len()).then_some((at, tear, loss))
            }
        }
    }
}

/// Boots and steps in a row that leave a host as it was, after which it is at rest.
const AT_REST: usize = 3;

/// Whether cuts go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sky {
    Stormy,
    Clear,
}

/// Sends a host through every storm in one life.
#[must_use]
pub fn weather(board: &'static Board, life: &'static Life) -> Explored {
    let losses = if board.cached { &Loss::ALL[..] } else { &Loss::ALL[..1] };
    let same =
        (0..OPERATIONS).flat_map(|at| Tear::ALL.map(|tear| (at, tear))).flat_map(|(at, tear)| losses.iter().map(move |loss| (at, tear, *loss)));
    let same = same.map(|(at, tear, loss)| Pattern::Same(at, tear, loss));
    let random = (0..RANDOM).map(|seed| Pattern::Random(Random::new(seed)));
    let (mut explored, mut found) = (Explored::default(), HashSet::new());
    for pattern in same.chain(random) {
        let job = Job { board, life, causes: Causes::True, budget: Budget { cuts: u8::MAX, faults: 0 } };
        let mut storm = Storm { job, pattern, troubles: Vec::new(), steps: 0, judged: 0, found: &mut found };
        let ended = storm.pass();
        explored.tally.transitions += storm.judged;
        if let Err(broken) = ended {
            explored.note(&Script { board, life, causes: job.causes, troubles: storm.troubles }, broken);
        }
    }
    explored.tally.states = found.len() as u64;
    explored
}

struct Storm<'a> {
    job: Job,
    pattern: Pattern,
    troubles: Vec<(usize, Trouble)>,
    steps: u64,
    judged: u64,
    /// Where all storms of this life led.
    found: &'a mut HashSet<[u64; 3]>,
}

impl Storm<'_> {
    fn pass(&mut self) -> Verdict {
        let mut node = Node::first(&self.job);
        let mut cuts = 0;
        while cuts < CUTS && self.steps < 3 * CUTS {
            let (went_on, was_cut) = self.step(node, Sky::Stormy)?;
            node = went_on;
            cuts += u64::from(was_cut);
        }
        self.come_to_rest(node)
    }

    /// The livelock detector: without further cuts the host must soon leave the flash as it is, boot after boot.
    fn come_to_rest(&mut self, mut node: Node) -> Verdict {
        let mut quiet = 0;
        for _ in 0..CALM {
            let before = node.content.key();
            let is_over = node.goal >= self.job.life.goals.len();
            node = self.step(node, Sky::Clear)?.0;
            quiet = if is_over && node.content.key() == before { quiet + 1 } else { 0 };
            if quiet == AT_REST {
                return Ok(());
            }
        }
        ensure(false, "no_livelock", || format!("{CALM} steps after a storm of power cuts the host still writes"))
    }

    /// One step, cut when the storm reaches it. Says whether it was.
    fn step(&mut self, node: Node, sky: Sky) -> Result<(Node, bool), Vec<Broken>> {
        self.steps += 1;
        let step = match next(&self.job, &node) {
            Next::Start(node) => return Ok((*node, false)),
            Next::Step(step) => step,
        };
        self.judged += 1;
        self.found.insert(node.key());
        let scene = Scene::new(&self.job, &node, step);
        let performed = scene.perform(&node, None);
        let chosen = if sky == Sky::Stormy { self.pattern.choose(&performed.recorded) } else { None };
        let torn = chosen.and_then(|(at, tear, loss)| Some((at, tear, loss, cut(self.job.board, &performed.recorded[at], tear, loss)?)));
        match torn {
            Some((at, tear, loss, content)) => {
                self.troubles.push((node.step, Trouble::Cut(at, tear, loss)));
                Ok((scene.after_cut(&node, &performed.recorded, (at, tear, loss), content)?, true))
            }
            None => {
                scene.judge(&node, &performed)?;
                Ok((scene.successor(&node, performed)?, false))
            }
        }
    }
}

//! The explorer itself: scripts are written and read back, the axes are as wide as the table says, a broken subject is noticed, lives come to rest.

use twinslot_bootloader::handoff::Handoff;
use twinslot_explorer::board::{BOARDS, Board};
use twinslot_explorer::content::Content;
use twinslot_explorer::fuzzing;
use twinslot_explorer::life::LIVES;
use twinslot_explorer::medium::Fault;
use twinslot_explorer::product::Report;
use twinslot_explorer::replay::replay;
use twinslot_explorer::rules::RULES;
use twinslot_explorer::script::{Causes, Script};
use twinslot_explorer::search::{Budget, Explored, Job, Tally, explore};
use twinslot_explorer::subject::{Performed, Step, Subject};
use twinslot_explorer::tear::Tear;

fn job(board: &'static Board, life: &str, cuts: u8, faults: u8) -> Job {
    let life = LIVES.iter().find(|candidate| candidate.name == life).expect("a life of this name");
    Job { board, life, causes: Causes::True, budget: Budget { cuts, faults } }
}

#[test]
fn an_update_holds_every_rule_with_a_cut_or_a_fault_anywhere() {
    for (cuts, faults) in [(1, 0), (0, 1)] {
        let Explored { tally, violations } = explore(job(&BOARDS[0], "update", cuts, faults));
        assert!(violations.is_empty() && tally.transitions > 150 && tally.states > 90, "{tally:?} {violations:?}");
    }
}

#[test]
fn the_axes_are_as_wide_as_the_design_asks_for() {
    let write_sizes: Vec<usize> = BOARDS.iter().map(|board| board.write_size).collect();
    for size in [1, 2, 4, 8, 16, 32, 512] {
        assert!(write_sizes.contains(&size), "no flash programs {size} bytes");
    }
    let erase_sizes = || BOARDS.iter().map(|board| board.erase_size);
    assert_eq!((erase_sizes().min(), erase_sizes().max()), (Some(128), Some(128 * 1024)));
    assert!(BOARDS.iter().any(|board| board.logs[0] != board.logs[1]) && BOARDS.iter().any(|board| board.cached));
    assert_eq!((Tear::ALL.len(), Causes::ALL.len(), LIVES.len(), RULES.len()), (14, 4, 26, 23));
}

#[test]
fn a_script_is_written_and_read_back() {
    let line = "unequal update always-watchdog 1:cut@3/interleaved/newest-lost 2:power-fails 3:unreadable@128..256 4:swallowed@1 5:other-bytes@9";
    let script: Script = line.parse().expect("a script");
    assert_eq!(script.to_string(), line);
    for (bad, word) in [
        ("moon update true-cause", "moon"),
        ("unequal tea true-cause", "tea"),
        ("unequal update", "causes"),
        ("unequal update true-cause 1:cut@x", "x"),
    ] {
        let error = bad.parse::<Script>().expect_err("no script");
        assert!(error.contains(word), "{error}");
    }
}

/// Says nothing of what it wrote: every change is undone before anybody looks.
#[derive(Debug)]
struct Forgetful;

impl Subject for Forgetful {
    fn perform(&self, board: &'static Board, content: &Content, handoff: &Handoff, step: Step, fault: Option<Fault>) -> Performed {
        let honest = BOARDS[0].subject.perform(board, content, handoff, step, fault);
        Performed { content: content.clone(), ..honest }
    }
}

static FORGETFUL: Board =
    Board { name: "forgetful", subject: &Forgetful, write_size: 1, erase_size: 128, tear_size: 1, logs: [512, 512], slot_size: 2048, cached: false };

#[test]
fn a_host_that_forgets_what_it_wrote_is_noticed() {
    let violations = explore(job(&FORGETFUL, "update", 0, 0)).violations;
    let violation = violations.iter().find(|violation| violation.broken.rule == "as_the_model_says").expect("nothing is written");
    let again = replay(&violation.script, |_| {}).expect_err("the script shows it again");
    assert!(again.contains(&violation.broken), "{again:?}");
}

#[test]
fn a_table_that_has_more_than_a_run_is_a_complaint() {
    let tally = Tally { transitions: 10, states: 5, repeats: 3 };
    let report = Report { rows: [("1/128 true-cause cuts=1 faults=0".to_owned(), (2, tally))].into(), violations: Vec::new(), seconds: 0.0 };
    assert!(report.shrunk(&report.table()).is_empty());
    for more in ["lives=3 transitions=10 states=5", "lives=2 transitions=11 states=5", "lives=2 transitions=10 states=6"] {
        assert_eq!(report.shrunk(&format!("# comment\n1/128 true-cause cuts=1 faults=0 {more}\n")).len(), 1, "{more}");
    }
    let kept = report.table();
    assert_eq!(report.shrunk(&format!("{kept}disk true-cause cuts=1 faults=0 lives=1 transitions=1 states=1\n")).len(), 1);
    assert_eq!(report.shrunk(&format!("{kept}disk true-cause cuts=1 faults=0 lives=1 transitions=many states=1\n")).len(), 1);
    assert_eq!(report.shrunk("# nothing\n").len(), 1, "a row that the table does not know");
}

/// Each rule has a deliberately broken variant of the sources that it must notice, and no variant names a rule that there is not.
#[test]
fn every_rule_has_a_variant() {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../variants")).expect("a folder of variants");
    let texts = folder.map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("text"));
    let rule = |text: String| text.lines().find_map(|line| Some(line.strip_prefix("rule = \"")?.strip_suffix('"')?.to_owned()));
    let mut named: Vec<String> = texts.filter_map(rule).collect();
    named.sort();
    let mut rules = RULES.map(str::to_owned).to_vec();
    rules.sort();
    assert_eq!(named, rules);
}

#[test]
fn any_bytes_are_a_life_that_holds_every_rule() {
    let mut random = twinslot_tests::random::Random::new(3);
    for _ in 0..60 {
        fuzzing::live(&random.bytes(19));
    }
}

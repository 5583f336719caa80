//! What the explorer found in the product, each as the script that showed it.

use twinslot_explorer::replay::replay;
use twinslot_explorer::script::Script;

#[track_caller]
fn assert_lives(line: &str) {
    let script: Script = line.parse().expect("a script");
    let (mut steps, mut troubles) = (0, 0);
    let ended = replay(&script, |lived| {
        steps += 1;
        troubles += usize::from(lived.text.starts_with("cut at") || lived.text.contains("; fault ") || lived.text.starts_with("the power fails"));
    });
    if let Err(broken) = ended {
        panic!("{line}\n{broken:?}");
    }
    assert_eq!(troubles, script.troubles.len(), "{line}: something did not go wrong");
    assert!(steps > script.troubles.len() + 4, "the life is over after {steps} steps");
}

#[test]
fn a_log_whose_erase_was_cut_behind_its_first_records_is_erased_before_it_is_used() {
    assert_lives("4/4096 update-full-0 true-cause 1:cut@7/tail/kept");
    assert_lives("unequal update true-cause 2:cut@1/tail/kept");
}

#[test]
fn before_a_log_is_erased_the_newest_state_lies_in_cells_that_were_not_cut() {
    assert_lives("1/128 update-full-0 true-cause 1:cut@21/flicker-back/kept 2:cut@3/head/kept");
}

#[test]
fn a_writer_that_comes_late_does_not_overwrite_an_armed_trial() {
    assert_lives("1/128 two-writers true-cause 3:cut@0/unreported/kept");
    assert_lives("1/128 two-writers true-cause");
}

#[test]
fn a_header_is_not_written_into_a_unit_whose_erase_was_cut_in_front_of_whole_chunks() {
    assert_lives("16/2048 update true-cause 1:cut@4/head/kept 3:cut@0/head/kept");
}

#[test]
fn a_record_that_was_read_in_this_boot_stays_known_when_it_can_not_be_read_again() {
    assert_lives("1/128 floor true-cause 3:cut@0/unreported/kept 4:other-bytes@4");
    assert_lives("8/1024 revoke true-cause 3:cut@0/unreported/kept 4:other-bytes@4");
}

#[test]
fn a_log_that_may_have_been_cut_in_its_erase_and_can_not_be_read_is_left_alone() {
    assert_lives("8/1024 condemn true-cause 9:cut@0/tail/kept 10:unreadable@384..512");
    assert_lives("512/2048 condemn true-cause 5:cut@0/tail/kept 6:unreadable@512..640");
}

#[test]
fn no_sequence_is_begun_twice_where_a_place_can_not_be_read() {
    assert_lives("unequal downgraded-agent true-cause 0:cut@1/tail/kept 1:unreadable@512..640");
}

#[test]
fn a_log_counts_as_full_of_torn_records_however_far_its_erase_went() {
    assert_lives("1/128 update true-cause 2:cut@1/head/kept 3:cut@0/head/kept 4:cut@2/head/kept");
    assert_lives("1/128 hangs true-cause 2:cut@1/head/kept 3:cut@0/head/kept 4:cut@2/head/kept");
    assert_lives("1/128 update-full-0 true-cause 3:cut@1/head/kept 4:cut@0/head/kept 5:cut@2/head/kept");
}

#[test]
fn a_log_is_erased_on_the_medium_before_a_record_is_begun_in_it() {
    assert_lives("disk update-full-0 true-cause 1:cut@4/head/kept 3:cut@1/head/lost");
    assert_lives("disk update-full-1 true-cause 2:cut@0/head/kept 3:cut@1/head/lost");
}

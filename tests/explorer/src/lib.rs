//! The power-loss explorer: lives of a host with everything that can go wrong in them, enumerated to a fix-point and judged against the design.
//!
//! What is under test is the product's own journal, decision, load and install code ([`subject`]) over a recorded flash ([`medium`]). What judges it
//! is written from the design: a reader with other decoders ([`reader`]), a model of the decision ([`twinslot_tests::model`]) and of the writers ([`act`]), and
//! the rules by name ([`rules`]). Because the code is deterministic and does nothing after a power cut, one recorded run of a step yields every cut of
//! it ([`tear`]); everything else is lived.

pub mod act;
pub mod begun;
pub mod board;
pub mod cast;
pub mod content;
mod faults;
pub mod fuzzing;
pub mod life;
pub mod medium;
mod mirror;
pub mod product;
pub mod reader;
pub mod replay;
pub mod rules;
pub mod script;
pub mod search;
pub mod storm;
pub mod subject;
pub mod tear;
pub mod view;

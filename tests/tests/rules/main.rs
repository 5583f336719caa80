//! One test for each rule of the slot decision, named after the rule.

mod cases;
mod decision;
mod life;
mod power;
mod trust;

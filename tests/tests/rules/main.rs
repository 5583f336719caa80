//! One test for each rule of the slot decision, named after the rule.

mod cases;
mod decision;
mod life;
mod model;
mod power;
mod trust;

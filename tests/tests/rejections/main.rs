//! One forged or malformed input for each refusal, which yields exactly that refusal, and attacks on what they protect.

mod attacks;
mod building;
mod forge;
mod placing;
mod table;
mod words;

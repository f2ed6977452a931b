//! What holds of the whole program, in one binary: it links once, and its tests wait side by side.

#![allow(clippy::unwrap_used)]

mod canary;
mod cli;
mod failures;
mod fuzz;
mod golden;
mod green;
mod interruption;
mod inventory;
mod judge;
mod layers;
mod neighbours;
mod own_client;
mod own_mistakes;
mod panel;
mod proof;
mod reference_grid;
mod served;
mod server;
mod simulate;
mod variants;
mod vectors;

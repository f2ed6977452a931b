//! gridproof
pub mod client;
pub mod grid;
pub mod net;
pub mod proto;
pub mod runner;
pub mod steps;
pub mod suite;
pub mod tamper;
pub mod value;

//! gridproof
pub mod cli;
pub mod client;
pub mod grid;
pub mod harness;
pub mod net;
pub mod proto;
pub mod report;
pub mod runner;
pub mod steps;
pub mod suite;
pub mod tamper;
pub mod value;

//! gridproof
pub mod client;
pub mod grid;
pub mod net;
pub mod proto;
pub mod tamper;
pub mod value;

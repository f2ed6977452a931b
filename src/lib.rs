//! `gridproof` proves that a virtual-world grid (Second Life style, OpenSimulator) speaks its
//! protocols: it loads declarative TOML suites, runs them through its own protocol core, and writes
//! reports that people and CI servers can act on.
//!
//! # The house
//!
//! An import points only to a lower level; a test keeps it so.
//!
//! | room | level | what it is |
//! |---|---|---|
//! | [`proto`] | 0 | pure: bytes to meaning and state machines; no socket, clock, thread or file |
//! | [`value`] | 1 | one value model over LLSD, XML-RPC and UDP fields; paths and predicates |
//! | [`tamper`] | 2 | rules that drop, delay, double, reorder, corrupt or change what passes |
//! | [`net`] | 3 | the only room with sockets and HTTP |
//! | [`client`] | 4 | a scripted viewer |
//! | [`grid`] | 4 | the reference grid; it meets the client by address only |
//! | [`steps`] | 5 | what a suite can do: one file per step |
//! | [`suite`] | 6 | TOML to a checked plan, every mistake at once |
//! | [`runner`] | 7 | leases accounts, runs cases, cleans up, keeps the record |
//! | [`report`] | 8 | pure functions of the record |
//! | [`proof`] | 9 | what the suites are worth: mutants that they must notice, and coverage |
//! | [`judge`] | 10 | what visitors of the grid are worth: `serve --judge` |
//! | [`harness`], [`cli`] | 11 | the two faces: `cargo test` and the command line |
//!
//! # Words
//!
//! - **grid**: regions with a common login; **region**: 256 by 256 metres with a UDP port.
//! - **agent**: an avatar in a region: *root* where it stands, *child* in a neighbour.
//! - **circuit**: the pair of UDP endpoints of a viewer and a simulator, with numbers, acks, pings.
//! - **capability**: a secret URL for one function; the **seed** hands out the others.
//! - **event queue**: a long poll by which a simulator tells a viewer what happened.
//! - **case**: steps and what is expected of them; **suite**: a file of cases.
//! - **requirement**: one sentence of what a grid or a client must, should or may do, with its source.
//! - **visit**: what passes between a client and the grid, from a login on; **trial**: something out of
//!   the ordinary that a grid does to a visitor to see how it bears it.
//!
//! # A suite from Rust
//!
//! ```
//! use gridproof::proto::template::Template;
//! use gridproof::runner::{reference_grid, Engine, Options, Outcome};
//! use gridproof::suite::{Files, Library, Profile, Selection};
//! use std::sync::Arc;
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let template = Template::shipped().clone();
//! let library = Arc::new(Library::load(&Files::shipped(), &template).unwrap());
//! let selection = Selection { names: vec!["login/refusals".into()], ..Selection::default() };
//! let cases = selection.choose(&library);
//!
//! let (target, grid) = reference_grid(4).await.unwrap();
//! let engine = Engine::new(target, library, Profile::default(), template, Options::default());
//! let (_stop, stopped) = tokio::sync::watch::channel(false);
//! let record = engine.run(&cases, stopped, &|_| {}).await;
//!
//! assert!(record.cases.iter().all(|case| case.outcome == Outcome::Pass));
//! grid.shutdown().await;
//! # });
//! ```

pub mod cli;
pub mod client;
pub mod grid;
pub mod harness;
pub mod judge;
pub mod net;
pub mod proof;
pub mod proto;
pub mod report;
pub mod runner;
pub mod steps;
pub mod suite;
pub mod tamper;
pub mod value;

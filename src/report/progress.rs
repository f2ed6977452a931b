//! What is shown while cases run: a live line on a terminal, plain lines in a pipe.

use super::{Paint, failure};
use crate::runner::{CaseRecord, Event, Outcome};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// Shows progress. Results go to standard output, the live line to standard error.
pub struct Progress {
    paint: Paint,
    bar: Option<ProgressBar>,
    running: Mutex<BTreeSet<String>>,
    verbose: bool,
}

impl Progress {
    /// Progress with a live line or without; `verbose` lists passes too.
    pub fn new(paint: Paint, live: bool, verbose: bool) -> Self {
        let bar = live.then(|| {
            let bar = ProgressBar::new(0);
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            let style = ProgressStyle::with_template("{bar:20} {pos}/{len} {elapsed} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { paint, bar, running: Mutex::default(), verbose }
    }

    /// Shows an event.
    pub fn tell(&self, event: Event<'_>) {
        match event {
            Event::Planned(cases) => {
                if let Some(bar) = &self.bar {
                    bar.set_length(cases as u64);
                }
            }
            Event::Started(id) => self.running(|running| {
                running.insert(id.to_owned());
            }),
            Event::Finished(record) => {
                self.running(|running| {
                    running.remove(&record.id);
                });
                let text = self.result(record);
                match &self.bar {
                    Some(bar) => {
                        bar.inc(1);
                        bar.suspend(|| print(&text));
                    }
                    None => print(&text),
                }
            }
        }
    }

    fn running(&self, change: impl FnOnce(&mut BTreeSet<String>)) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut running);
        if let Some(bar) = &self.bar {
            let names: Vec<&str> = running.iter().map(String::as_str).collect();
            bar.set_message(names.join(" "));
        }
    }

    fn result(&self, record: &CaseRecord) -> String {
        let line = |outcome: Outcome| {
            let word = self.paint.outcome(outcome, &format!("{outcome:>10}"));
            format!("{word} {}\n", record.id)
        };
        match record.outcome {
            outcome if outcome.is_bad() => format!("\n{}\n", failure(record, self.paint)),
            Outcome::Pass if self.verbose => {
                /// A case that impairs everything would fill the page.
                const MOST: usize = 4;
                let wire = record.wire.iter().take(MOST);
                let wire = wire.map(|told| format!("           {told}\n"));
                line(Outcome::Pass) + &self.paint.dim(&wire.collect::<String>())
            }
            Outcome::Pass if self.bar.is_none() => line(Outcome::Pass),
            _ => String::new(),
        }
    }

    /// Takes the live line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Counts what is done, on a terminal.
pub struct Counter(Option<ProgressBar>);

impl Counter {
    /// A counter with a live line or without.
    pub fn new(live: bool) -> Self {
        Self(live.then(|| {
            let bar = ProgressBar::new(0);
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        }))
    }

    /// So many of so many are done.
    pub fn tell(&self, done: usize, total: usize) {
        if let Some(bar) = &self.0 {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    }

    /// Takes the live line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// A reader that has gone away is no reason to stop testing.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

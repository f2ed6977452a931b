//! One case on a grid: its attempts, whoever acts in it, its clean-up, its record.

use super::case::{Attempt, Stage};
use super::engine::Engine;
use super::lease::{Shared, Slot};
use super::{CaseRecord, EnteredRegion, Outcome, Redactor, need, verdict};
use crate::client::Viewer;
use crate::net::Timeline;
use crate::net::tap::Tap;
use crate::suite::{Case, Need, SessionUse};
use futures::FutureExt;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// How an attempt ended.
enum End {
    /// It came to its end.
    Ran(Attempt),
    /// A step panicked.
    Panicked,
    /// The user stopped the run.
    Stopped,
    /// The grid went away.
    Gone(String),
}

/// A region that is there takes no longer to accept a connection.
const REACH: Duration = Duration::from_secs(5);

/// A grid that is gone is given so much longer to answer what was asked.
const GRACE: Duration = Duration::from_secs(1);

/// Between two looks at a region that cannot be reached: it is gone if it still cannot.
const AGAIN: Duration = Duration::from_secs(1);

impl Engine {
    /// Runs one case, with its retries.
    pub async fn run_case(&self, case: &Arc<Case>, stop: watch::Receiver<bool>) -> CaseRecord {
        if let Some(record) = self.preflight_record(case) {
            return record;
        }
        if let Some(why) = self.lacks_region(case).await {
            return self.not_run(case, &why);
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut record = self.attempt(case, stop.clone()).await;
            record.attempts = attempts;
            record.passes = u32::from(matches!(record.outcome, Outcome::Pass | Outcome::Warn));
            if record.outcome.is_bad()
                && let Some(why) = self.is_lost(case).await
            {
                record = lost(record, why);
            }
            let again = record.outcome.is_bad() && attempts <= self.options.retries;
            if !again || *stop.borrow() || self.pulse.is_gone().is_some() {
                if matches!(record.outcome, Outcome::Fail | Outcome::Blocked | Outcome::Error) {
                    self.failed.store(true, Ordering::Relaxed);
                }
                return record;
            }
        }
    }

    /// The record of a case whose needs are not met here, or that is not allowed.
    fn preflight_record(&self, case: &Case) -> Option<CaseRecord> {
        if case.effects > self.options.allow && !self.target.is_loopback() {
            let word = format!("{:?}", case.effects).to_lowercase();
            let why = format!("effects = \"{word}\" on a grid elsewhere; --allow {word} runs it");
            return Some(self.skipped(case, &why));
        }
        let missing = need::missing(case, &self.target)?;
        let mut record = self.new_record(case, Outcome::Impossible);
        record.reason = Some(missing);
        Some(record)
    }

    /// The regions that a case goes to.
    fn regions_of<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = &'a EnteredRegion> {
        let needs = |need: Need| case.needs.contains(&need);
        let target = &self.target;
        let first = target.regions.first();
        let beside = target.neighbour.as_ref().filter(|_| needs(Need::Neighbour));
        let apart = target.distant.as_ref().filter(|_| needs(Need::Distant));
        let names = first.into_iter().chain(beside).chain(apart);
        names.filter_map(|name| {
            target.entered.iter().find(|region| region.name.eq_ignore_ascii_case(name))
        })
    }

    /// Why a case cannot run: a region that it goes to was found to be gone, and is so still.
    async fn lacks_region(&self, case: &Case) -> Option<String> {
        for region in self.regions_of(case).filter(|region| self.is_suspect(&region.name)) {
            match region.is_reachable(&self.target.network, self.common.patience(REACH)).await {
                Ok(()) => self.suspect(&region.name, false),
                Err(why) => return Some(gone(region, &why)),
            }
        }
        None
    }

    /// Why what went wrong says nothing of the case: the grid is gone, or a region that it goes to.
    async fn is_lost(&self, case: &Case) -> Option<String> {
        if let Some(why) = self.pulse.settled().await {
            return Some(why);
        }
        for region in self.regions_of(case) {
            let within = self.common.patience(REACH);
            if region.is_reachable(&self.target.network, within).await.is_err() {
                tokio::time::sleep(AGAIN).await;
                if let Err(why) = region.is_reachable(&self.target.network, within).await {
                    self.suspect(&region.name, true);
                    return Some(gone(region, &why));
                }
            }
        }
        None
    }

    async fn attempt(&self, case: &Arc<Case>, mut stop: watch::Receiver<bool>) -> CaseRecord {
        let share = case.session == SessionUse::Shared && case.actors.len() == 1;
        let mut slots = self.pool.lease(case.actors.len(), share).await;
        let clock = tokio::time::Instant::now();
        let mut stage = self.stage(case, &mut slots, share).await;
        let mut end = tokio::select! {
            biased;
            ran = AssertUnwindSafe(stage.run()).catch_unwind() => {
                ran.map_or(End::Panicked, End::Ran)
            }
            _ = stop.wait_for(|stop| *stop) => End::Stopped,
            why = self.pulse.gone() => End::Gone(why),
        };
        stage.timeline.remark(super::CLEAN_UP);
        let mut redactor = Redactor::default();
        for viewer in stage.viewers.values_mut() {
            self.note_secrets(&mut redactor, viewer);
            self.sessions.fetch_add(viewer.sessions, Ordering::Relaxed);
            self.refused.fetch_or(viewer.refused, Ordering::Relaxed);
        }
        let healthy = matches!(&end, End::Ran(attempt) if attempt.findings.is_empty());
        let worth_sharing =
            stage.viewers.values().next().is_some_and(|v| v.is_alive() && v.follows);
        let mut sharing = None;
        if share && healthy && worth_sharing {
            sharing = stage.viewers.pop_first().map(|(_, viewer)| viewer);
        }
        let wire = stage.viewers.values().flat_map(|viewer| viewer.impairments.told()).collect();
        let answered = self.leave(&mut stage).await || sharing.is_some();
        if let End::Ran(attempt) = &mut end
            && !(attempt.shown || answered || *stop.borrow())
        {
            self.see_the_grid(&mut stage, attempt).await;
        }
        // Leaving may have taken another login.
        stage.viewers.values().for_each(|viewer| self.note_secrets(&mut redactor, viewer));
        let timeline = stage.timeline.clone();
        let rows = timeline.rows();
        drop(stage);
        if let (Some(viewer), Some(slot)) = (sharing, slots.first_mut()) {
            slot.shared = Some(Box::new(Shared { viewer, timeline }));
        }
        self.pool.give_back(slots);
        let mut record = self.ended(case, end);
        record.wire = wire;
        record.timeline = rows;
        record.ms = clock.elapsed().as_secs_f64() * 1e3;
        record.cleaned(&redactor)
    }

    /// The record of how an attempt ended.
    fn ended(&self, case: &Case, end: End) -> CaseRecord {
        match end {
            End::Ran(attempt) => {
                verdict::settle(self.new_record(case, Outcome::Pass), attempt, &self.profile)
            }
            End::Stopped => self.skipped(case, "interrupted while it ran"),
            End::Gone(why) => lost(self.new_record(case, Outcome::Blocked), why),
            End::Panicked => {
                let mut record = self.new_record(case, Outcome::Error);
                record.reason = Some("a step panicked; please report this".into());
                record
            }
        }
    }

    /// Whoever acts in a case, ready to begin.
    async fn stage<'a>(&'a self, case: &'a Case, slots: &mut [Slot], share: bool) -> Stage<'a> {
        let mut timeline = Timeline::start();
        let mut viewers = BTreeMap::new();
        for (actor, slot) in case.actors.iter().zip(slots) {
            let viewer = match self.shared(actor, slot, share).await {
                Some(shared) => {
                    timeline = shared.timeline;
                    shared.viewer
                }
                None => self.viewer(case, actor, slot, &timeline),
            };
            viewers.insert(actor.clone(), viewer);
        }
        Stage { case, library: &self.library, target: &self.target, viewers, timeline }
    }

    /// Logs everybody out; whether the grid answered somebody who had a session to end.
    async fn leave(&self, stage: &mut Stage<'_>) -> bool {
        let leaving = stage.viewers.values_mut().map(async |viewer| {
            let there = viewer.session().is_some();
            viewer.log_out().await && there
        });
        self.unless_gone(join_all(leaving)).await.unwrap_or_default().contains(&true)
    }

    /// Where a case left nobody to ask, a fresh login shows that the grid is there.
    async fn see_the_grid(&self, stage: &mut Stage<'_>, attempt: &mut Attempt) {
        let within = self.common.patience(Duration::from_secs(30));
        let Some(viewer) = stage.viewers.values_mut().find(|viewer| viewer.sessions > 0) else {
            return;
        };
        if let Some(Err(dead)) = self.unless_gone(viewer.see_the_grid(within)).await {
            stage.mourn(&dead, attempt);
        }
    }

    /// Waits for what a grid should answer, and not much longer once it is gone.
    pub(super) async fn unless_gone<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => Some(answer),
            _ = self.pulse.gone() => tokio::time::timeout(GRACE, answer).await.ok(),
        }
    }

    /// The session that an account shares, if it may be used and still can be; else it is ended.
    async fn shared(&self, actor: &str, slot: &mut Slot, share: bool) -> Option<Shared> {
        let mut shared = slot.shared.take()?;
        if share && shared.viewer.is_alive() {
            shared.timeline.restart();
            shared.viewer.mailbox.forget();
            shared.viewer.rename(actor);
            return Some(*shared);
        }
        self.unless_gone(shared.viewer.log_out()).await;
        None
    }

    /// A viewer for an actor.
    fn viewer(&self, case: &Case, actor: &str, slot: &Slot, timeline: &Timeline) -> Viewer {
        let credentials = slot.credentials.clone();
        let tap = if self.options.keep_timeline { timeline.tap() } else { Tap::default() };
        let mut viewer = Viewer::new(actor, credentials, self.common.clone(), tap);
        viewer.impair = case.impair.clone();
        viewer
    }

    fn note_secrets(&self, redactor: &mut Redactor, viewer: &Viewer) {
        redactor.add("password", &viewer.credentials.password);
        redactor.add("password", &crate::proto::login::hash_password(&viewer.credentials.password));
        for (name, secret) in viewer.secrets.iter().chain(&viewer.heard_secrets()) {
            redactor.add(name, secret);
        }
    }
}

fn gone(region: &EnteredRegion, why: &str) -> String {
    format!("region `{}` is gone: {why}", region.name)
}

/// The record of a case whose grid, or region, went away: what it found says nothing.
fn lost(mut record: CaseRecord, why: String) -> CaseRecord {
    record.outcome = Outcome::Blocked;
    record.reason = Some(why);
    record.findings.clear();
    record.held.clear();
    record.unjudged = record.requirements.clone();
    record
}

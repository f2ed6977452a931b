//! Everything a viewer hears, in order, from all channels: what steps wait on.

use crate::net::udp::CircuitEvent;
use crate::proto::event_queue::Event;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Where something was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A circuit, by name.
    Circuit(String),
    /// The event queue of a region, by its circuit's name.
    Events(String),
}

/// What was heard.
#[derive(Clone, Debug)]
pub enum What {
    /// On a circuit.
    Udp(Box<CircuitEvent>),
    /// An event.
    Event(Event),
    /// Something is wrong with the event queue: what it tells may not be all there was.
    Trouble(String),
    /// A poll of an event queue that lives ended with an error, and earlier than viewers take for
    /// nothing to tell.
    Early(String),
}

/// One thing heard.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When.
    pub at: Instant,
    /// Where.
    pub source: Source,
    /// What.
    pub what: What,
    /// A step has taken it; another step of the same kind looks further.
    pub taken: bool,
}

impl What {
    /// Of what there may be much.
    fn name(&self) -> &str {
        match self {
            Self::Udp(seen) => match &**seen {
                CircuitEvent::Message { message, .. } => message.name(),
                CircuitEvent::Acks(_) => "acks",
                _ => "trouble on a circuit",
            },
            Self::Event(event) => &event.message,
            Self::Trouble(_) | Self::Early(_) => "trouble of an event queue",
        }
    }

    /// About how many bytes of memory it takes.
    fn weight(&self) -> usize {
        // What a value takes beside its content: an enum, an allocation or two.
        const VALUE: usize = 100;
        VALUE
            + match self {
                // Its bytes twice, as body and as fields, and the fields' own weight.
                Self::Udp(seen) => match &**seen {
                    CircuitEvent::Message { size, .. } => 10 * VALUE + 6 * size,
                    CircuitEvent::Acks(acks) => 4 * acks.len(),
                    _ => 2 * VALUE,
                },
                Self::Event(event) => event.message.len() + event.body.weight(),
                Self::Trouble(text) | Self::Early(text) => text.len(),
            }
    }
}

/// A shared, growing list; clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    heard: Arc<Mutex<Heard>>,
    bell: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Heard {
    all: Vec<Observed>,
    /// In bytes of memory, of all this and what was forgotten since it was last weighed.
    weight: usize,
    /// Of what some is not here any more, and nobody asked for that; of everything if it is empty.
    overflowed: Option<BTreeSet<String>>,
}

impl Heard {
    /// Forgets the older half of whatever there is most of: what a talkative grid says by the
    /// hundred is not what a case waits for. Where nothing stands out, the older half of all.
    fn forget_most(&mut self) {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for observed in &self.all {
            *counts.entry(observed.what.name()).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(name, count)| (*count, *name));
        let most = most.filter(|(_, count)| *count >= self.all.len() / 16);
        let Some((name, count)) = most.map(|(name, count)| (name.to_owned(), count)) else {
            let half = self.all.len() / 2;
            self.all.drain(..half);
            self.overflowed = Some(BTreeSet::new());
            return;
        };
        let mut left = count.div_ceil(2);
        self.all.retain(|observed| {
            let goes = left > 0 && observed.what.name() == name;
            left -= usize::from(goes);
            !goes
        });
        match &mut self.overflowed {
            None => self.overflowed = Some(BTreeSet::from([name])),
            Some(names) if !names.is_empty() => drop(names.insert(name)),
            Some(_) => {}
        }
    }

    fn weigh(&mut self) {
        self.weight = self.all.iter().map(|observed| observed.what.weight()).sum();
    }
}

/// Half of what there is most of is forgotten beyond this many things, or bytes of memory: a flood
/// must not fill it.
const MOST: usize = 20_000;
const HEAVIEST: usize = 12 << 20;

impl Mailbox {
    /// Adds something.
    pub fn post(&self, source: Source, what: What) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.weight >= HEAVIEST {
            // Some of what was posted may have been forgotten since.
            heard.weigh();
        }
        if heard.all.len() >= MOST || heard.weight >= HEAVIEST {
            heard.forget_most();
            heard.weigh();
        }
        heard.weight += what.weight();
        heard.all.push(Observed { at: Instant::now(), source, what, taken: false });
        drop(heard);
        self.bell.notify_waiters();
    }

    /// Forgets what one circuit said: another of its name begins.
    pub fn forget_source(&self, source: &Source) {
        self.with(|heard| heard.retain(|observed| observed.source != *source));
    }

    /// What one circuit said, and its region's event queue, counts as said by that of another name.
    pub fn rename(&self, from: &str, to: &str) {
        self.with(|heard| {
            for observed in heard {
                match &mut observed.source {
                    Source::Circuit(name) | Source::Events(name) if name == from => {
                        *name = to.to_owned();
                    }
                    _ => {}
                }
            }
        });
    }

    /// What one circuit said until now was of an earlier stay: no step waits for it any more.
    pub fn retire(&self, source: &Source) {
        self.with(|heard| {
            let said = heard.iter_mut().filter(|observed| observed.source == *source);
            said.for_each(|observed| observed.taken = true);
        });
    }

    /// Forgets everything: another case begins.
    pub fn forget(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Heard::default();
    }

    /// Whether more of this came than is kept: what is not here may have come all the same.
    pub fn has_forgotten(&self, name: &str) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.overflowed.as_ref().is_some_and(|names| names.is_empty() || names.contains(name))
    }

    /// Whether more came than is kept, whatever it was.
    pub fn has_overflowed(&self) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).overflowed.is_some()
    }

    /// Looks at everything heard so far.
    pub fn with<T>(&self, look: impl FnOnce(&mut Vec<Observed>) -> T) -> T {
        look(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner).all)
    }

    /// Waits until `find` finds something, at most until `deadline`.
    pub async fn wait<T>(
        &self,
        deadline: Instant,
        mut find: impl FnMut(&mut Vec<Observed>) -> Option<T>,
    ) -> Option<T> {
        loop {
            let bell = self.bell.notified();
            tokio::pin!(bell);
            // Armed before looking, so that nothing posted in between is missed.
            bell.as_mut().enable();
            if let Some(found) = self.with(&mut find) {
                return Some(found);
            }
            tokio::select! {
                biased;
                () = &mut bell => {}
                () = tokio::time::sleep_until(deadline) => return self.with(&mut find),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_forgotten_from_its_beginning_and_the_latest_is_kept() {
        let mailbox = Mailbox::default();
        for n in 0..20_000 {
            mailbox.post(Source::Events("root".into()), What::Trouble(format!("{n:>10000}")));
        }
        mailbox.with(|heard| {
            let bytes: usize = heard.iter().map(|observed| observed.what.weight()).sum();
            assert!((HEAVIEST / 4..=HEAVIEST + 20_000).contains(&bytes), "{bytes}");
            let What::Trouble(last) = &heard[heard.len() - 1].what else { panic!("trouble") };
            assert_eq!(last.trim(), "19999");
        });
        assert!(mailbox.has_overflowed());
        mailbox.forget();
        assert!(!mailbox.has_overflowed());
        // What was forgotten weighs nothing: these few all stay.
        for _ in 0..100 {
            mailbox.post(Source::Events("root".into()), What::Trouble("x".repeat(10_000)));
        }
        assert_eq!(mailbox.with(|heard| heard.len()), 100);
    }

    #[test]
    fn a_talkative_grid_drowns_nothing_but_its_own_talk() {
        let mailbox = Mailbox::default();
        let event = |message: &str| {
            What::Event(Event { message: message.into(), body: crate::proto::llsd::Llsd::Undef })
        };
        let source = || Source::Events("root".into());
        mailbox.post(source(), event("TeleportFinish"));
        (0..50_000).for_each(|_| mailbox.post(source(), event("Talk")));
        let names: Vec<String> =
            mailbox.with(|heard| heard.iter().map(|o| o.what.name().to_owned()).collect());
        assert_eq!(names[0], "TeleportFinish");
        assert!(names.len() <= MOST);
        assert!(mailbox.has_forgotten("Talk") && mailbox.has_overflowed());
        assert!(!mailbox.has_forgotten("TeleportFinish"));
        // Of so many names none stands out: then nothing is certain any more.
        (0..50_000).for_each(|n| mailbox.post(source(), event(&format!("Talk {n}"))));
        assert!(mailbox.has_forgotten("TeleportFinish"));
    }
}

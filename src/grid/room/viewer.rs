//! What a viewer says of itself: how much it can take, how large its window is, that it pauses.

use crate::grid::core::{Core, RoomDef, Sender};
use crate::grid::misbehaviour::misbehaviours;
use crate::proto::message::{Field, Message};

misbehaviours! {
    ChokesOnThrottle "chokes-on-throttle" "After a second AgentThrottle pings are not answered any more.",
    ThrottleHarmsOthers "throttle-harms-others" "Rates that are too short silence every other circuit.",
}

pub(super) const ROOM: RoomDef = RoomDef {
    messages: &[
        ("AgentThrottle", throttle),
        ("AgentHeightWidth", |_, _, _| {}),
        ("AgentPause", |core, from, _| bear_silence(core, from, 300)),
        ("AgentResume", |core, from, _| bear_silence(core, from, 60)),
    ],
    misbehaviours: Own::ALL,
    ..RoomDef::named("viewer")
};

fn throttle(core: &mut Core, from: &Sender, message: &Message) {
    let circuits = &mut core.circuits[from.region.0];
    if core.faults.breaks(Own::ChokesOnThrottle) {
        circuits.throttle(from.address);
    } else if is_short(message) && core.faults.breaks(Own::ThrottleHarmsOthers) {
        circuits.choke_others(from.address);
    }
}

/// Whether rates lack some of their seven.
fn is_short(message: &Message) -> bool {
    let rates = message.field("Throttle", "Throttles");
    matches!(rates, Some(Field::Variable(bytes)) if bytes.len() < 28)
}

fn bear_silence(core: &mut Core, from: &Sender, seconds: u64) {
    core.circuits[from.region.0].set_patience(core.now, from.address, seconds);
}

#[cfg(test)]
mod tests {
    use crate::grid::bench::Bench;
    use std::time::Duration;

    /// Whether somebody who falls silent is still there after so many seconds.
    fn survives(says: Option<&str>, seconds: u64) -> bool {
        let mut bench = Bench::new(&[]);
        let jane = bench.enter(0);
        if let Some(name) = says {
            let message = bench.message(jane, name);
            bench.say(jane, 0, &message);
        }
        bench.viewers.remove(jane);
        bench.pass(Duration::from_secs(seconds));
        bench.core.world.population() == 1
    }

    #[test]
    fn who_pauses_may_be_silent_for_longer() {
        assert!(!survives(None, 70));
        assert!(survives(Some("AgentPause"), 70));
        assert!(!survives(Some("AgentPause"), 320));
        assert!(!survives(Some("AgentResume"), 70));
    }
}

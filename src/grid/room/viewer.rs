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

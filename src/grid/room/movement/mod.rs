//! What an avatar does with its body: it sits, walks, flies, plays animations, points at things.

mod walking;

use crate::grid::core::{Core, Presence, RoomDef, Sender, messages};
use crate::grid::misbehaviour::misbehaviours;
use crate::proto::message::{Field, Message};
use uuid::Uuid;

misbehaviours! {
    HeedsLateUpdates "heeds-late-updates" "An AgentUpdate that comes after a newer one counts.",
    PlaysOn "plays-on" "A seat or an animation that has begun does not end.",
    PlaysAlone "plays-alone" "Animations are told to their own viewer only.",
}

pub(super) const ROOM: RoomDef = RoomDef {
    messages: &[
        ("AgentUpdate", update),
        ("AgentAnimation", animate),
        ("ViewerEffect", pass_effect),
    ],
    misbehaviours: Own::ALL,
    ..RoomDef::named("movement")
};

fn update(core: &mut Core, from: &Sender, message: &Message) {
    let Some(client) = core.circuits[from.region.0].client(from.address) else { return };
    // One that comes late would turn the avatar back.
    let newer = client.last_update.is_none_or(|last| from.sequence > last);
    if newer || core.faults.breaks(Own::HeedsLateUpdates) {
        client.last_update = Some(from.sequence);
        sit_or_stand(core, from, message);
        walking::on_agent_update(core, from, message);
    }
}

/// Sitting down and standing up, as the viewer's keys ask for.
fn sit_or_stand(core: &mut Core, from: &Sender, message: &Message) {
    const STAND_UP: u32 = 0x1_0000;
    const SIT_ON_GROUND: u32 = 0x2_0000;
    let keys = message.u32("AgentData", "ControlFlags").unwrap_or_default();
    let sits = match (keys & SIT_ON_GROUND != 0, keys & STAND_UP != 0) {
        (true, _) => true,
        (_, true) => false,
        _ => return,
    };
    let plays_on = core.breaks(Own::PlaysOn);
    change_animations(core, from, |presence| {
        let changes = presence.sitting != sits;
        presence.sitting = sits || (plays_on && presence.sitting);
        changes
    });
}

/// Starts and stops animations.
fn animate(core: &mut Core, from: &Sender, message: &Message) {
    /// An avatar plays no more at once.
    const MOST: usize = 16;
    let asked = message.instances("AnimationList").iter().filter_map(|fields| match &fields[..] {
        [Field::Uuid(animation), Field::Bool(start)] => Some((*animation, *start)),
        _ => None,
    });
    let asked: Vec<(Uuid, bool)> = asked.collect();
    let plays_on = core.breaks(Own::PlaysOn);
    change_animations(core, from, |presence| {
        let playing = &mut presence.animations;
        let mut changes = false;
        for (animation, start) in &asked {
            let at = playing.iter().position(|playing| playing == animation);
            match (at, start) {
                (None, true) if playing.len() < MOST => playing.push(*animation),
                (Some(at), false) if !plays_on => drop(playing.remove(at)),
                (Some(_), false) => {}
                _ => continue,
            }
            changes = true;
        }
        changes
    });
}

/// Tells everybody here, the avatar's own viewer too, where a change is one.
fn change_animations(core: &mut Core, from: &Sender, change: impl FnOnce(&mut Presence) -> bool) {
    let presence = core.world.presence_mut(from.agent).filter(|p| p.stands_in(from.region));
    let Some(presence) = presence else { return };
    if !change(presence) {
        return;
    }
    let told = messages::animations(&core.template, presence);
    core.send_to(from.region, from.agent, &told);
    if !core.breaks(Own::PlaysAlone) {
        core.send_others(from.region, from.agent, &told);
    }
}

/// What a viewer points at, for the others here; under the receiver's ids, as the sender's session
/// is nobody else's business.
fn pass_effect(core: &mut Core, from: &Sender, message: &Message) {
    for other in core.onlookers(from.region, from.agent) {
        if let Some((to, session)) = core.circuits[from.region.0].of(other) {
            let passed = message.clone().with("AgentData", "AgentID", Field::Uuid(other.0)).with(
                "AgentData",
                "SessionID",
                Field::Uuid(session.0),
            );
            core.send(from.region, [to], &passed, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::bench::Bench;
    use crate::proto::id::Sequence;

    #[test]
    fn an_animation_is_told_to_all_once_and_ends() {
        let mut bench = Bench::new(&[]);
        let (jane, john) = (bench.enter(0), bench.enter(1));
        let dance = |bench: &Bench, start: bool| {
            bench
                .message(jane, "AgentAnimation")
                .with("AnimationList", "AnimID", Field::Uuid(Uuid::from_u128(5)))
                .with("AnimationList", "StartAnim", Field::Bool(start))
        };
        bench.names(john, 0);
        let (start, stop) = (dance(&bench, true), dance(&bench, false));
        bench.say(jane, 0, &start);
        // Again changes nothing.
        bench.say(jane, 0, &start);
        assert_eq!(bench.names(john, 0), ["AvatarAnimation"]);
        bench.say(jane, 0, &stop);
        let told = bench.heard(john, 0);
        assert_eq!(told.last().unwrap().instances("AnimationList").len(), 1);
    }

    /// Sits down, stands up, and hears of the sitting down once more, late.
    fn sits_after_a_late_update(words: &[&str]) -> bool {
        let mut bench = Bench::new(words);
        let jane = bench.enter(0);
        let agent = bench.viewers[jane].agent;
        let keys = |bench: &Bench, keys: u32| {
            bench.message(jane, "AgentUpdate").with("AgentData", "ControlFlags", Field::U32(keys))
        };
        let (sit, stand) = (keys(&bench, 0x2_0000), keys(&bench, 0x1_0000));
        bench.say(jane, 0, &sit);
        bench.say(jane, 0, &stand);
        let (from, _) = bench.core.circuits[0].of(agent).unwrap();
        let late = bench.core.circuits[0].sender(from, Sequence(0)).unwrap();
        update(&mut bench.core, &late, &sit);
        bench.core.world.presence(agent).unwrap().sitting
    }

    #[test]
    fn an_update_that_comes_late_turns_nobody_back() {
        assert!(!sits_after_a_late_update(&[]));
        assert!(sits_after_a_late_update(&["heeds-late-updates"]));
    }

    #[test]
    fn what_is_pointed_at_is_passed_on_under_the_receivers_own_ids() {
        let mut bench = Bench::new(&[]);
        let (jane, john) = (bench.enter(0), bench.enter(1));
        bench.heard(john, 0);
        let effect = bench.message(jane, "ViewerEffect");
        bench.say(jane, 0, &effect);
        let told = bench.heard(john, 0);
        let told = told.iter().find(|told| told.name() == "ViewerEffect").unwrap();
        let session = told.uuid("AgentData", "SessionID").unwrap();
        assert_eq!(session, bench.viewers[john].session.0);
    }
}

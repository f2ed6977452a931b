//! Logging out, whatever state the session is in.

use super::{Place, ROOT, State, Viewer, agent_message};
use crate::net::udp::CircuitHandle;
use crate::proto::circuit::Config;
use crate::proto::id::Sequence;
use crate::proto::login::Session;
use std::net::SocketAddrV4;
use std::time::Duration;
use tokio::time::Instant;

impl Viewer {
    /// Ends the session and closes every circuit. A LogoutReply is waited for, not insisted on:
    /// real grids lose it; the ack of the request is enough. Whether the grid answered.
    pub async fn log_out(&mut self) -> bool {
        self.stop_events();
        self.links().for_each(|(_, link)| link.mute(false));
        self.finish_login(Duration::from_secs(10)).await;
        if matches!(self.state, State::Unanswered) {
            // A login was cut short and may have succeeded: only another one can end it.
            let text = "a login was cut short; logging in once more to end its session";
            self.teller.remark(text);
            let again = self.log_in("last", Duration::from_secs(5));
            let _ = tokio::time::timeout(Duration::from_secs(10), again).await;
        }
        let Some(session) = self.session().cloned() else {
            self.silence().await;
            return true;
        };
        let patience = self.common.patience(Duration::from_secs(5));
        // A region out of view closes its circuit some seconds after a teleport. Whoever logs out
        // before leaves an agent behind there, and on some grids that bars the next login.
        let leaving = |_: &str, place: &Place| place.out_of_view && place.is_open();
        self.wait_for_goodbyes(Duration::from_secs(20), leaving).await;
        let came = self.places.values().any(super::Place::has_avatar);
        let mut answered = self.leave_from_here(&session, patience).await;
        // A grid may have ended the session by itself: kicked, or silent for too long.
        answered = answered
            || match self.state {
                State::Between(_, behind) => {
                    self.leave_on_the_way(&session, behind, patience).await
                }
                _ => self.seed_is_gone(&session).await,
            };
        if answered {
            // A region beside that the avatar came from closes its circuit a moment later. Whoever
            // logs in there before is let in as the agent that is about to be closed (OpenSimulator).
            let beside = |name: &str, place: &Place| name != self.root && place.stays();
            self.wait_for_goodbyes(Duration::from_secs(2), beside).await;
        } else {
            // A circuit of its own takes over whatever the case left behind. What the old ones
            // still hold back or resend, such as a late UseCircuitCode, would take it from us again.
            self.impair.clear();
            self.silence().await;
            // Cut short on its way to another region, the avatar may be here or there.
            let behind = match self.state {
                State::Between(_, behind) => Some(behind),
                _ => None,
            };
            for simulator in [Some(session.simulator), behind].into_iter().flatten() {
                answered |= self.leave_from(simulator, came, &session, patience).await;
            }
        }
        self.state = State::LoggedOut;
        self.root = ROOT.to_owned();
        self.silence().await;
        answered
    }

    /// Logs out on the circuit where the avatar stands, if it stands anywhere.
    async fn leave_from_here(&self, session: &Session, patience: Duration) -> bool {
        let here = self.places.get(&self.root);
        let stands = here.is_some_and(|place| place.has_avatar() && place.stays());
        stands && self.leave_by(&self.root, session, patience).await
    }

    /// Logs out of both regions of a teleport that was cut short, on the circuits that are open:
    /// some simulators hear an agent on no other. Whether both answered.
    async fn leave_on_the_way(
        &self,
        session: &Session,
        behind: SocketAddrV4,
        patience: Duration,
    ) -> bool {
        let mut left = true;
        for simulator in [session.simulator, behind] {
            left &= match self.circuit_to(simulator) {
                Some(circuit) => self.leave_by(circuit, session, patience).await,
                None => false,
            };
        }
        left
    }

    async fn leave_by(&self, circuit: &str, session: &Session, patience: Duration) -> bool {
        if let Some(link) = self.link(circuit) {
            // A case may have told the circuit to withhold acks.
            let acks = Config::viewer().acks;
            link.configure(move |circuit| circuit.config_mut().acks = acks);
        }
        self.ask_to_leave(circuit, session, patience).await.is_some()
    }

    /// The session has ended on a circuit: nothing of it need be alive any more.
    pub fn ended(&mut self, circuit: &str) {
        self.state = State::LoggedOut;
        // Nobody is there any more who would ask whether anybody is.
        let quiet = |link: &CircuitHandle| {
            link.configure(|of| (of.config_mut().pings, of.config_mut().resend_tries) = (false, 0));
        };
        self.each_circuit(quiet);
        self.give_up(circuit);
        self.stop_events();
    }

    /// Waits until the simulators of these regions have closed their circuits, each at most so long.
    async fn wait_for_goodbyes(&self, limit: Duration, of: impl Fn(&str, &Place) -> bool) {
        let limit = self.common.watch(limit);
        for (circuit, _) in self.places.iter().filter(|(name, place)| of(name, place)) {
            self.wait_for(circuit, "DisableSimulator", limit).await;
        }
    }

    /// Logs out by a new circuit to that simulator; whether it answered there. An avatar that never
    /// came in does so first, as with every viewer: some simulators hear nobody else.
    async fn leave_from(
        &mut self,
        simulator: SocketAddrV4,
        came: bool,
        session: &Session,
        patience: Duration,
    ) -> bool {
        let config = self.common.circuit_config();
        if self.open("logout", simulator.into(), config, !came).await.is_err() {
            return false;
        }
        let code = self.use_circuit_code(session);
        let sent = self.send("logout", code, true).await;
        if !self.acked("logout", sent, patience).await {
            return false;
        }
        if !came {
            self.send("logout", self.complete_movement(session), true).await;
            self.wait_for("logout", "AgentMovementComplete", patience).await;
        }
        // The circuit was taken, which is an answer: some simulators lose the one to the request.
        self.ask_to_leave("logout", session, patience).await;
        true
    }

    /// Sends LogoutRequest and waits for a sign that the session has ended: LogoutReply, the ack
    /// of the request, or, because real grids lose both, a seed capability that is gone.
    pub async fn ask_to_leave(
        &self,
        circuit: &str,
        session: &Session,
        patience: Duration,
    ) -> Option<(Sequence, &'static str)> {
        let request = agent_message(&self.common.template, "LogoutRequest", session);
        let sent = self.send(circuit, request, true).await;
        let deadline = Instant::now() + patience;
        let look = self.common.watch(Duration::from_secs(1)).max(Duration::from_millis(100));
        let mut sign = None;
        while sign.is_none() && Instant::now() < deadline {
            sign = self.farewell(circuit, sent, look).await;
            if sign.is_none() && self.seed_is_gone(session).await {
                sign = Some("seed");
            }
        }
        if sign == Some("ack") {
            // The reply is on its way, and is acknowledged before the socket closes, as viewers do;
            // a grid that loses it costs a moment.
            let moment = self.common.watch(Duration::from_millis(300));
            self.wait_for(circuit, "LogoutReply", moment).await;
        }
        let text = match sign {
            Some(sign) => format!("logged out, as told by {sign}"),
            None => "the grid did not answer the logout".to_owned(),
        };
        self.teller.remark(text);
        self.common.departures.note(&self.credentials);
        sign.map(|sign| (sent, sign))
    }

    /// LogoutReply or the ack of the request, whichever comes first.
    async fn farewell(
        &self,
        circuit: &str,
        sent: Sequence,
        within: Duration,
    ) -> Option<&'static str> {
        tokio::select! {
            biased;
            acked = self.acked(circuit, sent, within) => acked.then_some("ack"),
            reply = self.wait_for(circuit, "LogoutReply", within) => reply.map(|_| "reply"),
        }
    }

    /// Whether the seed gives no more capabilities. By what status a grid says so is its own matter:
    /// 404, or 200 with a web page or a refusal.
    async fn seed_is_gone(&self, session: &Session) -> bool {
        let within = Duration::from_secs(5);
        let caps = self.places.get(&self.root).map(|place| place.caps.as_slice());
        let names = caps.unwrap_or_default().iter().take(3);
        let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            // A seed that never gave anything shows nothing by giving nothing: only by saying so.
            return self.seed_says_gone(session, within).await.unwrap_or(false);
        }
        let gives = self.seed_gives(session, &names, within).await;
        gives.is_ok_and(|gives| gives == Some(false))
    }

    /// Closes every circuit, waits until the last has stopped and has nothing more to acknowledge,
    /// and forgets what they led to.
    async fn silence(&mut self) {
        let neighbours = self.neighbours.take_all();
        for mut place in std::mem::take(&mut self.places).into_values().chain(neighbours) {
            if let Some(link) = place.link.take() {
                link.close();
                link.stopped().await;
            }
        }
    }
}

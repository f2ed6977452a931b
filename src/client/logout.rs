//! Logging out, whatever state the session is in.

use super::{ROOT, Viewer, agent_message};
use crate::net::Channel;
use crate::proto::circuit::Config;
use std::time::Duration;

impl Viewer {
    /// Ends the session and closes every circuit. A LogoutReply is waited for, not insisted on:
    /// real grids lose it; the ack of the request is enough. Whether the grid answered.
    pub async fn log_out(&mut self) -> bool {
        self.stop_events();
        let Some(session) = self.session.take() else {
            self.close_links();
            return true;
        };
        let patience = self.common.patience(Duration::from_secs(2));
        let mut answered = false;
        if self.entered && self.links.get(ROOT).is_some_and(crate::net::udp::Link::is_open) {
            let config = Config::viewer();
            if let Some(link) = self.links.get(ROOT) {
                // A case may have told the circuit to withhold acks.
                link.configure(move |circuit| circuit.config_mut().acks = config.acks);
            }
            answered = self.ask_to_leave(ROOT, &session, patience).await;
        }
        if !answered {
            // A circuit of its own takes over whatever the case left behind.
            self.impair.clear();
            self.session = Some(session.clone());
            let config = self.circuit_config();
            if self.open("logout", session.simulator.into(), config, false).await.is_ok() {
                let code = self.use_circuit_code(&session);
                let sent = self.tell("logout", code, true).await;
                if self.acked("logout", sent, patience).await {
                    answered = self.ask_to_leave("logout", &session, patience).await;
                }
            }
            self.session = None;
        }
        self.entered = false;
        self.arrival = None;
        self.caps.clear();
        self.close_links();
        answered
    }

    async fn ask_to_leave(
        &self,
        circuit: &str,
        session: &crate::proto::login::Session,
        patience: Duration,
    ) -> bool {
        let request = agent_message(&self.common.template, "LogoutRequest", session);
        let sent = self.tell(circuit, request, true).await;
        let answered = self.acked(circuit, sent, patience).await;
        let text = if answered { "logged out" } else { "the grid did not answer the logout" };
        self.timeline.add(&self.name, Channel::Note, '·', text);
        answered
    }

    /// Closes every circuit.
    pub fn close_links(&mut self) {
        for link in std::mem::take(&mut self.links).into_values() {
            link.close();
        }
    }
}

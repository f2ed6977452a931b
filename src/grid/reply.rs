//! What the grid's HTTP side says, before it is written: here a grid's faults get at it.

use super::fault::{Faults, Said};
use super::witness::{Visitor, What};
use super::{Policy, Shared, oddity};
use crate::net::server::Answer;
use crate::proto::llsd::{self, Llsd};
use crate::proto::xmlrpc::{self, Document, RpcValue};
use crate::tamper::Channel;

/// A body, and how it is written.
pub(super) enum Body {
    None,
    Plain(&'static str, Vec<u8>),
    Llsd(Llsd),
    /// LLSD written as the value of an XML-RPC response.
    Rpc(Llsd),
    RpcFault(i32, String),
}

/// An answer to be.
pub(super) struct Reply {
    pub channel: Channel,
    /// The capability's name, where there is one.
    pub name: &'static str,
    pub status: u16,
    pub body: Body,
    pub headers: Vec<(&'static str, String)>,
    /// Whose it is, where a witness is told of it.
    pub visitor: Option<Visitor>,
    /// The id of the event queue that it answers a poll of.
    pub queue: Option<String>,
}

impl Reply {
    pub fn new(channel: Channel, name: &'static str, body: Body) -> Self {
        Self { channel, name, status: 200, body, headers: Vec::new(), visitor: None, queue: None }
    }

    /// An answer without a body.
    pub fn status(channel: Channel, name: &'static str, status: u16) -> Self {
        Self { status, ..Self::new(channel, name, Body::None) }
    }

    /// The answer as it is sent, with what is wrong with this grid's answers; none if it is not.
    pub async fn deliver(mut self, shared: &Shared) -> Option<Answer> {
        let faults = &shared.config.faults;
        let members = match &mut self.body {
            Body::Llsd(members) | Body::Rpc(members) => Some(members),
            _ => None,
        };
        if let (Some(tap), Some(members)) = (&shared.config.tap, &members) {
            tap(self.channel, self.name, Said::Llsd(members));
        }
        let spoilt = faults.answer(self.channel, self.name, self.status, members);
        if !spoilt.delay.is_zero() {
            tokio::time::sleep(spoilt.delay / shared.config.time_factor.max(1)).await;
        }
        if spoilt.dropped {
            return None;
        }
        if let (Some(queue), Some(visitor)) = (self.queue.take(), self.visitor) {
            let status = spoilt.status.unwrap_or(self.status);
            let body = match &self.body {
                Body::Llsd(body) if !spoilt.empty => Some(body.clone()),
                _ => None,
            };
            shared.ear.hear(visitor, || What::PollAnswered(queue, status, body));
        }
        let (content_type, body) = self.written(faults);
        let mut answer = Answer::ok(spoilt.content_type.as_deref().unwrap_or(content_type), body);
        answer.status = spoilt.status.unwrap_or(self.status);
        answer.headers = self.headers;
        if spoilt.empty {
            answer.body.clear();
        }
        Some(answer)
    }

    fn written(&self, faults: &Faults) -> (&'static str, Vec<u8>) {
        match &self.body {
            Body::None => ("", Vec::new()),
            Body::Plain(content_type, bytes) => (content_type, bytes.clone()),
            Body::Llsd(members) => {
                let mut text = llsd::to_xml(members);
                let odd = oddity::is_odd(members);
                if self.channel == Channel::Events && odd && faults.breaks(Policy::TerseXml) {
                    text = oddity::terse(&text);
                }
                (llsd::CONTENT_TYPE, text.into_bytes())
            }
            Body::Rpc(members) => {
                let document = Document::Response(RpcValue::from_llsd(members));
                ("text/xml", xmlrpc::to_xml(&document).into_bytes())
            }
            Body::RpcFault(code, message) => {
                let document = Document::Fault { code: *code, message: message.clone() };
                ("text/xml", xmlrpc::to_xml(&document).into_bytes())
            }
        }
    }
}

//! What the grid's HTTP side says, before it is written.

use crate::net::tap::Visitor;
use crate::proto::llsd::Llsd;
use crate::tamper::Channel;

/// A body, and how it is written.
pub(in crate::grid) enum Body {
    None,
    Plain(&'static str, Vec<u8>),
    Llsd(Llsd),
    /// LLSD written as the value of an XML-RPC response.
    Rpc(Llsd),
    RpcFault(i32, String),
}

/// An answer to be.
pub(in crate::grid) struct Reply {
    pub channel: Channel,
    /// The capability's name, where there is one.
    pub name: &'static str,
    pub status: u16,
    pub body: Body,
    pub headers: Vec<(&'static str, String)>,
    /// Whose it is, where somebody listens of it.
    pub visitor: Option<Visitor>,
    /// The id of the event queue that it answers a poll of.
    pub queue: Option<String>,
}

impl Reply {
    pub(crate) fn new(channel: Channel, name: &'static str, body: Body) -> Self {
        Self { channel, name, status: 200, body, headers: Vec::new(), visitor: None, queue: None }
    }

    /// An answer without a body.
    pub(crate) fn status(channel: Channel, name: &'static str, status: u16) -> Self {
        Self { status, ..Self::new(channel, name, Body::None) }
    }
}

//! The grid's HTTP side: login at `/`, grid info, capabilities.

use super::notices::panic_text;
use super::reply::{Body, Reply};
use super::witness::{Visitor, What};
use super::{Policy, Shared, caps, login};
use crate::net::server::{Answering, Handler, Request};
use crate::proto::llsd;
use crate::proto::login as call;
use crate::proto::xmlrpc::{self, Document, RpcValue};
use crate::tamper::Channel;
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

pub(super) struct Web(pub Arc<Shared>);

impl Handler for Web {
    fn answer(&self, request: Request) -> Answering {
        let shared = self.0.clone();
        Box::pin(async move {
            let path = request.path.clone();
            let routed = AssertUnwindSafe(route(&shared, request)).catch_unwind().await;
            let reply = routed.unwrap_or_else(|panic| {
                // Its first part only: what follows is a secret.
                let place = path.split('/').nth(1).unwrap_or_default();
                let text = panic_text(&*panic);
                shared.notices.mistake(&format!("the handler of /{place} panicked ({text})"));
                Reply::status(Channel::Http, "", 500)
            });
            let visitor = reply.visitor.filter(|_| reply.channel == Channel::Login);
            let Some(answer) = reply.deliver(&shared).await else {
                // Never answered: the connection ends with the grid, or when the client gives up.
                let _left = Left(shared, visitor);
                return std::future::pending().await;
            };
            answer
        })
    }
}

/// Tells, when it goes, that a visitor has given up a login.
struct Left(Arc<Shared>, Option<Visitor>);

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(visitor) = self.1 {
            self.0.ear.hear(visitor, || What::LoginLeft);
        }
    }
}

async fn route(shared: &Arc<Shared>, request: Request) -> Reply {
    if request.method == "OPTIONS" {
        let mut reply = Reply::status(Channel::Http, "", 200);
        reply.headers = vec![
            ("access-control-allow-origin", "*".into()),
            ("access-control-allow-methods", "GET, POST, DELETE, PUT, OPTIONS".into()),
            ("access-control-allow-headers", "Content-Type".into()),
        ];
        return reply;
    }
    if let Some(id) = request.path.strip_prefix("/CAPS/") {
        let (id, path) = id.split_once('/').unwrap_or((id, ""));
        let (id, path) = (id.to_owned(), path.to_owned());
        return caps::answer(shared, &id, &path, request).await;
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/") => log_in(shared, &request),
        ("POST", login::NEXT) if shared.config.faults.breaks(Policy::Undecided) => {
            log_in(shared, &request)
        }
        ("GET", "/get_grid_info") => grid_info(shared),
        _ => Reply::status(Channel::Http, "", 404),
    }
}

fn log_in(shared: &Arc<Shared>, request: &Request) -> Reply {
    let said = |body| Reply::new(Channel::Login, "", body);
    let log_in = |call: &call::Request| login::log_in(shared, &request.path, call);
    let of = |visitor, body| Reply { visitor: Some(visitor), ..said(body) };
    let status = |status| Reply::status(Channel::Login, "", status);
    if request.is_of_type(llsd::CONTENT_TYPE) {
        return match llsd::from_xml(&request.body).ok().and_then(call::Request::from_llsd) {
            Some(call) => {
                let (visitor, reply) = log_in(&call);
                of(visitor, Body::Llsd(reply))
            }
            None => status(400),
        };
    }
    let (method, params) = match xmlrpc::parse(&request.body) {
        Ok(Document::Call { method, params }) => (method, params),
        _ => return status(404),
    };
    let fault = |code, text: &str| said(Body::RpcFault(code, text.to_owned()));
    let mut reply = match (method.as_str(), params.as_slice()) {
        (call::METHOD, [members @ RpcValue::Struct(_)]) => {
            match call::Request::from_llsd(members.to_llsd()) {
                Some(call) => {
                    let (visitor, reply) = log_in(&call);
                    of(visitor, Body::Rpc(reply))
                }
                None => fault(-32603, "the parameter is not a struct"),
            }
        }
        (call::METHOD, _) => fault(-32603, "login_to_simulator takes one struct"),
        (method, _) => fault(-32601, &format!("Requested method [{method}] not found")),
    };
    reply.headers.push(("access-control-allow-origin", "*".into()));
    reply
}

fn grid_info(shared: &Shared) -> Reply {
    let body = format!(
        "<gridinfo><gridname>gridproof reference grid</gridname><gridnick>gridproof</gridnick>\
         <platform>OpenSim</platform><login>{}</login></gridinfo>",
        shared.login_uri
    );
    Reply::new(Channel::Http, "", Body::Plain("application/xml", body.into_bytes()))
}

//! The grid's HTTP side: login at `/`, grid info, capabilities.

use super::{Shared, Speech, caps, login};
use crate::net::server::{Answer, Answering, Handler, Request};
use crate::proto::llsd::{self, Llsd};
use crate::proto::login as call;
use crate::proto::xmlrpc::{self, Document, RpcValue};
use std::sync::Arc;

/// The header by which the grid announces how much faster its timers run.
pub const TIME_FACTOR_HEADER: &str = "x-gridproof-time-factor";

const LLSD: &str = "application/llsd+xml";

pub(super) struct Web(pub Arc<Shared>);

impl Handler for Web {
    fn answer(&self, request: Request) -> Answering {
        let shared = self.0.clone();
        Box::pin(async move {
            let mut answer = route(&shared, request).await;
            answer.headers.push((TIME_FACTOR_HEADER, shared.config.time_factor.to_string()));
            answer
        })
    }
}

async fn route(shared: &Arc<Shared>, request: Request) -> Answer {
    if request.method == "OPTIONS" {
        let mut answer = Answer::status(200);
        answer.headers = vec![
            ("access-control-allow-origin", "*".into()),
            ("access-control-allow-methods", "GET, POST, DELETE, PUT, OPTIONS".into()),
            ("access-control-allow-headers", "Content-Type".into()),
        ];
        return answer;
    }
    if let Some(id) = request.path.strip_prefix("/CAPS/") {
        let id = id.trim_end_matches('/').to_owned();
        return caps::answer(shared, &id, request).await;
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/") => log_in(shared, &request),
        ("GET", "/get_grid_info") => grid_info(shared),
        _ => Answer::status(404),
    }
}

fn log_in(shared: &Arc<Shared>, request: &Request) -> Answer {
    let content_type = request.content_type.as_deref().unwrap_or_default();
    if content_type.split(';').next().unwrap_or_default().trim() == LLSD {
        return match llsd::from_xml(&request.body).ok().and_then(call::Request::from_llsd) {
            Some(call) => Answer::ok(LLSD, llsd::to_xml(&answer(shared, &call))),
            None => Answer::status(400),
        };
    }
    let (method, params) = match xmlrpc::parse(&request.body) {
        Ok(Document::Call { method, params }) => (method, params),
        _ => return Answer::status(404),
    };
    let document = match (method.as_str(), params.as_slice()) {
        (call::METHOD, [members @ RpcValue::Struct(_)]) => {
            match call::Request::from_llsd(members.to_llsd()) {
                Some(call) => Document::Response(RpcValue::from_llsd(&answer(shared, &call))),
                None => fault(-32603, "the parameter is not a struct"),
            }
        }
        (call::METHOD, _) => fault(-32603, "login_to_simulator takes one struct"),
        (method, _) => fault(-32601, &format!("Requested method [{method}] not found")),
    };
    let mut answer = Answer::ok("text/xml", xmlrpc::to_xml(&document));
    answer.headers.push(("access-control-allow-origin", "*".into()));
    answer
}

/// The login's reply, with what is wrong with this grid's replies.
fn answer(shared: &Arc<Shared>, call: &call::Request) -> Llsd {
    let mut members = login::log_in(shared, call);
    shared.config.faults.say(&Speech::Login, &mut members);
    members
}

fn fault(code: i32, message: &str) -> Document {
    Document::Fault { code, message: message.to_owned() }
}

fn grid_info(shared: &Shared) -> Answer {
    let body = format!(
        "<gridinfo><gridname>gridproof reference grid</gridname><gridnick>gridproof</gridnick>\
         <platform>OpenSim</platform><login>{}</login></gridinfo>",
        shared.login_uri
    );
    Answer::ok("application/xml", body)
}

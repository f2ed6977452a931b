//! Logging in: one exchange, or as a viewer does it, following `indeterminate` and retrying once
//! where a stale presence is in the way.

use super::Viewer;
use crate::net::Channel;
use crate::net::http::{HttpError, Reply as HttpReply, Request as HttpRequest};
use crate::proto::llsd::{self, Llsd};
use crate::proto::login::{METHOD, Reply, Request, Session, hash_password};
use crate::proto::xmlrpc::{self, Document};
use std::time::Duration;

/// Which form the call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An XML-RPC call.
    XmlRpc,
    /// An LLSD map.
    Llsd,
}

/// One call and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The HTTP answer.
    pub http: HttpReply,
    /// The reply's members; none if the body is something else.
    pub members: Option<Llsd>,
    /// A fault, if it was one.
    pub fault: Option<(i32, String)>,
    /// What is wrong with the body, if anything.
    pub problem: Option<String>,
}

/// Why a login did not lead to a session.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoginError {
    /// No answer.
    #[error("login call: {0}")]
    Http(#[from] HttpError),
    /// The grid said no.
    #[error("login refused, reason `{reason}`: {message}")]
    Refused {
        /// The grid's word.
        reason: String,
        /// The grid's sentence.
        message: String,
    },
    /// The answer is no login reply.
    #[error("login reply: {0}")]
    Malformed(String),
}

impl Viewer {
    /// One call, to the letter.
    pub async fn login_call(
        &mut self,
        url: &str,
        method: &str,
        form: Form,
        request: &Request,
        within: Duration,
    ) -> Result<Exchange, HttpError> {
        if let Some(passwd) = request.text("passwd") {
            self.learn("password", passwd);
        }
        let http = match form {
            Form::XmlRpc => {
                HttpRequest::post(url, "text/xml", xmlrpc::to_xml(&request.to_rpc(method)))
            }
            Form::Llsd => {
                HttpRequest::post(url, llsd::CONTENT_TYPE, llsd::to_xml(&request.to_llsd()))
            }
        };
        let who = [request.text("first"), request.text("last")].map(Option::unwrap_or_default);
        let text = format!("{method} as {} {}", who[0], who[1]);
        // Nobody closes the semaphore: there is always a turn, sooner or later.
        let turn = self.common.login_turns.clone().acquire_owned().await.ok();
        self.timeline.add(&self.name, Channel::Login, '→', text);
        // The call goes on whatever becomes of us: the session it brings must be ended.
        let client = self.common.http.clone();
        let call = tokio::spawn(async move {
            let reply = client.ask(http, within).await;
            drop(turn);
            reply.map(|http| read(form, http))
        });
        let exchange = self.pending_login.insert(call).await;
        self.pending_login = None;
        let exchange = exchange.unwrap_or_else(|error| Err(HttpError::Broken(error.to_string())));
        self.unanswered_login =
            matches!(exchange, Err(HttpError::Timeout(_) | HttpError::Broken(_)));
        let text = match &exchange {
            Ok(exchange) => summary(exchange),
            Err(error) => error.to_string(),
        };
        self.timeline.add(&self.name, Channel::Login, '←', text);
        if let Ok(Exchange { members: Some(members), .. }) = &exchange {
            let own = hash_password(&self.credentials.password);
            let key = members.get("reason").and_then(Llsd::as_str) == Some("key");
            let names = [self.credentials.first.as_str(), self.credentials.last.as_str()];
            self.refused |= key && request.text("passwd") == Some(&own) && who == names;
            self.learn_members(members);
        }
        exchange
    }

    /// Waits for the answer of a login call that was cut short, and keeps its session in mind.
    pub(super) async fn finish_login(&mut self, within: Duration) {
        let Some(call) = self.pending_login.take() else { return };
        match tokio::time::timeout(within, call).await {
            Ok(Ok(Ok(Exchange { members: Some(members), .. }))) => self.learn_members(&members),
            Ok(Ok(Ok(_))) => {}
            _ => self.unanswered_login = true,
        }
    }

    /// Keeps in mind what a reply says: its secrets, and its session if it is a success.
    fn learn_members(&mut self, members: &Llsd) {
        for name in ["session_id", "secure_session_id", "circuit_code", "seed_capability"] {
            let text = match members.get(name) {
                Some(Llsd::Uuid(id)) => id.to_string(),
                Some(Llsd::Integer(n)) => n.to_string(),
                Some(other) => other.as_str().unwrap_or_default().to_owned(),
                None => continue,
            };
            self.learn(name, text);
        }
        if let Some(session) = Session::salvage(members) {
            self.sessions += 1;
            self.session = Some(session);
            self.entered = false;
            self.caps.clear();
        }
    }

    /// Logs in as a viewer does.
    pub async fn log_in(&mut self, start: &str, within: Duration) -> Result<Llsd, LoginError> {
        let Credentials { first, last, password } = self.credentials.clone();
        let request = Request::new(&first, &last, &hash_password(&password), start);
        let mut url = self.common.login_uri.clone();
        let mut method = METHOD.to_owned();
        let mut presence_retried = false;
        for _ in 0..6 {
            let exchange = self.login_call(&url, &method, Form::XmlRpc, &request, within).await?;
            let Some(members) = exchange.members else {
                let problem = exchange.problem.unwrap_or_else(|| "is a fault".into());
                return Err(LoginError::Malformed(problem));
            };
            match Reply::parse(&members).map_err(LoginError::Malformed)? {
                Reply::Success(_) => return Ok(members),
                Reply::Failure { reason, .. } if reason == "presence" && !presence_retried => {
                    presence_retried = true;
                    let text = "a stale presence was in the way; trying once more";
                    self.timeline.add(&self.name, Channel::Note, '·', text);
                }
                Reply::Failure { reason, message } => {
                    return Err(LoginError::Refused { reason, message });
                }
                Reply::Indeterminate { url: next, method: by, seconds } => {
                    tokio::time::sleep(Duration::from_secs(seconds.min(10).into())).await;
                    (url, method) = (next, by);
                }
            }
        }
        Err(LoginError::Malformed("`indeterminate` again and again".into()))
    }
}

use super::Credentials;

/// Reads an answer in the form of its call.
fn read(form: Form, http: HttpReply) -> Exchange {
    let mut exchange = Exchange { http, members: None, fault: None, problem: None };
    match form {
        Form::XmlRpc => match xmlrpc::parse(&exchange.http.body) {
            Ok(Document::Response(value)) => exchange.members = Some(value.to_llsd()),
            Ok(Document::Fault { code, message }) => exchange.fault = Some((code, message)),
            Ok(Document::Call { .. }) => exchange.problem = Some("an XML-RPC call".into()),
            Err(error) => exchange.problem = Some(error.to_string()),
        },
        Form::Llsd => match llsd::from_xml(&exchange.http.body) {
            Ok(members) => exchange.members = Some(members),
            Err(error) => exchange.problem = Some(format!("not LLSD: {error}")),
        },
    }
    exchange
}

fn summary(exchange: &Exchange) -> String {
    let status = exchange.http.status;
    if let Some((code, message)) = &exchange.fault {
        return format!("{status}, fault {code}: {message}");
    }
    let Some(members) = &exchange.members else {
        return format!("{status}, {}", exchange.problem.as_deref().unwrap_or("no members"));
    };
    let text = |name: &str| members.get(name).and_then(Llsd::as_str).unwrap_or_default();
    match text("login") {
        "true" => {
            let port = members.get("sim_port").and_then(Llsd::as_i32).unwrap_or_default();
            format!("{status}, login true, simulator {}:{port}", text("sim_ip"))
        }
        word => format!("{status}, login {word}, reason {}", text("reason")),
    }
}

//! Logging in: one exchange, or as a viewer does it, following `indeterminate` and trying again
//! where a stale session is in the way.

use super::{State, Viewer};
use crate::net::http::{HttpError, Reply as HttpReply, Request as HttpRequest};
use crate::net::tap::Passed;
use crate::proto::llsd::{self, Llsd};
use crate::proto::login::{METHOD, Reply, Request, Session, hash_password};
use crate::proto::xmlrpc::{self, Document};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

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
    /// The login service says that it went wrong.
    #[error("login answered by fault {code}: {message}")]
    Fault {
        /// The fault's number.
        code: i32,
        /// The grid's sentence.
        message: String,
    },
    /// The answer is a login reply that lacks what a session needs.
    #[error("login reply: {0}")]
    Malformed(String),
    /// The answer is something else: whoever answers may be no grid.
    #[error("status {status}, {kind}: {problem}")]
    NoReply {
        /// The HTTP status.
        status: u16,
        /// The content type.
        kind: String,
        /// Why it is no reply.
        problem: String,
    },
}

/// When accounts were last logged out by us: a grid may need a while to forget a session.
#[derive(Clone, Debug, Default)]
pub struct Departures(Arc<Mutex<BTreeMap<(String, String), Instant>>>);

impl Departures {
    /// This account has just been logged out.
    pub(super) fn note(&self, who: &Credentials) {
        let name = (who.first.clone(), who.last.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Instant::now());
    }

    /// Whether this account was logged out so short a time ago.
    fn is_recent(&self, who: &Credentials, within: Duration) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = all.get(&(who.first.clone(), who.last.clone()));
        left.is_some_and(|left| left.elapsed() <= within)
    }
}

/// A session that we ended may stand in the way of the next one for so long.
const LINGERS: Duration = Duration::from_secs(30);
/// Then a login is tried again after this,
const AGAIN: Duration = Duration::from_secs(5);
/// so often.
const TIMES: u32 = 6;

/// Reasons that no waiting changes; another wrong password may lock the account.
const FINAL: [&str; 5] = ["key", "tos", "critical", "update", "mfa_challenge"];

impl Viewer {
    /// One call, to the letter.
    ///
    /// # Errors
    /// No answer came; a refusal is an answer.
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
        let http = HttpRequest { alone: true, ..http };
        let who = [request.text("first"), request.text("last")].map(Option::unwrap_or_default);
        // Nobody closes the semaphore: there is always a turn, sooner or later.
        let turn = self.common.login_turns.clone().acquire_owned().await.ok();
        self.teller.tell(|| Passed::LoginCalled(method.to_owned(), who.join(" ")));
        // The call goes on whatever becomes of us: the session it brings must be ended.
        let client = self.common.http.clone();
        let call = tokio::spawn(async move {
            let reply = client.ask(http, within).await;
            drop(turn);
            Ok(read(form, reply?).await)
        });
        let exchange = self.pending_login.insert(call).await;
        self.pending_login = None;
        let exchange = exchange.unwrap_or_else(|error| Err(HttpError::Broken(error.to_string())));
        if matches!(exchange, Err(HttpError::Timeout(_) | HttpError::Broken(_)))
            && self.session().is_none()
        {
            self.state = State::Unanswered;
        }
        self.teller.tell(|| match &exchange {
            Ok(exchange) => Passed::LoginAnswered(exchange.http.status, exchange.said()),
            Err(error) => Passed::LoginLost(error.to_string()),
        });
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
            _ if self.session().is_none() => self.state = State::Unanswered,
            _ => {}
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
            self.begin(session);
        }
    }

    /// Logs in as a viewer does, in one form, or in whichever there is. Where a session that has
    /// ended is still in the way, it is tried again.
    ///
    /// # Errors
    /// The grid refuses, or answers nothing that leads to a session.
    pub async fn log_in(&mut self, start: &str, within: Duration) -> Result<Llsd, LoginError> {
        let wanted = self.login_form;
        let Credentials { first, last, password } = self.credentials.clone();
        let agreed = self.common.agreed;
        let request = Request::new(&first, &last, &hash_password(&password), start, agreed);
        let mut url = self.common.login_uri.clone();
        let mut method = METHOD.to_owned();
        let (mut sent_on, mut refused) = (0, 0);
        let mut form = wanted.unwrap_or(Form::XmlRpc);
        loop {
            let exchange = self.login_call(&url, &method, form, &request, within).await?;
            let members = match (members_of(exchange), form) {
                // Whoever does not speak XML-RPC may take LLSD; what is no grid takes neither.
                (Err(no_reply @ LoginError::NoReply { .. }), Form::XmlRpc) if wanted.is_none() => {
                    form = Form::Llsd;
                    let llsd = self.login_call(&url, &method, form, &request, within).await;
                    let members = llsd.ok().and_then(|exchange| exchange.members);
                    members.filter(|members| members.get("login").is_some()).ok_or(no_reply)?
                }
                (read, _) => read?,
            };
            match Reply::parse(&members)
                .map_err(|error| LoginError::Malformed(error.to_string()))?
            {
                Reply::Success(_) => return Ok(members),
                Reply::Failure { reason, .. } if refused < TIMES && self.may_pass(&reason) => {
                    refused += 1;
                    let text = format!("refused ({reason}), perhaps for a stale session; again");
                    self.teller.remark(text);
                    tokio::time::sleep(self.common.watch(AGAIN)).await;
                }
                Reply::Failure { reason, message } => {
                    return Err(LoginError::Refused { reason, message });
                }
                Reply::Indeterminate { url: next, method: by, seconds } if sent_on < TIMES => {
                    sent_on += 1;
                    tokio::time::sleep(Duration::from_secs(seconds.min(10).into())).await;
                    (url, method) = (next, by);
                }
                Reply::Indeterminate { .. } => {
                    return Err(LoginError::Malformed("`indeterminate` again and again".into()));
                }
            }
        }
    }

    /// Whether a refusal may be for a session that is not forgotten yet.
    fn may_pass(&self, reason: &str) -> bool {
        let recent =
            self.common.departures.is_recent(&self.credentials, self.common.watch(LINGERS));
        reason == "presence" || (recent && !FINAL.contains(&reason))
    }
}

/// The members of a reply, or what came instead.
fn members_of(exchange: Exchange) -> Result<Llsd, LoginError> {
    if let Some(members) = exchange.members {
        return Ok(members);
    }
    if let Some((code, message)) = exchange.fault {
        return Err(LoginError::Fault { code, message });
    }
    let (status, kind) = (exchange.http.status, exchange.http.header("content-type"));
    Err(LoginError::NoReply {
        status,
        kind: kind.unwrap_or("no content type").to_owned(),
        problem: exchange.problem.unwrap_or_default(),
    })
}

use super::Credentials;

/// Reads an answer in the form of its call.
async fn read(form: Form, http: HttpReply) -> Exchange {
    let mut exchange = Exchange { http, members: None, fault: None, problem: None };
    match form {
        Form::XmlRpc => match exchange.http.read(xmlrpc::parse).await {
            Ok(Document::Response(value)) => exchange.members = Some(value.to_llsd()),
            Ok(Document::Fault { code, message }) => exchange.fault = Some((code, message)),
            Ok(Document::Call { .. }) => exchange.problem = Some("an XML-RPC call".into()),
            Err(error) => exchange.problem = Some(error.to_string()),
        },
        Form::Llsd => match exchange
            .http
            .read(|body: &[u8]| llsd::from_xml_as_viewers(body).map(|(value, _)| value))
            .await
        {
            Ok(members) => exchange.members = Some(members),
            Err(error) => exchange.problem = Some(format!("not LLSD: {error}")),
        },
    }
    exchange
}

impl Exchange {
    /// The members but for lists, such as a whole inventory, or in words why there are none.
    fn said(&self) -> Result<Llsd, String> {
        match (&self.fault, &self.members) {
            (Some((code, message)), _) => Err(format!("fault {code}: {message}")),
            (None, Some(Llsd::Map(members))) => {
                let short = members.iter().filter(|(_, value)| value.as_array().is_none());
                Ok(Llsd::Map(short.cloned().collect()))
            }
            (None, Some(other)) => Ok(other.clone()),
            (None, None) => Err(self.problem.clone().unwrap_or_else(|| "no members".into())),
        }
    }
}

//! `login.llsd`: one login call as an LLSD map.

use super::{Observes, Repeat, Returns, StepDef, args, login_xmlrpc};
use crate::client::Form;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "login.llsd",
    doc: "Makes one login call as LLSD and returns the members of the reply and `http`.",
    keys: login_xmlrpc::KEYS,
    returns: Returns::Open("the reply's members and `http` (status, content_type)"),
    within: Duration::from_secs(30),
    repeatable: Repeat::Unless(login_xmlrpc::hopeless),
    waits: args::for_answer,
    observes: Observes::LOGIN,
    run: |call| login_xmlrpc::run(call, Form::Llsd),
};

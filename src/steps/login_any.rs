//! `login.any`: a session, by whichever form of login there is.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, key, login};
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "login.any",
    doc: "Logs in as a viewer does, by XML-RPC or, where the grid does not speak it, as LLSD, trying \
          again past a stale session. Returns the login's members.",
    keys: &[key("start", Kind::Text, "the start location; `last` if left out"), login::FORM],
    returns: Returns::Open("the login's members"),
    within: Duration::from_secs(30),
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::NOTHING,
    run: |call| {
        Box::pin(async move {
            let start = call.args.text("start").unwrap_or_else(|| "last".into());
            call.viewer.login_form = login::form(call.args, &call.viewer.common);
            match call.viewer.log_in(&start, call.within).await {
                Ok(members) => Ok(Value::from(&members)),
                Err(error) => Err(Failure::missing("logging in", "a session", error.to_string())),
            }
        })
    },
};

#[cfg(test)]
mod tests {
    use crate::steps::bench::{hearing, said};

    #[test]
    fn a_grid_that_speaks_neither_form_gives_no_session() {
        let ended = said(hearing(|_| {}, r#"do = "login.any", within = "1s""#));
        assert!(ended.starts_with("a session: "), "{ended}");
    }
}

//! `login`: one login call, in either form.

use super::{
    Args, Call, Failure, Key, Kind, Observes, Repeat, Returns, Running, StepDef, args, http_result,
    key, skeleton,
};
use crate::client::{Common, Form};
use crate::proto::llsd::Llsd;
use crate::proto::login::{METHOD, Request, hash_password};
use crate::value::Value;
use std::time::Duration;

const KEYS: &[Key] = &[
    FORM,
    key("first", Kind::Text, "first name instead of the account's"),
    key("last", Kind::Text, "last name instead of the account's"),
    key("password", Kind::Text, "a password instead of the account's; it is hashed"),
    key(
        "passwd",
        Kind::Text,
        "the member `passwd` to the letter; \"clear\" sends the account's password unhashed, \"upper\" its hash in upper case",
    ),
    key("start", Kind::Text, "the start location; `last` if left out"),
    key("options", Kind::Texts, "the optional members asked for"),
    key("set", Kind::Table, "further members, or other values"),
    key("remove", Kind::Texts, "members to leave out"),
    key("method", Kind::Text, "the XML-RPC method instead of login_to_simulator"),
];

/// The step.
pub(super) static STEP: StepDef = StepDef {
    name: "login",
    doc: "Makes one login call and returns the members of the reply, and `http` and, where the grid \
          answered so, `fault`. A refusal is an answer, not a failure.",
    run: |call| {
        let form = form(call.args, &call.viewer.common);
        run(call, form.unwrap_or(Form::XmlRpc))
    },
    keys: KEYS,
    ..XMLRPC
};

/// The same, as an LLSD map whatever else is said: an older word.
pub(super) static LLSD: StepDef = StepDef {
    name: "login.llsd",
    doc: "The same as `login` with form = \"llsd\".",
    run: |call| run(call, Form::Llsd),
    ..XMLRPC
};

/// The same under its older word, as an XML-RPC call whatever else is said.
pub(super) static XMLRPC_STEP: StepDef = XMLRPC;

/// The same, as an XML-RPC call whatever else is said: an older word.
const XMLRPC: StepDef = StepDef {
    name: "login.xmlrpc",
    doc: "The same as `login` with form = \"xmlrpc\".",
    keys: without_form(KEYS),
    returns: Returns::Open(
        "the reply's members, `http` (status, content_type) and `fault` (code, message)",
    ),
    within: Duration::from_secs(30),
    repeatable: Repeat::Unless(hopeless),
    waits: args::for_answer,
    observes: Observes::LOGIN,
    run: |call| run(call, Form::XmlRpc),
};

/// The older words say the form themselves.
const fn without_form(keys: &'static [Key]) -> &'static [Key] {
    match keys {
        [_, rest @ ..] => rest,
        [] => keys,
    }
}

/// How the call is written: as the step says, or as the run does.
pub(super) fn form(args: &Args, common: &Common) -> Option<Form> {
    match args.text("form").as_deref() {
        Some("llsd") => Some(Form::Llsd),
        Some(_) => Some(Form::XmlRpc),
        None => common.login_form,
    }
}

/// The key that says it.
pub(super) const FORM: Key = key(
    "form",
    Kind::Word(&["xmlrpc", "llsd"]),
    "how the call is written: `xmlrpc` or `llsd`; as --login-form says if left out",
);

fn run(call: Call<'_>, form: Form) -> Running<'_> {
    Box::pin(async move {
        let request = request(&call)?;
        let url = call.viewer.common.login_uri.clone();
        let method = call.args.text("method").unwrap_or_else(|| METHOD.to_owned());
        let exchange = call.viewer.login_call(&url, &method, form, &request, call.within).await;
        let exchange =
            exchange.map_err(|error| http_result::unanswered("the login call", error))?;
        let mut members = match &exchange.members {
            Some(members) => match Value::from(members) {
                Value::Map(members) => members,
                other => vec![("body".to_owned(), other)],
            },
            None => Vec::new(),
        };
        if let Some((code, message)) = &exchange.fault {
            let code = ("code", Value::integer(*code));
            let fault = Value::map([code, ("message", Value::string(message))]);
            members.push(("fault".into(), fault));
        }
        let problem = exchange.problem.as_ref().map_or(Value::Undef, Value::string);
        let kind = exchange.http.header("content-type").map_or(Value::Undef, Value::string);
        let http = Value::map([
            ("status", Value::integer(exchange.http.status)),
            ("content_type", kind),
            ("problem", problem),
            ("ms", Value::Real(exchange.http.elapsed.as_secs_f64() * 1e3)),
        ]);
        members.push(("http".into(), http));
        members.push(("derived".into(), derived(&members)));
        Ok(Value::Map(members))
    })
}

fn request(call: &Call<'_>) -> Result<Request, Failure> {
    let own = &call.viewer.credentials;
    let args = call.args;
    let first = args.text("first").unwrap_or_else(|| own.first.clone());
    let last = args.text("last").unwrap_or_else(|| own.last.clone());
    let password = args.text("password").unwrap_or_else(|| own.password.clone());
    let passwd = match args.text("passwd").as_deref() {
        None => hash_password(&password),
        Some("clear") => password,
        Some("upper") => format!("$1${}", hash_password(&password)[3..].to_uppercase()),
        Some(literal) => literal.to_owned(),
    };
    let start = args.text("start").unwrap_or_else(|| "last".into());
    let mut request = Request::new(&first, &last, &passwd, &start, call.viewer.common.agreed);
    if let Some(options) = args.texts("options") {
        let options = options.into_iter().map(Llsd::String).collect();
        request.set("options", Llsd::Array(options));
    }
    if let Some(Value::Map(members)) = args.get("set") {
        for (name, value) in members {
            request.set(name, Llsd::from(value));
        }
    }
    for name in args.texts("remove").unwrap_or_default() {
        request.remove(&name);
    }
    Ok(request)
}

/// What follows from a reply's members: the handle of its region, and its size in metres.
pub(super) fn derived(members: &[(String, Value)]) -> Value {
    let metres = |name: &str| {
        members.iter().find(|(n, _)| n == name).and_then(|(_, value)| whole::<u32>(value))
    };
    let member = |name: &str| members.iter().find(|(n, _)| n == name).map(|(_, value)| value);
    let own = skeleton::derived(member("inventory-root"), member("inventory-skeleton"));
    let library = skeleton::derived(member("inventory-lib-root"), member("inventory-skel-lib"));
    let mut derived = vec![("inventory".to_owned(), own), ("library".to_owned(), library)];
    if let Some(seed) = member("seed_capability").and_then(Value::as_text) {
        derived.push(("stranger".into(), Value::String(stranger(&seed))));
    }
    if let (Some(x), Some(y)) = (metres("region_x"), metres("region_y")) {
        let handle = u64::from(x) << 32 | u64::from(y);
        let size = |name| Value::integer(metres(name).unwrap_or(256));
        derived.push(("region_handle".into(), Value::integer(handle)));
        derived.push(("size_x".into(), size("region_size_x")));
        derived.push(("size_y".into(), size("region_size_y")));
    }
    Value::Map(derived)
}

/// A whole number, also where it is told as text: viewers convert.
pub(super) fn whole<T: TryFrom<i128>>(value: &Value) -> Option<T> {
    value.numeral().as_int()
}

/// A seed capability's URL with another id in it: one that was never handed out. The id is the
/// longest run of hex digits and hyphens; its decimal digits become others.
fn stranger(seed: &str) -> String {
    let is_id = |c: char| c.is_ascii_hexdigit() || c == '-';
    let runs = seed.split(|c| !is_id(c));
    let id = runs.max_by_key(|run| run.len()).unwrap_or_default();
    let another = (1..).zip(id.chars()).map(|(at, c)| match c.to_digit(10) {
        Some(digit) => char::from_digit((digit + 1 + at % 9) % 10, 10).unwrap_or(c),
        None => c,
    });
    seed.replacen(id, &another.collect::<String>(), 1)
}

/// A wrong password does not become right: asking again would only lock the account. And a login
/// that succeeded is what it is: another one would be refused for its sake.
fn hopeless(reply: &Value) -> bool {
    let says = |member: &str, what: &str| {
        reply.get(member).and_then(Value::as_text).as_deref() == Some(what)
    };
    says("reason", "key") || says("login", "true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::bench::{converse, rpc};
    use crate::steps::bench::{hearing, step};

    #[test]
    fn a_refusal_is_an_answer_and_members_can_be_changed() {
        let refused = |_: &_, _| rpc(&[("login", "false"), ("reason", "key")]);
        let line = r#"do = "login", set = { channel = "Odd" }, remove = ["mac"]"#;
        let (ended, asked) = converse(refused, async |viewer| step(viewer, line).await);
        assert_eq!(ended.unwrap().get("reason"), Some(&Value::string("key")));
        let sent = String::from_utf8_lossy(&asked[0].1.body).into_owned();
        assert!(sent.contains("Odd") && !sent.contains("<name>mac</name>"), "{sent}");
        let nothing = hearing(|_| {}, r#"do = "login""#).unwrap();
        assert_eq!(nothing.get("http").unwrap().get("status"), Some(&Value::integer(404)));
    }

    #[test]
    fn numbers_that_are_told_as_text_are_numbers() {
        let text = |name: &str, text: &str| (name.to_owned(), Value::string(text));
        let told = derived(&[text("region_x", "256000"), text("region_y", " 256256 ")]);
        let handle = 256_000_u64 << 32 | 256_256;
        assert_eq!(told.get("region_handle"), Some(&Value::integer(handle)));
        assert_eq!(told.get("size_x"), Some(&Value::integer(256)));
        assert_eq!(derived(&[text("region_x", "far"), text("region_y", "1")]).get("size_x"), None);
    }

    #[test]
    fn a_stranger_differs_from_the_seed_in_its_id_only() {
        let seed = "http://127.0.0.1:9000/CAPS/67153d5b-3659-4a4e-b3a3-7d5c44a2b7c10000/";
        let other = stranger(seed);
        assert_ne!(other, seed);
        assert_eq!(other.len(), seed.len());
        assert!(other.starts_with("http://127.0.0.1:9000/CAPS/") && other.ends_with('/'));
    }
}

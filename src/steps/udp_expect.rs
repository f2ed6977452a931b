//! `udp.expect`: waits for a message, or watches that it does not come.

use super::{
    Call, Failure, Kind, Observes, Repeat, Returns, StepDef, Waits, args, heard, key, need,
    time_text,
};
use crate::client::Observed;
use crate::value::{Value, message_bytes};
use std::time::Duration;
use tokio::time::Instant;

pub(super) static STEP: StepDef = StepDef {
    name: "udp.expect",
    doc: "Waits for a message on a circuit and returns its blocks, and `header` (sequence, \
          reliable, resent, zerocoded, size); where `where` has a path with `[*]`, `item` is the \
          instance that had what it asks for. A message is taken by the first step that waits for \
          it. With `never` it must not come while `within` lasts; with `count` exactly so many \
          must have come when `within` is over.",
    keys: &[
        need("message", Kind::Message, "the message's name"),
        key("or", Kind::Message, "this other message will do as well"),
        key("circuit", Kind::Text, "the circuit; where the avatar stands if left out"),
        key(
            "where",
            Kind::Table,
            "only a message that has these values at these paths; at paths with `[*]`, in one and the same item",
        ),
        key("without", Kind::Table, "only a message that has none of these values at these paths"),
        key(
            "next",
            Kind::Flag,
            "only one that came after the last of its name that a step has taken",
        ),
        key("never", Kind::Flag, "it must not come"),
        key("count", Kind::Integer, "so many must come, no more and no fewer"),
        key("optional", Kind::Flag, "it may be missing; then nothing is expected of it"),
        key("despite_refusal", Kind::Flag, "another teleport may be refused, and ends no wait"),
        key("raw", Kind::Flag, "texts are given as bytes, with the NUL that ends them"),
        key("duplicates", Kind::Flag, "count repetitions of the same number too"),
    ],
    returns: Returns::Message,
    within: Duration::from_secs(10),
    repeatable: Repeat::No,
    waits: |args| match (args.get("count"), args.flag("optional")) {
        (Some(_), _) => Waits::WatchingCircuit,
        (None, Some(true)) => Waits::ForWhatMayCome,
        (None, _) => args::never(args),
    },
    observes: Observes::MESSAGE,
    run: |call| {
        Box::pin(async move {
            let never = call.args.flag("never").unwrap_or(false);
            let count: Option<usize> = if never { Some(0) } else { call.args.int("count") };
            match count {
                Some(count) => watch(&call, count).await,
                None => wait(&call).await,
            }
        })
    },
};

/// What a step looks for.
struct Wanted {
    name: String,
    or: Option<String>,
    circuit: String,
    filter: Option<Value>,
    without: Option<Value>,
    next: bool,
    duplicates: bool,
    raw: bool,
}

impl Wanted {
    fn of(call: &Call<'_>) -> Self {
        Self {
            name: call.args.text("message").unwrap_or_default(),
            or: call.args.text("or"),
            circuit: call.circuit(),
            filter: call.args.get("where").cloned(),
            without: call.args.get("without").cloned(),
            next: call.args.flag("next").unwrap_or(false),
            duplicates: call.args.flag("duplicates").unwrap_or(false),
            raw: call.args.flag("raw").unwrap_or(false),
        }
    }

    fn find(&self, observed: &Observed) -> Option<Value> {
        if observed.taken {
            return None;
        }
        let heard = heard::message(observed, &self.circuit)?;
        if !self.is_named(heard.message.name()) || (heard.duplicate && !self.duplicates) {
            return None;
        }
        let value = heard::value(&heard);
        let fits = heard::fits(&value, self.filter.as_ref())
            && heard::lacks(&value, self.without.as_ref());
        if !fits {
            return None;
        }
        let item = heard::fitting_item(&value, self.filter.as_ref());
        let mut told = if self.raw { message_bytes(heard.message) } else { value };
        if let (Value::Map(members), Some(item)) = (&mut told, item) {
            members.push(("item".into(), item));
        }
        Some(told)
    }

    fn is_named(&self, name: &str) -> bool {
        name == self.name || self.or.as_deref() == Some(name)
    }

    /// Where to begin to look.
    fn start(&self, heard: &[Observed]) -> usize {
        let taken = |observed: &Observed| {
            let message = heard::message(observed, &self.circuit);
            observed.taken && message.is_some_and(|m| self.is_named(m.message.name()))
        };
        match self.next {
            true => heard.iter().rposition(taken).map_or(0, |at| at + 1),
            false => 0,
        }
    }

    fn names(&self) -> String {
        match &self.or {
            Some(or) => format!("{} or {or}", self.name),
            None => self.name.clone(),
        }
    }

    fn described(&self) -> String {
        let with = self.filter.as_ref().map(|filter| format!(" with {filter}"));
        let without = self.without.as_ref().map(|values| format!(" without {values}"));
        format!("{}{}{}", self.names(), with.unwrap_or_default(), without.unwrap_or_default())
    }
}

async fn wait(call: &Call<'_>) -> Result<Value, Failure> {
    let wanted = Wanted::of(call);
    let despite = call.args.flag("despite_refusal").unwrap_or(false);
    let found = heard::awaited(call, Some(&*wanted.name).filter(|_| !despite), |heard| {
        let start = wanted.start(heard);
        heard[start..].iter_mut().find_map(|observed| {
            let value = wanted.find(observed)?;
            observed.taken = true;
            Some(value)
        })
    });
    match found.await {
        Some(Ok(value)) => Ok(value),
        Some(Err(refusal)) if !call.args.flag("optional").unwrap_or(false) => {
            let stage = format!("waiting for {}", wanted.names());
            Err(Failure::missing(stage, wanted.described(), refusal))
        }
        Some(Err(_)) => Ok(Value::Undef),
        None if call.args.flag("optional").unwrap_or(false) => Ok(Value::Undef),
        None => Err(Failure::Missing {
            stage: format!("waiting for {}", wanted.names()),
            expected: format!("{} within {}", wanted.described(), time_text(call.within)),
            received: heard::summary(call.viewer, &wanted.circuit),
            hint: heard::hint(call.viewer, &wanted.circuit),
        }),
    }
}

async fn watch(call: &Call<'_>, count: usize) -> Result<Value, Failure> {
    let wanted = Wanted::of(call);
    let time = call.viewer.common.watch(call.within);
    let too_many = call.viewer.mailbox.wait(Instant::now() + time, |heard| {
        let later = &heard[wanted.start(heard)..];
        let n = later.iter().filter(|o| wanted.find(o).is_some()).count();
        (n > count).then_some(n)
    });
    let too_many = too_many.await;
    let mut found = Vec::new();
    call.viewer.mailbox.with(|heard| {
        let start = wanted.start(heard);
        for observed in &mut heard[start..] {
            if let Some(value) = wanted.find(observed) {
                observed.taken = true;
                found.push(value);
            }
        }
    });
    if too_many.is_none() && found.len() == count {
        let stage = format!("watching for {}", wanted.names());
        for name in std::iter::once(&wanted.name).chain(&wanted.or) {
            heard::kept(call.viewer, Some(name), &stage)?;
        }
        return Ok(found.pop().unwrap_or_default());
    }
    let during = time_text(call.within);
    let expected = match count {
        0 => format!("no {} within {during}", wanted.described()),
        n => format!("{n} × {} within {during}", wanted.described()),
    };
    let received = format!("{} of them", found.len());
    Err(Failure::missing(format!("watching for {}", wanted.names()), expected, received))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Viewer;
    use crate::proto::message::{Field, FieldValue, Flags};
    use crate::steps::bench::{hearing, message, said, says, says_again};

    fn line(viewer: &Viewer, n: u32, text: &str) {
        let chat = message("ChatFromSimulator");
        says(viewer, n, Flags::RELIABLE, chat.with("ChatData", "Message", FieldValue::text(text)));
    }

    const CHAT: &str = r#"do = "udp.expect", message = "ChatFromSimulator""#;

    #[test]
    fn only_a_message_that_fits_is_taken() {
        let both = |viewer: &Viewer| {
            line(viewer, 1, "one");
            line(viewer, 2, "two");
        };
        let found = hearing(both, &format!(r#"{CHAT}, where = {{ "ChatData.Message" = "two" }}"#));
        let header = found.unwrap().get("header").cloned().unwrap();
        assert_eq!(header.get("sequence"), Some(&Value::integer(2)));
        assert_eq!(header.get("reliable"), Some(&Value::Boolean(true)));
        let not = format!(r#"{CHAT}, without = {{ "ChatData.Message" = "one" }}"#);
        let found = hearing(both, &not).unwrap();
        assert_eq!(found.get("header").unwrap().get("sequence"), Some(&Value::integer(2)));
        let none = format!(r#"{CHAT}, where = {{ "ChatData.Message" = "three" }}, within = "1s""#);
        assert!(said(hearing(both, &none)).ends_with("within 1 s: only ChatFromSimulator ×2"));
    }

    #[test]
    fn what_is_counted_is_counted_once_for_each_number() {
        let twice = |viewer: &Viewer| {
            line(viewer, 1, "one");
            says_again(viewer, 1, Flags::RESENT, message("ChatFromSimulator"), true);
        };
        let once = format!(r#"{CHAT}, count = 1, within = "1s""#);
        assert!(hearing(twice, &once).is_ok());
        let each = said(hearing(twice, &format!("{once}, duplicates = true")));
        assert_eq!(each, "1 × ChatFromSimulator within 1 s: 2 of them");
        let never = said(hearing(twice, &format!(r#"{CHAT}, never = true, within = "1s""#)));
        assert_eq!(never, "no ChatFromSimulator within 1 s: 1 of them");
        let none = hearing(|_| {}, &format!(r#"{CHAT}, never = true, within = "1s""#));
        assert_eq!(none, Ok(Value::Undef));
    }

    #[test]
    fn a_refusal_answers_one_question() {
        let (first, again) = (Flags::RELIABLE, Flags::RESENT);
        let refused = |viewer: &Viewer| says(viewer, 1, first, message("TeleportFailed"));
        let local = r#"do = "udp.expect", message = "TeleportLocal", within = "1s""#;
        assert_eq!(said(hearing(refused, local)), "TeleportLocal: TeleportFailed, \"\"");
        let said_again = |viewer: &Viewer| {
            says_again(viewer, 1, again, message("TeleportFailed"), true);
            says(viewer, 2, first, message("TeleportLocal"));
        };
        assert!(hearing(said_again, local).is_ok());
        let only_that = |viewer: &Viewer| {
            says_again(viewer, 1, again, message("TeleportFailed"), true);
        };
        let missing = said(hearing(only_that, local));
        assert!(missing.starts_with("TeleportLocal within 1 s: "), "{missing}");
    }

    #[test]
    fn what_may_be_missing_may_and_what_may_be_another_too() {
        assert_eq!(hearing(|_| {}, &format!("{CHAT}, optional = true")), Ok(Value::Undef));
        let other = |viewer: &Viewer| {
            let update = message("ObjectUpdate").with("ObjectData", "ID", Field::U32(7));
            says(viewer, 1, Flags::default(), update);
        };
        let or = format!(r#"{CHAT}, or = "ObjectUpdate", where = {{ "ObjectData[*].ID" = 7 }}"#);
        let item = hearing(other, &or).unwrap().get("item").cloned().unwrap();
        assert_eq!(item.get("ID"), Some(&Value::integer(7)));
    }
}

//! `llsd.parse`: reads LLSD that travelled inside a string.

use super::{Failure, Kind, Observes, Repeat, Returns, StepDef, args, key, need};
use crate::proto::llsd;
use crate::value::Value;
use std::time::Duration;

pub(super) static STEP: StepDef = StepDef {
    name: "llsd.parse",
    doc: "Reads LLSD from a text, as notation unless `form` says xml, and returns `value`. Text \
          that is not LLSD fails the step.",
    keys: &[need("text", Kind::Text, "the text"), key("form", Kind::Text, "notation or xml")],
    returns: Returns::Members(&[("value", "what was read")]),
    within: Duration::ZERO,
    repeatable: Repeat::No,
    waits: args::for_answer,
    observes: Observes::GIVEN,
    run: |call| {
        Box::pin(async move {
            let text = call.args.text("text").unwrap_or_default();
            let parsed = match call.args.text("form").as_deref() {
                Some("xml") => llsd::from_xml(text.as_bytes()),
                _ => llsd::from_notation(text.as_bytes()),
            };
            match parsed {
                Ok(value) => Ok(Value::map([("value", Value::from(&value))])),
                Err(error) => {
                    let received = format!("{:?}: {error}", crate::value::cut(&text, 80));
                    Err(Failure::missing("reading LLSD", "LLSD notation", received))
                }
            }
        })
    },
};

#[cfg(test)]
mod tests {
    use crate::steps::bench::{hearing, said};
    use crate::value::Value;

    #[test]
    fn notation_and_xml_are_read_and_nothing_else() {
        let read = |line: &str| hearing(|_| {}, line);
        let two = Value::map([("value", Value::Array(vec![Value::integer(1), Value::integer(2)]))]);
        assert_eq!(read(r#"do = "llsd.parse", text = "[i1,i2]""#), Ok(two.clone()));
        let xml = "<llsd><array><integer>1</integer><integer>2</integer></array></llsd>";
        let line = format!(r#"do = "llsd.parse", form = "xml", text = "{xml}""#);
        assert_eq!(read(&line), Ok(two));
        let wrong = said(read(r#"do = "llsd.parse", text = "[i1""#));
        assert!(wrong.starts_with("LLSD notation: \"[i1\": "), "{wrong}");
    }
}

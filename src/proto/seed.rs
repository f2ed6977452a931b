//! The seed capability: a list of names out, a map of names to URLs back.

use super::llsd::{Llsd, LlsdError, from_xml, from_xml_as_viewers, to_xml};

/// The content type a seed request must carry, to the letter.
pub const CONTENT_TYPE: &str = super::llsd::CONTENT_TYPE;

/// Writes a request.
pub fn request(names: &[&str]) -> String {
    to_xml(&Llsd::Array(names.iter().map(|name| Llsd::string(*name)).collect()))
}

/// Reads a request; members that are not strings are passed over.
///
/// # Errors
/// Not an array of texts.
pub fn parse_request(body: &[u8]) -> Result<Vec<String>, LlsdError> {
    match from_xml(body)? {
        Llsd::Array(names) => {
            Ok(names.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect())
        }
        _ => Err(LlsdError::Bad { what: "a seed request is an array of names".into(), at: 0 }),
    }
}

/// A reply.
pub fn reply(granted: impl IntoIterator<Item = (String, String)>) -> Llsd {
    Llsd::map(granted.into_iter().map(|(name, url)| (name, Llsd::String(url))))
}

/// Reads a reply: names and URLs in the order given.
///
/// # Errors
/// Not a map of texts.
pub fn parse_reply(body: &[u8]) -> Result<Vec<(String, String)>, LlsdError> {
    match from_xml_as_viewers(body)?.0 {
        Llsd::Map(members) => Ok(members
            .into_iter()
            .filter_map(|(name, url)| url.as_str().map(|u| (name, u.to_owned())))
            .collect()),
        _ => Err(LlsdError::Bad { what: "a seed reply is a map of names to URLs".into(), at: 0 }),
    }
}

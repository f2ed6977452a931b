//! Datagrams that do not decode.

use crate::proto::message::{DecodeError, Decoder};
use crate::proto::template::Template;

/// Why a datagram does not decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// Its number is of no message of the template: a newer one may have it.
    Unknown,
    /// Its trailer of acks is zero-coded with its body.
    CodedTrailer,
    /// Anything else.
    Broken(DecodeError),
}

impl Undecodable {
    /// Why these bytes do not, which a decoder refuses with this error.
    pub(super) fn of(
        error: DecodeError,
        bytes: &[u8],
        decoder: &mut Decoder,
        template: &Template,
    ) -> Self {
        match error {
            _ if decoder.has_coded_trailer(template, bytes) => Self::CodedTrailer,
            DecodeError::UnknownNumber => Self::Unknown,
            error => Self::Broken(error),
        }
    }
}

impl std::fmt::Display for Undecodable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => DecodeError::UnknownNumber.fmt(f),
            Self::CodedTrailer => f.write_str("its trailer of acks is zero-coded with its body"),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(bytes: &[u8]) -> Undecodable {
        let (mut decoder, template) = (Decoder::tolerant(), Template::shipped());
        let error = decoder.decode(template, bytes).unwrap_err();
        Undecodable::of(error, bytes, &mut decoder, template)
    }

    #[test]
    fn a_coded_trailer_is_told_from_a_cut_message() {
        // StartPingCheck: number, ping, the oldest number that waits.
        let (head, body) = ([0x90, 0, 0, 0, 1, 0], [1, 7, 0, 4]);
        let trailer = [0, 3, 9, 1];
        assert_eq!(why(&[&head[..], &body, &trailer].concat()), Undecodable::CodedTrailer);
        let cut = why(&[0x00, 0, 0, 0, 1, 0, 1, 7, 0]);
        assert!(matches!(cut, Undecodable::Broken(DecodeError::Truncated { .. })), "{cut}");
        let unknown = why(&[0x00, 0, 0, 0, 1, 0, 0xFF, 0xFF, 0xFD, 0xE8, 0]);
        assert_eq!(unknown, Undecodable::Unknown);
    }
}

//! References in text: `${id.path}`.

use crate::value::Path;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece<'a> {
    /// Text as it is.
    Text(&'a str),
    /// A reference: a name, and a path in what it stands for.
    Reference(&'a str, Path),
    /// Something that starts as a reference and is none.
    Broken(&'a str),
}

/// The names that stand for something without a step.
pub(super) const BUILT_IN: [&str; 8] =
    ["account", "actor", "target", "row", "param", "random", "case", "now"];

/// Cuts a text into pieces.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if start > 0 {
            pieces.push(Piece::Text(&rest[..start]));
        }
        let inner = &rest[start + 2..];
        let Some(end) = inner.find('}') else {
            pieces.push(Piece::Broken(&rest[start..]));
            return pieces;
        };
        pieces.push(reference(&inner[..end]));
        rest = &inner[end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

fn reference(inner: &str) -> Piece<'_> {
    let split = inner.find(['.', '[']).unwrap_or(inner.len());
    let (name, path) = inner.split_at(split);
    let path = Path::parse(path.strip_prefix('.').unwrap_or(path));
    match path {
        Ok(path) if !name.is_empty() => Piece::Reference(name, path),
        _ => Piece::Broken(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_falls_into_pieces() {
        let found = pieces("a ${x.y[0]} b ${z}");
        assert_eq!(found.len(), 4);
        assert_eq!(found[1], Piece::Reference("x", Path::parse("y[0]").unwrap()));
        assert_eq!(found[3], Piece::Reference("z", Path::default()));
        assert_eq!(pieces("${x"), [Piece::Broken("${x")]);
        assert_eq!(pieces("${.x}"), [Piece::Broken(".x")]);
    }
}

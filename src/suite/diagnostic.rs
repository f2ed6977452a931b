//! A mistake in a file: where it stands, drawn with a caret.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet, renderer::DecorStyle};
use std::ops::Range;
use std::sync::Arc;

/// A file's path and text.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// The path as people know it.
    pub path: String,
    /// The text.
    pub text: String,
}

/// Without the text: every step holds its source.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.path)
    }
}

impl Source {
    /// Line and column of an offset, from 1.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..at.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// The text of the line an offset is in.
    pub fn line(&self, at: usize) -> &str {
        let at = at.min(self.text.len());
        let start = self.text[..at].rfind('\n').map_or(0, |n| n + 1);
        self.text[start..].lines().next().unwrap_or_default()
    }
}

/// One mistake.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The file.
    pub source: Arc<Source>,
    /// The place.
    pub span: Range<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Diagnostic {
    /// A mistake at a place.
    pub fn new(source: &Arc<Source>, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { source: source.clone(), span, message: message.into() }
    }

    /// File, line and column, the line and a caret under the place.
    pub fn render(&self, colour: bool) -> String {
        let text = self.source.text.as_str();
        let start = self.span.start.min(text.len());
        let end = self.span.end.clamp(start, text.len());
        // Only the lines it stands on: drawing takes time by the length of what is handed over, and
        // a file may have a mistake on every line.
        let from = text[..start].rfind('\n').map_or(0, |n| n + 1);
        let to = text[end..].find('\n').map_or(text.len(), |n| end + n);
        let span = start - from..end - from;
        let snippet = Snippet::source(&text[from..to])
            .path(&self.source.path)
            .line_start(self.source.position(start).0)
            .annotation(AnnotationKind::Primary.span(span));
        let report = [Level::ERROR.primary_title(self.message.clone()).element(snippet)];
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.decor_style(DecorStyle::Ascii).render(&report).to_string()
    }
}

//! Reports: each a pure function of the run record.

mod failure;
mod human;
mod json;
mod junit;
mod paint;
mod progress;
mod verdict;

pub use failure::failure;
pub use human::{closing, opening};
pub use json::json;
pub use junit::junit;
pub use paint::Paint;
pub(crate) use paint::wrap;
pub use progress::{Counter, Progress};
pub use verdict::verdict;

use std::io::Write;
use std::path::Path;

/// Writes a report whole or not at all: beside its place first, then into it. A link is followed;
/// what is no regular file, such as a pipe or a device, is written to and never replaced.
///
/// # Errors
/// The file cannot be written; nothing is left behind then.
pub fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir()) {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = folder.join(format!(".{name}.{}.part", std::process::id()));
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let moved = written.and_then(|()| std::fs::rename(&beside, path));
    if moved.is_err() {
        // The half-written file is of no use to anybody.
        let _ = std::fs::remove_file(&beside);
    }
    moved
}

/// Text that XML can carry: control characters become `�`, `]]>` is broken up.
fn xml_clean(text: &str) -> String {
    let carried = |c: char| match c {
        '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => c,
        _ => '\u{fffd}',
    };
    text.chars().map(carried).collect::<String>().replace("]]>", "]] >")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_cannot_be_put_in_place_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("sub");
        std::fs::create_dir(&inside).unwrap();
        assert!(write(&inside, b"x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let target = folder.path().join("target.xml");
        std::fs::write(&target, b"old").unwrap();
        #[cfg(unix)]
        {
            let link = folder.path().join("link.xml");
            std::os::unix::fs::symlink(&target, &link).unwrap();
            write(&link, b"new").unwrap();
            assert!(link.is_symlink());
            assert_eq!(std::fs::read(&target).unwrap(), b"new");
        }
        let file = folder.path().join("report.xml");
        write(&file, b"x").unwrap();
        assert_eq!(std::fs::read(file).unwrap(), b"x");
    }

    #[test]
    fn any_text_becomes_text_that_xml_can_carry() {
        assert_eq!(xml_clean("a\u{0}b]]>c\u{1b}[0m"), "a\u{fffd}b]] >c\u{fffd}[0m");
    }
}

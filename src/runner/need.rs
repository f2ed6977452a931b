//! What a case needs of a grid, and what of it is missing.

use super::Target;
use crate::suite::Case;

/// What is missing for a case, in a sentence.
pub(super) fn missing(case: &Case, target: &Target) -> Option<String> {
    let (has, needs) = (target.accounts.len(), case.actors.len());
    if has < needs {
        return Some(format!("needs {needs} accounts, and {has} are configured"));
    }
    case.needs.iter().find_map(|need| {
        let (name, count) = need.split_once(':').unwrap_or((need, "1"));
        let known = target.regions.len();
        match name {
            "regions" => {
                let count = count.parse().unwrap_or(1);
                (known < count).then(|| format!("needs {count} regions, and {known} are known"))
            }
            "neighbour" => target.neighbour.is_none().then(|| {
                "needs a region beside the first: none is named (--neighbour), none was found"
                    .to_owned()
            }),
            "distant" => target.distant.is_none().then(|| {
                "needs a region apart from the first: none is named (--distant), none was found"
                    .to_owned()
            }),
            "closed" => target.closed.is_none().then(|| {
                "needs a region beside the first that lets nobody in, named by --closed".to_owned()
            }),
            "loopback" => (!target.is_loopback()).then(|| "needs a grid on loopback".to_owned()),
            "llsd-login" => (!target.llsd_login).then(|| "this grid has no LLSD login".to_owned()),
            _ => None,
        }
    })
}

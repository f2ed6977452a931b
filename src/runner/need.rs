//! What a case needs of a grid, and what of it is missing.

use super::Target;
use crate::suite::{Case, Need};

/// What is missing for a case, in a sentence.
pub(super) fn missing(case: &Case, target: &Target) -> Option<String> {
    let (has, needs) = (target.accounts.len(), case.actors.len());
    if has < needs {
        return Some(format!("needs {needs} accounts, and {has} are configured"));
    }
    let known = target.regions.len();
    case.needs.iter().find_map(|need| match need {
        Need::Account => None,
        Need::Regions(count) => {
            (known < *count).then(|| format!("needs {count} regions, and {known} are known"))
        }
        Need::Neighbour => target.neighbour.is_none().then(|| {
            "needs a region beside the first: none is named (--neighbour), none was found"
                .to_owned()
        }),
        Need::Distant => target.distant.is_none().then(|| {
            "needs a region apart from the first: none is named (--distant), none was found"
                .to_owned()
        }),
        Need::Closed => target.closed.is_none().then(|| {
            "needs a region beside the first that lets nobody in, named by --closed".to_owned()
        }),
        Need::Loopback => (!target.is_loopback()).then(|| "needs a grid on loopback".to_owned()),
        Need::LlsdLogin => (!target.llsd_login).then(|| "this grid has no LLSD login".to_owned()),
    })
}

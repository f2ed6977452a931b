//! The checks, each by the requirement that it judges.

mod caps;
mod circuit;
mod handshake;
mod login;
mod teleport;

use super::check_result::CheckResult;
use super::visit::Visit;

/// A requirement, and what is said of it by a visit.
pub(super) type Check = (&'static str, fn(&Visit) -> CheckResult);

/// The check of a requirement.
pub(super) fn of(requirement: &str) -> Option<fn(&Visit) -> CheckResult> {
    all().find(|(id, _)| *id == requirement).map(|(_, check)| *check)
}

/// Every check.
pub(super) fn all() -> impl Iterator<Item = &'static Check> {
    let areas = [login::CHECKS, circuit::CHECKS, handshake::CHECKS, caps::CHECKS, teleport::CHECKS];
    areas.into_iter().flatten()
}

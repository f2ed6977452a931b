//! What kind of grid says so of itself.

/// What stands in the `ChannelVersion` of `AgentMovementComplete`, and the kind that is. What
/// descends from OpenSim may name it besides, so that comes last.
const KINDS: [(&str, &str); 6] = [
    ("gridproof", "reference"),
    ("halcyon", "halcyon"),
    ("whitecore", "whitecore"),
    ("silversim", "silversim"),
    ("second life", "sl"),
    ("opensim", "opensim"),
];

/// The kind of grid whose regions call their software so; none if nobody here knows it.
pub fn kind_of(version: &str) -> Option<&'static str> {
    let version = version.trim().to_lowercase();
    KINDS.iter().find(|(name, _)| version.contains(name)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_told_by_what_a_region_calls_its_software() {
        assert_eq!(kind_of("OpenSim 0.9.2.2 Nessie Release"), Some("opensim"));
        assert_eq!(kind_of("Second Life Server 2025-11-01.1"), Some("sl"));
        assert_eq!(kind_of("My own server"), None);
    }
}

//! The figures of a grid's circuits, right or wrong.

use super::Own;
use crate::grid::fault::Faults;
use crate::proto::circuit::Config;
use crate::proto::id::Sequence;

/// Misbehaviours that are figures of circuits.
pub(super) const OF_CIRCUITS: [Own; 11] = [
    Own::NeverAcks,
    Own::AcksOnce,
    Own::AcksSingly,
    Own::IgnoresAcks,
    Own::ProcessesDuplicates,
    Own::NeverResends,
    Own::NeverPongs,
    Own::NeverPings,
    Own::NeverTimesOut,
    Own::CountsFromAHundred,
    Own::AcksByTheHundred,
];

/// The figures of a grid's circuits, with what is wrong with them.
pub(super) fn figures(faults: &Faults, config: Config) -> Config {
    Config {
        acks: !faults.has(Own::NeverAcks),
        acks_per_packet: match faults.has(Own::AcksSingly) {
            true => 1,
            false => config.acks_per_packet,
        },
        resend_tries: if faults.has(Own::NeverResends) { 0 } else { config.resend_tries },
        pongs: !faults.has(Own::NeverPongs),
        pings: !faults.has(Own::NeverPings),
        idle_timeout: config.idle_timeout.filter(|_| !faults.has(Own::NeverTimesOut)),
        first_sequence: match faults.has(Own::CountsFromAHundred) {
            true => Sequence(100),
            false => config.first_sequence,
        },
        ..config
    }
}

//! The figures of a grid's circuits, right or wrong.

use super::Own;
use crate::grid::fault::Faults;
use crate::proto::circuit::Config;
use crate::proto::id::Sequence;

/// Misbehaviours that are figures of circuits.
pub(super) const OF_CIRCUITS: [Own; 13] = [
    Own::NeverAcks,
    Own::AcksOnce,
    Own::AcksSingly,
    Own::IgnoresAcks,
    Own::ProcessesDuplicates,
    Own::NeverResends,
    Own::NeverPongs,
    Own::NeverPings,
    Own::NeverTimesOut,
    Own::DropsEarly,
    Own::CountsFromAHundred,
    Own::ResendsOnce,
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
        resend_tries: match () {
            () if faults.has(Own::NeverResends) => 0,
            () if faults.has(Own::ResendsOnce) => 1,
            () => config.resend_tries,
        },
        pongs: !faults.has(Own::NeverPongs),
        pings: !faults.has(Own::NeverPings),
        idle_timeout: match config.idle_timeout {
            _ if faults.has(Own::NeverTimesOut) => None,
            // A quarter of the minute that is right.
            Some(limit) if faults.has(Own::DropsEarly) => Some(limit / 4),
            limit => limit,
        },
        first_sequence: match faults.has(Own::CountsFromAHundred) {
            true => Sequence(100),
            false => config.first_sequence,
        },
        ..config
    }
}

//! The rules of the protocol that a grid can be told not to keep.

/// A rule of the protocol that a grid does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Any password will do.
    AnyPassword,
    /// An unknown name is refused with words of its own.
    NamesNameless,
    /// Any circuit code will do.
    AnyCode,
    /// Any session id will do.
    AnySession,
    /// Packets with foreign ids are acknowledged and processed.
    ForeignIds,
    /// Endpoints that never sent UseCircuitCode are acknowledged.
    AnswersStrangers,
    /// Reliable packets are not acknowledged.
    NeverAcks,
    /// Acks are not heeded: everything is sent again and again.
    IgnoresAcks,
    /// Nothing is sent again.
    NeverResends,
    /// Duplicates are processed.
    ProcessesDuplicates,
    /// Pings are not answered.
    NeverPongs,
    /// The simulator does not ping.
    NeverPings,
    /// Silence is borne for ever.
    NeverTimesOut,
    /// A second login ends nothing.
    NeverKicks,
    /// Capabilities outlive their session.
    CapsOutlive,
    /// The seed grants names it does not know.
    GrantsAnything,
    /// The avatar arrives without CompleteAgentMovement.
    ArrivesUnasked,
    /// Every CompleteAgentMovement is answered.
    ArrivesTwice,
    /// A datagram that does not decode ends its circuit.
    DiesOfGarbage,
    /// An empty event queue answers at once.
    NeverHolds,
    /// The simulator's first number is 100.
    CountsFromAHundred,
    /// A circuit goes on as if there had been no logout.
    StaysAfterLogout,
    /// A reliable datagram that does not decode is acknowledged.
    AcksGarbage,
    /// A message that only simulators may send is carried out.
    ObeysTrusted,
    /// A message that only simulators may send ends its circuit.
    DiesOfTrusted,
    /// A datagram that is too short is read on into a stranger's bytes.
    ReadsPastTheEnd,
    /// Every session of an agent has the same ids and code.
    RepeatsIds,
    /// An ack of what was not sent, or was acknowledged before, ends the circuit.
    DiesOfAcks,
    /// A child agent is not greeted.
    IgnoresChildren,
    /// Every seed request gets new URLs.
    NewUrls,
    /// The seed hands out the capabilities of another agent.
    ForeignCaps,
    /// Other avatars are shown to whoever has arrived, asked or not.
    NoGates,
    /// CompleteAgentMovement moves whatever code it has.
    AnyMovementCode,
    /// A child agent arrives where it has no avatar.
    ArrivesAsChild,
    /// Child agents outlive their session.
    KeepsChildren,
    /// A session taken over from another port goes on at the old one too.
    KeepsOldPort,
    /// UseCircuitCode on a running circuit ends it.
    RestartsOnCode,
    /// The avatar arrives only after RegionHandshakeReply.
    NeedsHandshakeReply,
    /// A client that answers no pings is gone, whatever else it sends.
    DiesUnpinged,
    /// Every ack travels alone.
    AcksSingly,
    /// A packet that comes again is not acknowledged again.
    AcksOnce,
    /// LogoutRequest is carried out and not acknowledged.
    LeavesWithoutAck,
    /// Numbers behind the highest one, wrapped, are not heard.
    NeverWraps,
    /// After a second AgentThrottle pings are not answered any more.
    ChokesOnThrottle,
    /// A code that no login gave out is greeted.
    GreetsStrangers,
    /// A session cannot be taken over from another port.
    RefusesNewPort,
    /// An arrival is told twice.
    TellsArrivalTwice,
    /// A datagram is larger than any path carries in one piece.
    FatDatagrams,
    /// A datagram with bytes behind its last block is dropped.
    RefusesTrailingBytes,
    /// A datagram with a flag bit that has no meaning is dropped.
    RefusesReservedBits,
    /// A datagram whose ack trailer is empty is dropped.
    RefusesEmptyTrailer,
}

impl Policy {
    /// Every policy, with its word.
    pub const ALL: [(Self, &str); 51] = [
        (Self::AnyPassword, "any-password"),
        (Self::NamesNameless, "names-nameless"),
        (Self::AnyCode, "any-code"),
        (Self::AnySession, "any-session"),
        (Self::ForeignIds, "foreign-ids"),
        (Self::AnswersStrangers, "answers-strangers"),
        (Self::NeverAcks, "never-acks"),
        (Self::IgnoresAcks, "ignores-acks"),
        (Self::NeverResends, "never-resends"),
        (Self::ProcessesDuplicates, "processes-duplicates"),
        (Self::NeverPongs, "never-pongs"),
        (Self::NeverPings, "never-pings"),
        (Self::NeverTimesOut, "never-times-out"),
        (Self::NeverKicks, "never-kicks"),
        (Self::CapsOutlive, "caps-outlive"),
        (Self::GrantsAnything, "grants-anything"),
        (Self::ArrivesUnasked, "arrives-unasked"),
        (Self::ArrivesTwice, "arrives-twice"),
        (Self::DiesOfGarbage, "dies-of-garbage"),
        (Self::NeverHolds, "never-holds"),
        (Self::CountsFromAHundred, "counts-from-a-hundred"),
        (Self::StaysAfterLogout, "stays-after-logout"),
        (Self::AcksGarbage, "acks-garbage"),
        (Self::ObeysTrusted, "obeys-trusted"),
        (Self::DiesOfTrusted, "dies-of-trusted"),
        (Self::ReadsPastTheEnd, "reads-past-the-end"),
        (Self::RepeatsIds, "repeats-ids"),
        (Self::DiesOfAcks, "dies-of-acks"),
        (Self::IgnoresChildren, "ignores-children"),
        (Self::NewUrls, "new-urls"),
        (Self::ForeignCaps, "foreign-caps"),
        (Self::NoGates, "no-gates"),
        (Self::AnyMovementCode, "any-movement-code"),
        (Self::ArrivesAsChild, "arrives-as-child"),
        (Self::KeepsChildren, "keeps-children"),
        (Self::KeepsOldPort, "keeps-old-port"),
        (Self::RestartsOnCode, "restarts-on-code"),
        (Self::NeedsHandshakeReply, "needs-handshake-reply"),
        (Self::DiesUnpinged, "dies-unpinged"),
        (Self::AcksSingly, "acks-singly"),
        (Self::AcksOnce, "acks-once"),
        (Self::LeavesWithoutAck, "leaves-without-ack"),
        (Self::NeverWraps, "never-wraps"),
        (Self::ChokesOnThrottle, "chokes-on-throttle"),
        (Self::GreetsStrangers, "greets-strangers"),
        (Self::RefusesNewPort, "refuses-new-port"),
        (Self::TellsArrivalTwice, "tells-arrival-twice"),
        (Self::FatDatagrams, "fat-datagrams"),
        (Self::RefusesTrailingBytes, "refuses-trailing-bytes"),
        (Self::RefusesReservedBits, "refuses-reserved-bits"),
        (Self::RefusesEmptyTrailer, "refuses-empty-trailer"),
    ];
}

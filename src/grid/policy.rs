//! The rules of the protocol that a grid can be told not to keep.

/// One line for each policy: its variant, its word in files of mutants, what it means.
macro_rules! policies {
    ($($variant:ident $word:literal $doc:literal,)*) => {
        /// A rule of the protocol that a grid does not keep.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Policy {
            $(#[doc = $doc] $variant,)*
        }

        impl Policy {
            /// Every policy, with its word and what it means.
            pub const ALL: &[(Self, &str, &str)] = &[$((Self::$variant, $word, $doc),)*];
        }
    };
}

policies! {
    AnyPassword "any-password" "Any password will do.",
    NamesNameless "names-nameless" "An unknown name is refused with words of its own.",
    AnyCode "any-code" "Any circuit code will do.",
    AnySession "any-session" "Any session id will do.",
    ForeignIds "foreign-ids" "Packets with foreign ids are acknowledged and processed.",
    AnswersStrangers "answers-strangers" "Endpoints that never sent UseCircuitCode are acknowledged.",
    NeverAcks "never-acks" "Reliable packets are not acknowledged.",
    IgnoresAcks "ignores-acks" "Acks are not heeded: everything is sent again and again.",
    NeverResends "never-resends" "Nothing is sent again.",
    ProcessesDuplicates "processes-duplicates" "Duplicates are processed.",
    NeverPongs "never-pongs" "Pings are not answered.",
    NeverPings "never-pings" "The simulator does not ping.",
    NeverTimesOut "never-times-out" "Silence is borne for ever.",
    NeverKicks "never-kicks" "A second login ends nothing.",
    CapsOutlive "caps-outlive" "Capabilities outlive their session.",
    GrantsAnything "grants-anything" "The seed grants names it does not know.",
    ArrivesUnasked "arrives-unasked" "The avatar arrives without CompleteAgentMovement.",
    ArrivesTwice "arrives-twice" "Every CompleteAgentMovement is answered.",
    DiesOfGarbage "dies-of-garbage" "A datagram that does not decode ends its circuit.",
    NeverHolds "never-holds" "An empty event queue answers at once.",
    CountsFromAHundred "counts-from-a-hundred" "The simulator's first number is 100.",
    StaysAfterLogout "stays-after-logout" "A circuit goes on as if there had been no logout.",
    AcksGarbage "acks-garbage" "A reliable datagram that does not decode is acknowledged.",
    ObeysTrusted "obeys-trusted" "A message that only simulators may send is carried out.",
    DiesOfTrusted "dies-of-trusted" "A message that only simulators may send ends its circuit.",
    ReadsPastTheEnd "reads-past-the-end" "A datagram that is too short is read on into a stranger's bytes.",
    RepeatsIds "repeats-ids" "Every session of an agent has the same ids and code.",
    DiesOfAcks "dies-of-acks" "An ack of what was not sent, or was acknowledged before, ends the circuit.",
    IgnoresChildren "ignores-children" "A child agent is not greeted.",
    NewUrls "new-urls" "Every seed request gets new URLs.",
    ForeignCaps "foreign-caps" "The seed hands out the capabilities of another agent.",
    NoGates "no-gates" "Other avatars are shown to whoever has arrived, asked or not.",
    AnyMovementCode "any-movement-code" "CompleteAgentMovement moves whatever code it has.",
    ArrivesAsChild "arrives-as-child" "A child agent arrives where it has no avatar.",
    KeepsChildren "keeps-children" "Child agents outlive their session.",
    KeepsOldPort "keeps-old-port" "A session taken over from another port goes on at the old one too.",
    RestartsOnCode "restarts-on-code" "UseCircuitCode on a running circuit ends it.",
    NeedsHandshakeReply "needs-handshake-reply" "The avatar arrives only after RegionHandshakeReply.",
    DiesUnpinged "dies-unpinged" "A client that answers no pings is gone, whatever else it sends.",
    AcksSingly "acks-singly" "Every ack travels alone.",
    AcksOnce "acks-once" "A packet that comes again is not acknowledged again.",
    LeavesWithoutAck "leaves-without-ack" "LogoutRequest is carried out and not acknowledged.",
    NeverWraps "never-wraps" "Numbers behind the highest one, wrapped, are not heard.",
    ChokesOnThrottle "chokes-on-throttle" "After a second AgentThrottle pings are not answered any more.",
    GreetsStrangers "greets-strangers" "A code that no login gave out is greeted.",
    RefusesNewPort "refuses-new-port" "A session cannot be taken over from another port.",
    TellsArrivalTwice "tells-arrival-twice" "An arrival is told twice.",
    FatDatagrams "fat-datagrams" "A datagram is larger than any path carries in one piece.",
    RefusesTrailingBytes "refuses-trailing-bytes" "A datagram with bytes behind its last block is dropped.",
    RefusesReservedBits "refuses-reserved-bits" "A datagram with a flag bit that has no meaning is dropped.",
    RefusesEmptyTrailer "refuses-empty-trailer" "A datagram whose ack trailer is empty is dropped.",
    ExtraHeader "extra-header" "Pings and their answers have an extra header of four bytes.",
    LooseTrailer "loose-trailer" "An ack trailer that reaches into the message is passed over.",
    DiesOfExtra "dies-of-extra" "A datagram with an extra header ends its circuit.",
    ThrottleHarmsOthers "throttle-harms-others" "Rates that are too short silence every other circuit.",
    TellsSingly "tells-singly" "A poll brings one event, whatever else has happened.",
    IgnoresEmptySeed "ignores-empty-seed" "A seed request that asks for nothing does not count.",
    ShowsWorldAgain "shows-world-again" "Every RegionHandshakeReply shows the world anew.",
    HeedsLateUpdates "heeds-late-updates" "An AgentUpdate that comes after a newer one counts.",
    PlaysOn "plays-on" "A seat or an animation that has begun does not end.",
    PlaysAlone "plays-alone" "Animations are told to their own viewer only.",
    IgnoresResent "ignores-resent" "A packet that says it is sent again is passed over.",
    SeedForOneAddress "seed-for-one-address" "The seed answers only 127.0.0.1.",
    VersionsStandStill "versions-stand-still" "The version of a folder never grows.",
    SecondTrash "second-trash" "A second folder of a system type is made.",
    RenamesSystem "renames-system" "Folders of the system are renamed and moved.",
    PurgesAnywhere "purges-anywhere" "Folders are removed and purged that are not in the trash.",
    TrustsOwners "trusts-owners" "An update says whose an item is, and who made it.",
    UnboundMasks "unbound-masks" "Masks go beyond the base mask.",
    CopiesAnything "copies-anything" "What may not be copied is copied.",
    CreatesOnUpdate "creates-on-update" "An update of an item that is not there makes it.",
    MovesSilently "moves-silently" "An update moves its item to the root.",
    RemovesForeign "removes-foreign" "Items are removed whoever owns them.",
    ShowsForeign "shows-foreign" "Folders and items of others are shown.",
    FollowsLinks "follows-links" "A link is told as what it points at.",
    ForgetsFolders "forgets-folders" "A folder made by HTTP is confirmed and not made.",
    LosesLastPacket "loses-last-packet" "Of several packets of one folder the last is not sent.",
    UploadsTwice "uploads-twice" "An uploader takes bytes again and again.",
    ForgetsUploads "forgets-uploads" "Other bytes are kept than were uploaded.",
    CountsNoPolls "counts-no-polls" "Every reply of an event queue has the same id.",
    TeleportsAnywhere "teleports-anywhere" "A teleport to where nothing is leads somewhere.",
    StaysInBoth "stays-in-both" "After a teleport the avatar is in the old region too.",
    EmptyRuns "empty-runs" "A run of zeros is begun by one that is said to have none.",
}

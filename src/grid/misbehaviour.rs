//! What a grid can be told to do wrong, or oddly: each room declares its own.

use std::fmt;

/// A rule of the protocol that a grid does not keep, or something odd that it does.
#[derive(Clone, Copy)]
pub struct Misbehaviour {
    /// Its word in files of mutants and variants.
    pub word: &'static str,
    /// What it means, in a sentence.
    pub means: &'static str,
}

impl PartialEq for Misbehaviour {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl Eq for Misbehaviour {}

impl fmt::Debug for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

/// Declares what a room can be told to do wrong: an enum of its own, whose every variant has its
/// word in files of mutants and a sentence that says what it means. A variant that nothing asks
/// for does not compile.
macro_rules! misbehaviours {
    ($($variant:ident $word:literal $means:literal,)+) => {
        /// What this room can be told to do wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::grid) enum Own {
            $(#[doc = $means] $variant,)+
        }

        impl Own {
            /// All of them, in this order.
            pub(in crate::grid) const ALL: &[$crate::grid::misbehaviour::Misbehaviour] =
                &[$($crate::grid::misbehaviour::Misbehaviour { word: $word, means: $means },)+];
        }

        impl From<Own> for $crate::grid::misbehaviour::Misbehaviour {
            fn from(own: Own) -> Self {
                Own::ALL[own as usize]
            }
        }
    };
}

pub(super) use misbehaviours;

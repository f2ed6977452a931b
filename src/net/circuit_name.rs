//! Names of circuits.

use std::sync::{Arc, PoisonError, RwLock};

/// The name of a circuit, for people and suites; clones are the same, and it may change while the
/// circuit runs.
#[derive(Clone, Debug)]
pub struct CircuitName(Arc<RwLock<Arc<str>>>);

impl CircuitName {
    /// That name.
    pub fn new(name: &str) -> Self {
        Self(Arc::new(RwLock::new(name.into())))
    }

    /// What it is now.
    pub fn get(&self) -> Arc<str> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same as text.
    pub fn text(&self) -> String {
        self.get().as_ref().to_owned()
    }

    /// Another name from now on.
    pub fn set(&self, name: &str) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = name.into();
    }
}

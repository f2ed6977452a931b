//! What rooms remember: each has state of a type that only it can name.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;

/// States by their type, as they are when nothing has happened until they are asked for.
#[derive(Default)]
pub(in crate::grid) struct States(BTreeMap<TypeId, Box<dyn Any + Send>>);

impl States {
    pub(crate) fn of<T: Any + Default + Send>(&mut self) -> &mut T {
        let state = self.0.entry(TypeId::of::<T>()).or_insert_with(|| Box::<T>::default());
        match state.downcast_mut() {
            Some(state) => state,
            None => unreachable!("a state is kept under its own type"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_a_state_of_its_own() {
        let mut states = States::default();
        states.of::<Vec<u8>>().push(7);
        states.of::<String>().push('x');
        assert_eq!(states.of::<Vec<u8>>(), &[7]);
        assert_eq!(states.of::<String>(), "x");
    }
}

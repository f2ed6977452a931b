//! What the suites are worth: mutants that they must notice, and what of the catalogue they cover.
//!
//! A mutant is a reference grid with one fault. Written mutants (`fixtures/mutants/`) break rules
//! of behaviour and say which requirements that breaks; generated mutants change one member or field
//! of what a clean run was seen to say. A case that cannot notice any of them proves nothing, and a
//! requirement that none of them breaks is not known to be tested.

mod coverage;
mod generate;
mod html;
mod load;
mod mutant;
mod observation_points;
mod run;
mod text;
mod variant;
mod verdict;

pub use coverage::{Coverage, Status};
pub use generate::named;
pub(crate) use load::faults;
pub use load::{Mutants, shipped_sources};
pub use mutant::{Mutant, Origin};
pub(crate) use run::side_by_side;
pub use run::{Prepared, Prover, Run, Unproven};
pub use variant::{Variant, Verdicts, shipped_variants};
pub use verdict::{CaseVerdict, Fate, MutantVerdict, Proof, RequirementVerdict, Score};

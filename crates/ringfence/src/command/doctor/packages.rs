//! What environments of packages are built with.

use ringfence_runs::builders;

use super::{Finding, State};

/// Of each kind, whether this machine can build them.
pub fn findings() -> Vec<Finding> {
    let finding = |(kind, found): (&str, Result<String, ringfence_runs::RecipeError>)| {
        let (state, detail, remedy) = match found {
            Ok(places) => (State::Good, places, None),
            Err(error) => (State::Less, error.what, Some(error.way_out)),
        };
        Finding { section: "environments of packages", name: kind.to_owned(), state, detail, remedy }
    };
    builders().into_iter().map(finding).collect()
}

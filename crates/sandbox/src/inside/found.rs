//! Layers as they are found while a sandbox is set up.

use crate::layer::{Layer, LayerName, LayerState};

/// What has been found so far; the last word on a layer counts.
pub(crate) struct Found(Vec<Layer>);

impl Found {
    /// Starts from what the machine is known to refuse.
    pub(crate) fn new(refused: &[Layer]) -> Self {
        Self(refused.to_vec())
    }

    /// Adds what others have found.
    pub(crate) fn add(&mut self, layers: Vec<Layer>) {
        for layer in layers {
            self.set(layer.name, layer.state);
        }
    }

    pub(crate) fn in_force(&mut self, name: LayerName, how: impl Into<String>) {
        self.set(name, LayerState::InForce(how.into()));
    }

    pub(crate) fn missing(&mut self, name: LayerName, why: impl Into<String>) {
        self.set(name, LayerState::Missing(why.into()));
    }

    /// In force if it worked, missing with the error if not.
    pub(crate) fn record(&mut self, name: LayerName, outcome: Result<String, String>) -> bool {
        let worked = outcome.is_ok();
        match outcome {
            Ok(how) => self.in_force(name, how),
            Err(why) => self.missing(name, why),
        }
        worked
    }

    pub(crate) fn is_in_force(&self, name: LayerName) -> bool {
        self.0.iter().any(|layer| layer.name == name && layer.in_force())
    }

    pub(crate) fn into_layers(self) -> Vec<Layer> {
        self.0
    }

    fn set(&mut self, name: LayerName, state: LayerState) {
        self.0.retain(|layer| layer.name != name);
        self.0.push(Layer { name, state });
    }
}

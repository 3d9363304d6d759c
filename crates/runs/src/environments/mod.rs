//! Environments of packages: built once for what they are made of, kept, and shown read-only to every run that wants the same.
//!
//! ```text
//! recipe ──▶ ingredients ──▶ key ──▶ store: there? ──▶ mounted
//!             (every package         │ no                 ▲
//!              has a digest)         └──▶ building ───────┘  a run of the node's own, once for all who wait
//! ```
//!
//! Nothing of a package is run while it is built: `uv` takes wheels alone, no Python of the environment is started once there
//! is a package in it (it would run what `*.pth` files say), and `npm` runs no scripts. What cannot be installed so is named
//! (`named`), and then its code runs. Whatever happens, it happens in a sandbox that reaches the index and nothing else; and
//! what is left is looked at as a stranger's, when nothing in there lives any more.

mod building;
mod builds;
mod command;
mod digests;
mod in_order;
mod links;
mod manifest;
mod named;
mod npm_keys;
mod package_lock;
mod recipe;
mod requirements;
mod room;
mod store;
mod tools;
mod uv_lock;
mod words;

pub use building::BuildSettings;
pub use recipe::{Recipe, RecipeError};
pub(crate) use words::Failure;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ringfence_kernel::Run;
use ringfence_types::{Builder, Digest};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::limits::{BUILDS_AT_ONCE, READ_AT_ONCE};
use crate::runs::Inner;
use building::Order;
use builds::{Build, Builds};
use store::{InUse, Store};
use tools::Tools;

/// Told anew when the same files would make another environment.
const FORMAT: &str = "ringfence environment 3";

/// All environments of a node.
pub(crate) struct Environments {
    store: Arc<Store>,
    builds: Builds,
    /// For those that are built.
    places: Semaphore,
    /// For those that are read before their first use, which takes memory for the names of their files.
    readings: Semaphore,
}

/// An environment that a run has, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Ready {
    pub builder: Builder,
    in_use: Arc<InUse>,
}

/// What this machine has to build environments with, for each kind: where it is, or how to get it.
pub fn builders() -> [(&'static str, Result<String, RecipeError>); 2] {
    let found = |builder| {
        Tools::find(builder).map(|tools| {
            let uv = tools.uv.map(|uv| format!(", {}", uv.display())).unwrap_or_default();
            format!("{}{uv}", tools.interpreter.display())
        })
    };
    [("python", found(Builder::Python)), ("node", found(Builder::Node))]
}

// === impl Environments ===

impl Environments {
    /// Those in this folder.
    pub(crate) fn open(folder: PathBuf) -> Self {
        Self {
            store: Store::open(folder),
            builds: Builds::default(),
            places: Semaphore::new(BUILDS_AT_ONCE),
            readings: Semaphore::new(READ_AT_ONCE),
        }
    }

    /// Removes those that nobody has used for so long. Blocks.
    pub(crate) fn prune(&self, kept: Duration) {
        self.store.prune(kept);
        self.builds.prune();
    }

    /// One that is there. Who gives up waiting for it ends the reading of it, too.
    async fn get(&self, key: Digest) -> Option<InUse> {
        let (store, stop) = (Arc::clone(&self.store), CancellationToken::new());
        let _stop = stop.clone().drop_guard();
        let _turn = if store.is_to_be_read(key) { Some(self.readings.acquire().await.ok()?) } else { None };
        tokio::task::spawn_blocking(move || store.get(key, &stop)).await.ok().flatten()
    }
}

// === impl Inner ===

impl Inner {
    /// The environment for a run: as it was built before, or built now. What is wrong is told with the way out.
    pub(crate) async fn environment(
        self: &Arc<Self>,
        run: &Run,
        recipe: &Recipe,
        settings: &BuildSettings,
    ) -> Result<Ready, Failure> {
        let failed = |error: RecipeError| {
            Failure::new(format!("its environment cannot be built from {}: {error}", recipe.name()))
        };
        let (builder, found) = (recipe.builder(), look(recipe.clone()).await.map_err(failed)?);
        let (ingredients, tools) = found;
        let key = key(recipe, &ingredients, &tools, settings);
        if let Some(in_use) = self.environments.get(key).await {
            return Ok(Ready { builder, in_use: Arc::new(in_use) });
        }
        let order = Order {
            workspace: run.workspace.clone(),
            recipe: recipe.clone(),
            ingredients,
            tools,
            settings: settings.clone(),
            key,
        };
        let build = self.join_build(order);
        self.prepares(run.id, Some(format!("its environment, which is built from {}", recipe.name())));
        let mut built = build.built.clone();
        let built = built.wait_for(Option::is_some).await.map(|built| built.clone());
        self.prepares(run.id, None);
        match built {
            Ok(Some(Ok(in_use))) => Ok(Ready { builder, in_use }),
            Ok(Some(Err(failure))) => Err(failure),
            // Whoever built it has gone without a word.
            Ok(None) | Err(_) => Err(Failure::new("the build of its environment was called off")),
        }
    }

    /// The build of this environment: one that is under way, or a new one.
    fn join_build(self: &Arc<Self>, order: Order) -> Arc<Build> {
        let (build, begun) = self.environments.builds.join(order.key);
        if let Some(begun) = begun {
            let inner = Arc::clone(self);
            self.tasks.spawn(async move {
                let done = inner.build(&order, &begun.stop).await;
                inner.environments.builds.end(order.key, &begun, done);
            });
        }
        build
    }

    async fn build(self: &Arc<Self>, order: &Order, stop: &CancellationToken) -> Result<InUse, Failure> {
        let called_off = || Failure::new("the build of its environment was called off");
        let _place = tokio::select! {
            place = self.environments.places.acquire() => place.map_err(|_| called_off())?,
            () = stop.cancelled() => return Err(called_off()),
            () = self.shutdown.cancelled() => return Err(Failure::new("the node stopped")),
        };
        // Somebody may have built it since it was looked for.
        let there = tokio::select! {
            there = self.environments.get(order.key) => there,
            () = stop.cancelled() => return Err(called_off()),
            () = self.shutdown.cancelled() => return Err(Failure::new("the node stopped")),
        };
        if let Some(in_use) = there {
            return Ok(in_use);
        }
        order.build(self, &self.environments.store, stop).await
    }
}

// === impl Ready ===

impl Ready {
    /// Its folder on the machine.
    pub(crate) fn folder(&self) -> PathBuf {
        self.in_use.tree()
    }
}

/// Reads what it is made of and looks for what builds it. Blocks on the disk, elsewhere.
async fn look(recipe: Recipe) -> Result<(recipe::Ingredients, Tools), RecipeError> {
    let looked = tokio::task::spawn_blocking(move || {
        let ingredients = recipe.read()?;
        Ok((ingredients, Tools::find(recipe.builder())?))
    });
    looked.await.unwrap_or_else(|_| Err(RecipeError::new("the node is ending", "start the run again")))
}

/// What tells an environment from all others: what it is made of, with what, from which index, for which machine, and behind
/// which layers: who requires some is not given what was built without them.
fn key(
    recipe: &Recipe,
    ingredients: &recipe::Ingredients,
    tools: &Tools,
    settings: &BuildSettings,
) -> Digest {
    let digest = ingredients.digest().to_string();
    let index = match recipe.builder() {
        Builder::Python => &settings.python_index,
        Builder::Node => &settings.node_index,
    };
    let mut parts = vec![FORMAT, recipe.word(), &digest, &tools.identity, index, std::env::consts::ARCH];
    let mut layers = settings.require.clone();
    layers.sort_unstable();
    parts.extend(layers.iter().map(|layer| layer.as_str()));
    Digest::of(parts.join("\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use ringfence_sandbox::LayerName;

    use super::*;

    #[test]
    fn a_key_depends_on_all_that_an_environment_depends_on() {
        let tools = |identity: &str| Tools { interpreter: "/x".into(), uv: None, identity: identity.into() };
        let of = |text: &str| recipe::Ingredients {
            files: vec![("requirements.txt", text.into())],
            running: Vec::new(),
        };
        let python = |path: &str| Recipe::of(Builder::Python, path.into()).unwrap();
        let (requirements, lock) = (python("/a/requirements.txt"), python("/a/uv.lock"));
        let settings = |python: &str, node: &str, require: &[LayerName]| BuildSettings {
            python_index: python.into(),
            node_index: node.into(),
            bytes_max: 1,
            time_max: Duration::from_secs(1),
            require: require.to_vec(),
        };
        let key = |recipe: &Recipe, ingredients: &_, tools: &_| {
            key(recipe, ingredients, tools, &settings("https://a", "https://b", &[]))
        };
        let one = key(&requirements, &of("1"), &tools("python 3.11"));
        let with =
            |settings: &BuildSettings| super::key(&requirements, &of("1"), &tools("python 3.11"), settings);
        assert_ne!(one, with(&settings("https://c", "https://b", &[])), "another index");
        assert_eq!(one, with(&settings("https://a", "https://c", &[])), "an index that is not asked");
        let behind = |layers: &[LayerName]| with(&settings("https://a", "https://b", layers));
        assert_ne!(one, behind(&[LayerName::Seccomp]));
        assert_eq!(
            behind(&[LayerName::Seccomp, LayerName::Landlock]),
            behind(&[LayerName::Landlock, LayerName::Seccomp])
        );
        let elsewhere = python("/b/other.txt");
        assert_eq!(one, key(&elsewhere, &of("1"), &tools("python 3.11")), "the place does not count");
        for other in [
            key(&requirements, &of("2"), &tools("python 3.11")),
            key(&requirements, &of("1"), &tools("python 3.12")),
            key(&lock, &of("1"), &tools("python 3.11")),
        ] {
            assert_ne!(one, other);
        }
    }
}

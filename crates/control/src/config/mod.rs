//! `ringfence.yaml`: what users write, read with places, and what is made of it.
//!
//! [`load`] reads the file and the policies it names; everything that is wrong is reported at once. Secrets are
//! named, never written: a [`SecretSource`] says where one is kept, a [`Secret`] is one.

mod environments;
mod load;
mod model;
mod models;
mod mounts;
mod openings;
mod outside;
mod read;
mod runs;
mod secret;
mod secret_files;
mod spend;
mod url;

pub use environments::{EnvironmentsConfig, IndexConfig};
pub(crate) use load::render_all;
pub use load::{Loaded, Rejected, SourceText, load, load_text};
pub use model::{
    ActionConfig, AgentConfig, Config, EnvironmentValue, LimitsConfig, PersonConfig, PolicyFile, PricesFile,
    ServerConfig, ServerSandbox, Share, Transport, TrustConfig, WorkspaceConfig,
};
pub use models::{
    CacheConfig, EndpointConfig, ModelApi, ModelConfig, ProviderConfig, ResponseCacheConfig, RouteConfig,
    RouteWhen, ServedConfig,
};
pub use outside::{AddressConfig, AuthoritiesFile, OutsideConfig};
pub use runs::{MountConfig, RunConfig, SandboxLimits};
pub use secret::{Secret, SecretError, SecretSource, SecretSourceError};
pub(crate) use secret_files::secret_files;
pub use spend::{BudgetsConfig, LoopsConfig, RunBudgetConfig};
pub use url::{ServerUrl, ServerUrlError};

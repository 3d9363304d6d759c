//! What `environments` comes to: where packages come from, and how their environments are built and kept.

use std::time::Duration;

use ringfence_runs::BuildSettings;
use ringfence_sandbox::LayerName;

/// Where packages come from, and how their environments are built and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentsConfig {
    /// For Python.
    pub python: IndexConfig,
    /// For Node.
    pub node: IndexConfig,
    /// Bytes of the disk that building one may take.
    pub size: u64,
    /// How long that may take.
    pub timeout: Duration,
    /// How long one that nobody uses is kept.
    pub kept: Duration,
}

/// An index of packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexConfig {
    /// Its address.
    pub url: String,
    /// What builds may reach, as grants of hosts: the index, and where it has packages fetched from.
    pub hosts: Vec<String>,
}

// === impl EnvironmentsConfig ===

impl EnvironmentsConfig {
    /// As those who build are told, for runs that require these layers.
    pub fn settings(&self, require: &[LayerName]) -> BuildSettings {
        BuildSettings {
            require: require.to_vec(),
            python_index: self.python.url.clone(),
            node_index: self.node.url.clone(),
            bytes_max: self.size,
            time_max: self.timeout,
        }
    }
}

impl Default for EnvironmentsConfig {
    /// What holds where nothing is written: the public indexes, 4 GiB and ten minutes for one, and thirty days without use.
    fn default() -> Self {
        Self {
            python: IndexConfig {
                url: "https://pypi.org/simple".into(),
                hosts: vec!["pypi.org:443".into(), "files.pythonhosted.org:443".into()],
            },
            node: IndexConfig {
                url: "https://registry.npmjs.org".into(),
                hosts: vec!["registry.npmjs.org:443".into()],
            },
            size: 4 << 30,
            timeout: Duration::from_mins(10),
            kept: Duration::from_hours(30 * 24),
        }
    }
}

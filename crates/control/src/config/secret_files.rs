//! The secrets that are kept in files: watched, because one may be rotated, and shown in no sandbox.

use std::path::PathBuf;

use super::{Config, EnvironmentValue, SecretSource, Transport};

/// The files in which secrets of the configuration are kept.
pub(crate) fn secret_files(config: &Config) -> Vec<PathBuf> {
    let servers = config.workspaces.iter().flat_map(|workspace| &workspace.servers);
    let sources = servers.flat_map(|server| match &server.transport {
        Transport::Http { headers, bearer, .. } => {
            headers.iter().map(|(_, source)| source).chain(bearer).cloned().collect::<Vec<_>>()
        }
        Transport::Stdio { environment, .. } => {
            let secrets = environment.iter().filter_map(|(_, value)| match value {
                EnvironmentValue::Secret(source) => Some(source.clone()),
                EnvironmentValue::Plain(_) => None,
            });
            secrets.collect()
        }
    });
    let endpoints = config.workspaces.iter().flat_map(|workspace| &workspace.models);
    let endpoints = endpoints.filter_map(|model| model.served.as_ref()?.provider.endpoint());
    let of_models = endpoints.flat_map(|endpoint| {
        endpoint.headers.iter().map(|(_, source)| source).chain(&endpoint.key).cloned().collect::<Vec<_>>()
    });
    let file = |source| match source {
        SecretSource::File(path) => Some(path),
        SecretSource::Environment(_) => None,
    };
    sources.chain(of_models).filter_map(file).collect()
}

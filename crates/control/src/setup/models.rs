//! Models and money: from the configuration to what the kernel and the gateway know of them.

mod script;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use http::HeaderName;
use http::header::AUTHORIZATION;
use ringfence_document::{Diagnostic, Place};
use ringfence_gateway::targets::{
    CacheRules, HttpProvider, ModelTarget, Provider, Recorder, Recording, RecordingError, RouteRule,
    RouteWhen, Served, Source,
};
use ringfence_gateway::{Family, Tokenizer};
use ringfence_kernel::{AgentModels, BreakerSetup, LoopLimits, ModelSetup, WorkspaceBudgets};
use ringfence_types::{Budget, ModelName, Price};

use super::{SetupError, resolved};
use crate::compile::Compiled;
use crate::config::{
    AgentConfig, BudgetsConfig, EndpointConfig, ModelApi, ModelConfig, ProviderConfig, Rejected, RouteConfig,
    SecretSource, ServedConfig, WorkspaceConfig,
};

/// The hosts of the APIs' makers.
const MAKERS: [&str; 2] = ["api.openai.com", "api.anthropic.com"];

/// The models of a workspace as the kernel knows them.
pub(super) fn model_setups(workspace: &WorkspaceConfig) -> HashMap<ModelName, Arc<ModelSetup>> {
    let setup = |model: &ModelConfig| {
        let onward = onward(workspace, model);
        let setup = match &model.served {
            Some(served) => ModelSetup {
                price: served.price.clone(),
                breaker: BreakerSetup {
                    failures: served.breaker_failures,
                    open_for: served.breaker_open_for,
                },
                call_timeout: served.timeout,
                floor: served.floor,
                onward,
            },
            // Nobody serves a route: no call ends there.
            None => ModelSetup {
                price: Price::default(),
                breaker: BreakerSetup::default(),
                call_timeout: std::time::Duration::ZERO,
                floor: 0,
                onward,
            },
        };
        (model.name.clone(), Arc::new(setup))
    };
    workspace.models.iter().map(setup).collect()
}

/// Every model that a call may end at which was made to this one, itself aside.
fn onward(workspace: &WorkspaceConfig, model: &ModelConfig) -> Vec<ModelName> {
    let mut all: Vec<ModelName> = Vec::new();
    let mut open: Vec<&ModelConfig> = vec![model];
    while let Some(next) = open.pop() {
        for name in next.leads_to().filter(|name| **name != model.name) {
            if !all.contains(name) {
                all.push(name.clone());
                open.extend(workspace.models.iter().find(|known| known.name == *name));
            }
        }
    }
    all
}

/// What may be spent in a workspace above single runs.
pub(super) fn budgets(workspace: &WorkspaceConfig) -> WorkspaceBudgets {
    let BudgetsConfig { agent, user, conversation } = workspace.budgets.clone();
    WorkspaceBudgets { workspace: workspace.budget.clone(), agent, user, conversation }
}

/// What an agent may do with models.
pub(super) fn agent_models(agent: &AgentConfig) -> AgentModels {
    let limits = &agent.limits;
    let run = Budget { usd: agent.budget.usd, tokens: agent.budget.tokens, per: None };
    AgentModels {
        held: agent.models.clone(),
        budgets: vec![run],
        calls: limits.model_calls.map(u64::from),
        loops: LoopLimits {
            stale: limits.loops.stale,
            failing: limits.loops.failing,
            errors: limits.loops.errors,
        },
        hosted: agent.hosted_tools.clone(),
        stored: agent.stored,
        remote: agent.remote,
    }
}

/// Reads the scripts and recordings that a configuration names, as a node does that is going to answer from them.
///
/// # Errors
/// With everything that is wrong in any of them.
pub fn check_scripts(mut compiled: Compiled) -> Result<Compiled, Rejected> {
    let name = compiled.loaded.sources.first().map(|main| main.name.clone()).unwrap_or_default();
    let models = compiled.loaded.config.workspaces.iter().flat_map(|workspace| &workspace.models);
    let mut seen: Vec<&Path> = Vec::new();
    let mut wrong: Vec<Rejected> = Vec::new();
    for served in models.filter_map(|model| model.served.as_deref()) {
        let (ProviderConfig::Scripted { script: file }
        | ProviderConfig::Replay { recording: file, record: None, .. }) = &served.provider
        else {
            continue;
        };
        if !seen.contains(&file.as_path()) {
            seen.push(file);
            let at = |message: String| {
                let place = served.answers.unwrap_or(Place::WHOLE);
                let diagnostics = vec![Diagnostic::error(name.clone(), place, message)];
                Rejected { diagnostics, sources: Vec::new() }
            };
            wrong.extend(check_answers(&served.provider, at).err());
        }
    }
    if wrong.is_empty() {
        return Ok(compiled);
    }
    let mut all = Rejected { diagnostics: compiled.warnings, sources: compiled.loaded.sources.split_off(0) };
    for mut rejected in wrong {
        all.diagnostics.append(&mut rejected.diagnostics);
        all.sources.append(&mut rejected.sources);
    }
    Err(all)
}

/// Reads a script or a recording; `at` says of the file as a whole what is wrong where the configuration names it.
fn check_answers(provider: &ProviderConfig, at: impl Fn(String) -> Rejected) -> Result<(), Rejected> {
    match provider {
        ProviderConfig::Scripted { script } => match script::read(script) {
            // It could not be read at all.
            Err(rejected) if rejected.sources.is_empty() => {
                let first = rejected.diagnostics.into_iter().next();
                Err(at(first.map(|said| said.message).unwrap_or_default()))
            }
            Err(rejected) => Err(rejected),
            Ok(_) => Ok(()),
        },
        ProviderConfig::Replay { recording, record: None, .. } => {
            Recording::open(recording).map(drop).map_err(|error| at(error.to_string()))
        }
        _ => Ok(()),
    }
}

/// The models of a workspace as the gateway reaches them.
///
/// # Errors
/// When a secret is not there.
pub(super) fn model_targets(
    workspace: &WorkspaceConfig,
) -> Result<HashMap<ModelName, Arc<ModelTarget>>, SetupError> {
    let target = |model: &ModelConfig| {
        let served = model.served.as_deref().map(|served| served_target(workspace, model, served));
        let target =
            ModelTarget { served: served.transpose()?, route: model.route.iter().map(rule).collect() };
        Ok((model.name.clone(), Arc::new(target)))
    };
    workspace.models.iter().map(target).collect()
}

fn rule(config: &RouteConfig) -> RouteRule {
    let when = &config.when;
    let when = RouteWhen {
        input_below: when.input_below,
        input_above: when.input_above,
        tools: when.tools,
        images: when.images,
        labels: when.labels.clone(),
        budget_below_percent: when.budget_below_percent,
    };
    RouteRule { when, to: config.to.clone() }
}

fn served_target(
    workspace: &WorkspaceConfig,
    model: &ModelConfig,
    served: &ServedConfig,
) -> Result<Served, SetupError> {
    let unusable =
        |cause| SetupError::Answers { workspace: workspace.name.clone(), model: model.name.clone(), cause };
    let http = |endpoint, family| http_provider(workspace, model, endpoint, family);
    let provider = match &served.provider {
        ProviderConfig::OpenAi(endpoint) => Provider::Http(http(endpoint, Family::OpenAi)?),
        ProviderConfig::Anthropic(endpoint) => Provider::Http(http(endpoint, Family::Anthropic)?),
        ProviderConfig::Scripted { script } => {
            let lines = |rejected: Rejected| {
                let lines = rejected.diagnostics.iter().map(ToString::to_string);
                unusable(lines.collect::<Vec<_>>().join("\n"))
            };
            Provider::Scripted(Arc::new(script::read(script).map_err(lines)?))
        }
        ProviderConfig::Replay { recording, api, record } => {
            let family = match api {
                ModelApi::OpenAi => Family::OpenAi,
                ModelApi::Anthropic => Family::Anthropic,
            };
            let failed = |error: RecordingError| unusable(error.to_string());
            match record {
                Some(endpoint) => {
                    let recorder = Recorder::open(recording).map_err(failed)?;
                    Provider::Recorded(http(endpoint, family)?, Arc::new(recorder))
                }
                None => Provider::Replayed(family, Arc::new(Recording::open(recording).map_err(failed)?)),
            }
        }
    };
    Ok(Served {
        provider,
        model: served.model.clone(),
        pass_unknown: served.pass_unknown,
        max_output: served.max_output,
        output_most: served.output_most,
        context: served.context,
        image_tokens: served.image_tokens,
        tokenizer: match served.tokenizer {
            ringfence_prices::Tokenizer::O200k => Tokenizer::O200k,
            ringfence_prices::Tokenizer::Cl100k => Tokenizer::Cl100k,
            ringfence_prices::Tokenizer::Bytes => Tokenizer::Bytes,
        },
        first_token: served.first_token,
        concurrent: served.concurrent as usize,
        retries: served.retries,
        failover: served.failover.clone(),
        cache: served.cache.map(|cache| CacheRules { ttl: cache.ttl, tools: cache.tools }),
    })
}

fn http_provider(
    workspace: &WorkspaceConfig,
    model: &ModelConfig,
    endpoint: &EndpointConfig,
    family: Family,
) -> Result<HttpProvider, SetupError> {
    let missing = |cause| SetupError::Secret {
        workspace: workspace.name.clone(),
        what: format!("model `{}`", model.name),
        cause,
    };
    let unusable = |name: &str| SetupError::Unusable {
        workspace: workspace.name.clone(),
        what: format!("the header `{name}` of model `{}`", model.name),
    };
    let mut headers: Vec<(HeaderName, Source)> = Vec::new();
    let mut add = |name: &str, source: &SecretSource, prefix: &str| {
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable(name))?;
        headers.push((header, resolved(source, prefix).map_err(missing)?));
        Ok::<_, SetupError>(())
    };
    for (name, source) in &endpoint.headers {
        add(name, source, "")?;
    }
    match (&endpoint.key, family) {
        (Some(key), Family::OpenAi) => add(AUTHORIZATION.as_str(), key, "Bearer ")?,
        (Some(key), Family::Anthropic) => add("x-api-key", key, "")?,
        (None, _) => {}
    }
    let base = endpoint.base_url.uri().clone();
    let is_makers = base.host().is_some_and(|host| MAKERS.iter().any(|own| host.eq_ignore_ascii_case(own)));
    Ok(HttpProvider { family, base, headers, is_makers })
}

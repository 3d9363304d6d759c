//! What a call comes to at one model: whether that model can be asked so, in whose words, and for how much at most.

use std::sync::Arc;

use ringfence_json::Object;
use ringfence_kernel::{Demand, Trail, TrailStep};
use ringfence_llm::request::{self, Asked, ChatLimit, Objection, Switches};
use ringfence_llm::tokens::{image_upper, request_upper};
use ringfence_llm::{Api, Family, translate};
use ringfence_types::{CacheWrite, Code};

use super::cache::{self, Place};
use super::call::Call;
use super::flight::Flight;
use super::route::Candidate;
use crate::targets::{ModelTarget, Provider, Served};

/// A call as one model is to get it.
pub(crate) struct Plan {
    pub(crate) candidate: Candidate,
    target: Arc<ModelTarget>,
    /// What the client asks for.
    pub(crate) asked: Asked,
    pub(crate) demand: Demand,
    /// About how many tokens it reads.
    pub(crate) estimate: u64,
    /// The API of the provider that is called.
    pub(crate) upstream: Api,
    /// The request in its words, before the kernel has decided.
    pub(crate) body: Object,
    /// Where its answer is kept.
    pub(crate) place: Option<Place>,
}

/// Why a request cannot be put to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) code: Code,
    /// What of the request is at fault.
    pub(crate) param: Option<String>,
    pub(crate) reason: String,
}

/// Bytes that make about one token, where a text is not looked at.
const BYTES_PER_TOKEN: u64 = 3;

// === impl Plan ===

impl Plan {
    /// # Errors
    /// When the request is wrong, or this model cannot be asked so.
    pub(crate) fn make(call: &Call, candidate: Candidate, mut body: Object) -> Result<Self, Unfit> {
        let target = Arc::clone(&candidate.target);
        let served = target.served.as_ref().ok_or_else(|| Unfit::missing(candidate.model.as_str()))?;
        let asked = request::read(call.api, &body, &switches(call, served.pass_unknown))?;
        let upstream = upstream_api(call.api, served.provider.family_for(call.api))?;
        let demand = demand(call.api, &asked, served, upstream, &body)?;
        let estimate = estimate(call, &asked, served).min(demand.input);
        let place = cache::place(call, &candidate, &asked, &body);
        if asked.keep_out {
            request::set_store_false(&mut body, call.api, asked.features.reasoning);
        }
        if let Some(limit) = demand.output.filter(|_| asked.output.is_none()) {
            set_output(&mut body, call.api, limit, served)?;
        }
        let mut body = translated(call.api, upstream, body)?;
        provider_words(&mut body, &asked, upstream, &served.provider);
        Ok(Self { candidate, target, asked, demand, estimate, upstream, body, place })
    }

    /// Who serves the model.
    #[expect(clippy::expect_used, reason = "`make` refuses what nobody serves")]
    pub(crate) fn served(&self) -> &Served {
        self.target.served.as_ref().expect("a plan is for a model that somebody serves")
    }

    /// Whether the model is still the one that the kernel has decided on, by the same configuration and so at the same
    /// price.
    pub(crate) fn is_of(&self, flight: &Flight) -> bool {
        let (workspace, clearance) = (&flight.call.run.workspace, flight.clearance());
        let decided =
            flight.call.gate.targets.model_of_config(clearance.config(), workspace, &self.candidate.model);
        decided.is_some_and(|decided| Arc::ptr_eq(&decided, &self.target) || *decided == *self.target)
    }

    /// Whether the request does more at the provider than to be answered: it uses tools there, or leaves something. It
    /// must not be sent again where that may have happened.
    pub(crate) fn acts(&self) -> bool {
        !self.demand.hosted.is_empty() || self.asked.stores
    }

    /// What guards against loops look at; embeddings and counting are part of none.
    pub(crate) fn trail(&self) -> Option<Trail> {
        let trail = &self.asked.trail;
        self.asked.api.generates().then(|| Trail {
            root: trail.root,
            steps: trail.steps.iter().map(step).collect(),
            results: trail.results,
            users: trail.users,
            messages: trail.messages,
            last_user: trail.last_user,
        })
    }

    /// Limits each answer to so many tokens, as the kernel has decided.
    pub(crate) fn limit(&mut self, tokens: u64) -> Result<(), Unfit> {
        let served = self.target.served.as_ref();
        let served = served.ok_or_else(|| Unfit::missing(self.candidate.model.as_str()))?;
        set_output(&mut self.body, self.upstream, tokens, served)
    }

    /// Whether answers have to be put into the client's words.
    pub(crate) fn is_translated(&self) -> bool {
        self.upstream != self.asked.api
    }
}

fn step(step: &request::Step) -> TrailStep {
    TrailStep { call: step.call, result: step.result, failed: step.failed }
}

/// What this call's agent may ask for.
pub(super) fn switches(call: &Call, pass_unknown: bool) -> Switches {
    let setup = call.gate.kernel.setup();
    match setup.holds(&call.run) {
        None => Switches::default(),
        Some(holds) => Switches {
            pass_unknown,
            stored: holds.models_allow(|models| models.stored),
            remote: holds.models_allow(|models| models.remote),
            hosted: holds.hosted(),
        },
    }
}

/// In which of a provider's APIs a call of `api` is made.
fn upstream_api(api: Api, family: Family) -> Result<Api, Unfit> {
    match (api, family) {
        (Api::Chat, Family::Anthropic) => Ok(Api::Messages),
        (Api::Messages, Family::OpenAi) => Ok(Api::Chat),
        (api, family) if api.family() == family => Ok(api),
        (api, _) => {
            let other = if api.family() == Family::OpenAi { "/chat/completions" } else { "/v1/messages" };
            let reason = format!(
                "this model's provider has nothing like {}; call the model through {other}",
                api.path()
            );
            Err(Unfit::invalid("model", reason))
        }
    }
}

fn translated(api: Api, upstream: Api, body: Object) -> Result<Object, Unfit> {
    let translated = match (api, upstream) {
        (Api::Chat, Api::Messages) => translate::chat_to_messages(&body),
        (Api::Messages, Api::Chat) => translate::messages_to_chat(&body),
        _ => return Ok(body),
    };
    match translated {
        Ok(translated) => {
            if !translated.dropped.is_empty() {
                tracing::debug!(dropped = ?translated.dropped, "a request was translated with less");
            }
            Ok(translated.body)
        }
        Err(error) => Err(Unfit::invalid(&error.param, format!("`{}` {}", error.param, error.message))),
    }
}

/// What a provider is told in its own way.
fn provider_words(body: &mut Object, asked: &Asked, upstream: Api, provider: &Provider) {
    let Some(provider) = provider.http() else { return };
    let says_none = asked.tier.as_deref().is_none_or(|tier| tier == "auto");
    if provider.is_makers && says_none && upstream.generates() {
        // Without one, makers take what the project is set to, which may be a dearer one.
        let usual = if provider.family == Family::OpenAi { "default" } else { "standard_only" };
        let _ = request::set_tier(body, upstream, usual);
    }
    if !provider.is_makers && upstream == Api::Chat && asked.api != upstream {
        // A translated request has OpenAI's new word for the limit, which others may not know.
        body.remove("max_completion_tokens");
    }
}

fn set_output(body: &mut Object, api: Api, limit: u64, served: &Served) -> Result<(), Unfit> {
    let is_openai = served.provider.http().is_some_and(|provider| provider.is_makers);
    let unsaid = if is_openai { ChatLimit::MaxCompletionTokens } else { ChatLimit::MaxTokens };
    request::set_output(body, api, limit, unsaid)
        .map_err(|error| Unfit { code: Code::OverBudget, ..Unfit::invalid("", error.to_string()) })?;
    if api == Api::Chat && !is_openai {
        // The word that everybody knows, whichever the request has: a limit that is not known limits nothing.
        body.insert("max_tokens", limit);
    }
    Ok(())
}

/// What the call may come to at most.
fn demand(api: Api, asked: &Asked, served: &Served, upstream: Api, body: &Object) -> Result<Demand, Unfit> {
    if api == Api::CountTokens {
        // It costs nothing, whatever it counts.
        return Ok(Demand { answers: 1, ..Demand::default() });
    }
    let hosted = asked.hosted.iter().map(|tool| match tool.uses {
        Some(uses) => Ok((tool.name.clone(), uses)),
        None => Err(unbounded(api, &tool.name)),
    });
    let hosted = hosted.collect::<Result<Vec<_>, _>>()?;
    let uses = hosted.iter().fold(0, |sum: u64, (_, uses)| sum.saturating_add(*uses));
    let limit = asked.output.unwrap_or(served.max_output);
    // More than it can write it does not write.
    let limit = served.output_most.map_or(limit, |most| limit.min(most));
    Ok(Demand {
        input: input(asked, served, uses)?,
        output: api.generates().then_some(limit),
        extra: asked.extra_output,
        answers: asked.answers,
        writes_cache: writes_cache(asked, upstream, body),
        tier: asked.tier.clone(),
        hosted,
    })
}

/// Why a hosted tool cannot be used: without a bound on its uses nobody knows what to set aside.
fn unbounded(api: Api, tool: &str) -> Unfit {
    let with = |field: &str| format!("the request has to bound how often `{tool}` is used, with {field}");
    let reason = match (api, tool) {
        (Api::Responses, _) => with("`max_tool_calls`"),
        (Api::Messages, "web_search" | "web_fetch") => with("the tool's `max_uses`"),
        _ => format!(
            "nothing in this API bounds how often `{tool}` is used, so nobody knows what to set aside for it; leave it out"
        ),
    };
    Unfit::invalid("tools", reason)
}

/// Whether the provider may write into its cache: OpenAI decides that by itself, and keeps it for longer where asked to.
fn writes_cache(asked: &Asked, upstream: Api, body: &Object) -> CacheWrite {
    match upstream {
        Api::Chat | Api::Responses if body.contains("prompt_cache_retention") => CacheWrite::Hour,
        Api::Chat | Api::Responses => asked.writes_cache.max(CacheWrite::Short),
        _ => asked.writes_cache,
    }
}

/// Tokens read, at most.
fn input(asked: &Asked, served: &Served, uses: u64) -> Result<u64, Unfit> {
    if asked.hidden_input {
        let context = served.context.ok_or_else(|| {
            let reason = "the model may read more than the request holds, and how much it can read is not known; \
                          the configuration can say so with `context`";
            Unfit::invalid("", reason)
        })?;
        return Ok(context.saturating_mul(uses.saturating_add(1)));
    }
    let family = served.provider.family_for(asked.api);
    let shape = asked.shape(served.image_tokens.unwrap_or_else(|| image_upper(family)));
    let most = request_upper(family, served.tokenizer, &shape).saturating_add(asked.document_bytes);
    // Each of several texts to embed is read for itself.
    let texts = asked.inputs.max(1);
    Ok(served.context.map_or(most, |context| most.min(context.saturating_mul(texts))))
}

/// About how many tokens are read.
fn estimate(call: &Call, asked: &Asked, served: &Served) -> u64 {
    let inline = asked.image_bytes + asked.document_bytes;
    let text = match std::str::from_utf8(&call.request) {
        Ok(text) if inline == 0 => served.tokenizer.count(text),
        _ => asked.text_bytes.div_ceil(BYTES_PER_TOKEN),
    };
    let image = served.image_tokens.unwrap_or_else(|| image_upper(served.provider.family_for(asked.api)));
    let documents = asked.document_bytes.div_ceil(BYTES_PER_TOKEN);
    text.saturating_add(asked.images.saturating_mul(image)).saturating_add(documents)
}

// === impl Unfit ===

impl Unfit {
    pub(crate) fn invalid(param: &str, reason: impl Into<String>) -> Self {
        let param = (!param.is_empty()).then(|| param.to_owned());
        Self { code: Code::InvalidInput, param, reason: reason.into() }
    }

    /// The same words whether or not a model of that name exists elsewhere.
    pub(crate) fn missing(model: &str) -> Self {
        let shown: String = model.chars().take(128).collect();
        let reason = format!(
            "This agent holds no model `{}`. Use one of the models it was given.",
            shown.escape_debug()
        );
        Self { code: Code::NotGranted, param: Some("model".into()), reason }
    }
}

impl From<Objection> for Unfit {
    fn from(objection: Objection) -> Self {
        Self::invalid(&objection.param, objection.message)
    }
}

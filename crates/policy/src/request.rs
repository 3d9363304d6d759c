//! Everything a rule can look at.

use ringfence_json::Object;
use ringfence_types::{ActionType, Kind, Role};
use smol_str::SmolStr;

use crate::InputSchema;

/// One action, in the policy's words. Borrowed from whoever asks; made anew for each question.
///
/// The text members are the match keys of `safety-policy.yaml` and the context of Cedar rules. A member that the
/// action does not have (a tool of a model call, say) is `None` and matches no rule that names one.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The kind of effect.
    pub kind: Kind,
    /// Whom the node works for.
    pub organization: &'a str,
    /// Where the agent belongs.
    pub workspace: &'a str,
    /// `production`, `staging`, …
    pub environment: &'a str,
    /// Who acts.
    pub agent: &'a str,
    /// For whom.
    pub user: Option<&'a str>,
    /// The roles of that user.
    pub roles: &'a [Role],
    /// The tool server.
    pub server: Option<&'a str>,
    /// The tool, by its server's name for it.
    pub tool: Option<&'a str>,
    /// The model, by its name in `ringfence.yaml`.
    pub model: Option<&'a str>,
    /// The host of a request.
    pub host: Option<&'a str>,
    /// What the server is for, as configured: `kubernetes`, `web_search`.
    pub capability: Option<&'a str>,
    /// The tool in the policy's words; its name where nothing else is configured.
    pub action: Option<&'a str>,
    /// Whether it changes something.
    pub action_type: ActionType,
    /// As configured.
    pub risk: Option<&'a str>,
    /// As configured.
    pub labels: &'a [SmolStr],
    /// What the agent asked for.
    pub arguments: &'a Object,
    /// The pinned schema of the arguments; gives the defaults of what a call lacks.
    pub schema: Option<&'a InputSchema>,
}

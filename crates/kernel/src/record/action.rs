//! Actions: cleared, settled, refused.

use std::sync::Arc;

use ringfence_json::{Object, Value};
use ringfence_types::{
    ActionId, AgentName, ApprovalId, Code, ConversationName, Decision, Digest, RuleName, RunId, Timestamp,
    UserName, WorkspaceName,
};

use super::read::{Damaged, Members, texts};
use crate::model::{Charge, Reservation};
use crate::target::Target;
use crate::{Ancestor, Run};

/// Whose action, and on what: the members that every entry about an action has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub workspace: WorkspaceName,
    pub agent: AgentName,
    pub run: RunId,
    /// Who stands above the run.
    pub above: Vec<Ancestor>,
    pub user: Option<UserName>,
    pub conversation: Option<ConversationName>,
    pub target: Target,
}

/// An action was cleared.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub subject: Subject,
    pub action: ActionId,
    pub decision: Decision,
    /// The rule that decided.
    pub rule: Option<RuleName>,
    /// All that matched.
    pub rules: Vec<RuleName>,
    /// Rules in shadow, with what they would have said.
    pub shadow: Vec<(RuleName, Decision)>,
    /// Payload: what the agent asked for.
    pub arguments: Digest,
    /// Payload: what is sent, if that is something else.
    pub final_arguments: Option<Digest>,
    /// Where it was narrowed, and by which rule.
    pub narrowed: Vec<(String, RuleName)>,
    pub definition: Option<Digest>,
    /// The approval that was spent.
    pub approval: Option<ApprovalId>,
    /// When it is overdue.
    pub deadline: Timestamp,
    pub parents: Vec<ActionId>,
    /// What was set aside, if this costs money.
    pub reservation: Option<Reservation>,
    /// Tokens that each answer may have, if it has any.
    pub output: Option<u64>,
    /// What history conditions may read.
    pub facts: Object,
    /// Of the configuration that decided.
    pub config: Digest,
}

/// How a cleared action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// The upstream answered.
    Completed,
    /// It did not, or not usably.
    Failed,
    /// It was cut off after it was sent.
    Cancelled,
    /// It was never sent.
    NotSent,
    /// It may or may not have happened.
    Unknown,
}

/// What came of a cleared action.
#[derive(Debug, Clone)]
pub(crate) struct OutcomeRecord {
    pub subject: Arc<Subject>,
    pub action: ActionId,
    pub status: Status,
    /// The tool said that it failed.
    pub is_error: bool,
    /// Why it failed or was cut off, in this program's words.
    pub code: Option<Code>,
    pub reason: Option<String>,
    /// Payload: the result as the agent got it.
    pub result: Option<Digest>,
    pub result_bytes: u64,
    pub duration_us: u64,
    /// What it came to, if it costs money.
    pub charge: Option<Charge>,
}

/// Actions were refused: one, or `count` alike within a short time.
#[derive(Debug, Clone)]
pub(crate) struct RefusalRecord {
    pub subject: Subject,
    pub action: ActionId,
    pub code: Code,
    pub rule: Option<RuleName>,
    pub rules: Vec<RuleName>,
    pub shadow: Vec<(RuleName, Decision)>,
    pub reason: String,
    pub approval: Option<ApprovalId>,
    /// Payload: what the agent asked for. Absent where it was not kept (a repeated refusal, a full disk).
    pub arguments: Option<Digest>,
    pub count: u64,
    pub facts: Object,
    pub config: Digest,
}

// === impl Subject ===

impl Subject {
    pub(crate) fn of(run: &Run, target: Target) -> Self {
        Self {
            workspace: run.workspace.clone(),
            agent: run.agent.clone(),
            run: run.id,
            above: run.above.clone(),
            user: run.user.clone(),
            conversation: run.conversation.clone(),
            target,
        }
    }

    /// The run, and who stands above it.
    pub(crate) fn line(&self) -> impl Iterator<Item = RunId> {
        std::iter::once(self.run).chain(self.above.iter().map(|ancestor| ancestor.run))
    }

    pub(crate) fn body(&self) -> Object {
        let body = Object::new()
            .with("workspace", &self.workspace)
            .with("agent", &self.agent)
            .with("run", self.run.to_string())
            .with_some("ancestors", Ancestor::list(&self.above))
            .with_some("user", self.user.as_ref())
            .with_some("conversation", self.conversation.as_ref());
        self.target.body(body)
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            workspace: members.parse("workspace")?,
            agent: members.parse("agent")?,
            run: members.parse("run")?,
            above: Ancestor::read_list(members)?,
            user: members.optional("user")?,
            conversation: members.optional("conversation")?,
            target: Target::read(members)?,
        })
    }
}

// === impl Intent ===

impl Intent {
    pub(crate) fn body(&self) -> Object {
        self.subject
            .body()
            .with("action", self.action.to_string())
            .with("decision", self.decision.as_str())
            .with_some("rule", self.rule.as_ref())
            .with_some("rules", texts(&self.rules))
            .with_some("shadow", decisions(&self.shadow))
            .with("arguments", self.arguments.to_string())
            .with_some("final_arguments", self.final_arguments.map(|digest| digest.to_string()))
            .with_some("narrowed", narrowings(&self.narrowed))
            .with_some("definition", self.definition.map(|digest| digest.to_string()))
            .with_some("approval", self.approval.map(|approval| approval.to_string()))
            .with("deadline", self.deadline)
            .with_some("parents", texts(&self.parents))
            .with_some("reserved", self.reservation.map(Reservation::body))
            .with_some("max_output_tokens", self.output)
            .with("facts", self.facts.clone())
            .with("config", self.config.to_string())
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            subject: Subject::read(members)?,
            action: members.parse("action")?,
            decision: members.parse("decision")?,
            rule: members.optional("rule")?,
            rules: members.list("rules")?,
            shadow: read_decisions(members)?,
            arguments: members.parse("arguments")?,
            final_arguments: members.optional("final_arguments")?,
            narrowed: members
                .objects("narrowed", |each| Ok((each.text("at")?.to_owned(), each.parse("rule")?)))?,
            definition: members.optional("definition")?,
            approval: members.optional("approval")?,
            deadline: members.parse("deadline")?,
            parents: members.list("parents")?,
            reservation: members.optional_object("reserved", Reservation::read)?,
            output: members
                .0
                .contains("max_output_tokens")
                .then(|| members.number("max_output_tokens"))
                .transpose()?,
            facts: members.object("facts")?.0.clone(),
            config: members.parse("config")?,
        })
    }
}

fn narrowings(narrowed: &[(String, RuleName)]) -> Option<Value> {
    let one = |(at, rule): &(String, RuleName)| Object::new().with("at", at.as_str()).with("rule", rule);
    (!narrowed.is_empty()).then(|| narrowed.iter().map(one).collect::<Vec<_>>().into())
}

fn decisions(shadow: &[(RuleName, Decision)]) -> Option<Value> {
    let one = |(rule, decision): &(RuleName, Decision)| {
        Object::new().with("rule", rule).with("decision", decision.as_str())
    };
    (!shadow.is_empty()).then(|| shadow.iter().map(one).collect::<Vec<_>>().into())
}

fn read_decisions(members: Members<'_>) -> Result<Vec<(RuleName, Decision)>, Damaged> {
    members.objects("shadow", |each| Ok((each.parse("rule")?, each.parse("decision")?)))
}

// === impl Status ===

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::Completed, Self::Failed, Self::Cancelled, Self::NotSent, Self::Unknown];
        all.into_iter().find(|status| status.as_str() == text).ok_or(())
    }
}

// === impl OutcomeRecord ===

impl OutcomeRecord {
    pub(crate) fn body(&self) -> Object {
        self.subject
            .body()
            .with("action", self.action.to_string())
            .with("status", self.status.as_str())
            .with("is_error", self.is_error)
            .with_some("code", self.code.map(Code::as_str))
            .with_some("reason", self.reason.as_deref())
            .with_some("result", self.result.map(|digest| digest.to_string()))
            .with("result_bytes", self.result_bytes)
            .with("duration_us", self.duration_us)
            .with_some("charge", self.charge.as_ref().map(Charge::body))
            .with_some("parents", texts(&[self.action]))
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            subject: Arc::new(Subject::read(members)?),
            action: members.parse("action")?,
            status: members.parse("status")?,
            is_error: members.flag("is_error")?,
            code: members.optional("code")?,
            reason: members.optional("reason")?,
            result: members.optional("result")?,
            result_bytes: members.number("result_bytes")?,
            duration_us: members.number("duration_us")?,
            charge: members.optional_object("charge", Charge::read)?,
        })
    }
}

// === impl RefusalRecord ===

impl RefusalRecord {
    pub(crate) fn body(&self) -> Object {
        self.subject
            .body()
            .with("action", self.action.to_string())
            .with("decision", self.code.decision().as_str())
            .with("code", self.code.as_str())
            .with_some("rule", self.rule.as_ref())
            .with_some("rules", texts(&self.rules))
            .with_some("shadow", decisions(&self.shadow))
            .with("reason", self.reason.as_str())
            .with_some("approval", self.approval.map(|approval| approval.to_string()))
            .with_some("arguments", self.arguments.map(|digest| digest.to_string()))
            .with_some("count", (self.count > 1).then_some(self.count))
            .with("facts", self.facts.clone())
            .with("config", self.config.to_string())
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            subject: Subject::read(members)?,
            action: members.parse("action")?,
            code: members.parse("code")?,
            rule: members.optional("rule")?,
            rules: members.list("rules")?,
            shadow: read_decisions(members)?,
            reason: members.text("reason")?.to_owned(),
            approval: members.optional("approval")?,
            arguments: members.optional("arguments")?,
            count: members.number_or("count", 1)?,
            facts: members.object("facts")?.0.clone(),
            config: members.parse("config")?,
        })
    }
}

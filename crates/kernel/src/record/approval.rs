//! Approvals: asked for, answered.

use ringfence_json::Object;
use ringfence_policy::Approval;
use ringfence_types::{ActionId, ApprovalId, Digest, PersonName, RuleName, Timestamp};

use super::action::Subject;
use super::read::{Damaged, Members, milliseconds, texts};

/// An action waits for people.
#[derive(Debug, Clone)]
pub(crate) struct PendingRecord {
    pub subject: Subject,
    pub approval: ApprovalId,
    /// The action that asked first.
    pub action: ActionId,
    /// Digest of the arguments as the agent sent them; with run, server, tool and definition, the identity.
    pub requested: Digest,
    /// Digest of the arguments as policy would send them.
    pub final_digest: Digest,
    pub definition: Option<Digest>,
    /// Payload: the arguments as the agent sent them.
    pub arguments: Digest,
    /// Payload: the arguments as policy would send them, if that is something else.
    pub final_arguments: Option<Digest>,
    /// What each rule asks for.
    pub requirements: Vec<Approval>,
    /// Until when it can be answered.
    pub expires_at: Timestamp,
    pub facts: Object,
    pub config: Digest,
}

/// What a person, or time, said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Approved,
    Denied,
    Expired,
}

/// An answer to a request for approval.
#[derive(Debug, Clone)]
pub(crate) struct ApprovalRecord {
    pub subject: Subject,
    pub approval: ApprovalId,
    pub answer: Answer,
    /// Absent when it expired.
    pub approver: Option<PersonName>,
    /// The rules whose requirement this person can answer.
    pub answers: Vec<RuleName>,
    pub note: Option<String>,
    /// Payload: the arguments as the approver narrowed them.
    pub narrowed: Option<Digest>,
    /// Digest of what will be sent, after the approver's narrowing.
    pub final_digest: Option<Digest>,
    /// From the request to this answer.
    pub latency_ms: u64,
    /// What it links to: the action that asked.
    pub parents: Vec<ActionId>,
}

// === impl PendingRecord ===

impl PendingRecord {
    pub(crate) fn body(&self) -> Object {
        let requirements: Vec<Object> = self.requirements.iter().map(requirement).collect();
        self.subject
            .body()
            .with("action", self.action.to_string())
            .with("approval", self.approval.to_string())
            .with("decision", "REQUIRE_APPROVAL")
            .with_some("rule", self.requirements.first().map(|first| &first.rule))
            .with("requested", self.requested.to_string())
            .with("final_digest", self.final_digest.to_string())
            .with_some("definition", self.definition.map(|digest| digest.to_string()))
            .with("arguments", self.arguments.to_string())
            .with_some("final_arguments", self.final_arguments.map(|digest| digest.to_string()))
            .with("requirements", requirements)
            .with("expires_at", self.expires_at)
            .with("facts", self.facts.clone())
            .with("config", self.config.to_string())
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            subject: Subject::read(members)?,
            approval: members.parse("approval")?,
            action: members.parse("action")?,
            requested: members.parse("requested")?,
            final_digest: members.parse("final_digest")?,
            definition: members.optional("definition")?,
            arguments: members.parse("arguments")?,
            final_arguments: members.optional("final_arguments")?,
            requirements: members.objects("requirements", read_requirement)?,
            expires_at: members.parse("expires_at")?,
            facts: members.object("facts")?.0.clone(),
            config: members.parse("config")?,
        })
    }
}

fn requirement(approval: &Approval) -> Object {
    Object::new()
        .with("rule", &approval.rule)
        .with_some("approvers", texts(&approval.approvers))
        .with("quorum", approval.quorum)
        .with("expires_ms", milliseconds(approval.expires))
}

fn read_requirement(members: Members<'_>) -> Result<Approval, Damaged> {
    Ok(Approval {
        rule: members.parse("rule")?,
        approvers: members.list("approvers")?,
        quorum: u32::try_from(members.number("quorum")?).map_err(|_| Damaged("quorum".into()))?,
        expires: members.milliseconds("expires_ms")?,
    })
}

// === impl Answer ===

impl Answer {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }
}

impl std::str::FromStr for Answer {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Approved, Self::Denied, Self::Expired].into_iter().find(|each| each.as_str() == text).ok_or(())
    }
}

// === impl ApprovalRecord ===

impl ApprovalRecord {
    pub(crate) fn body(&self) -> Object {
        self.subject
            .body()
            .with("approval", self.approval.to_string())
            .with("answer", self.answer.as_str())
            .with_some("approver", self.approver.as_ref())
            .with_some("answers", texts(&self.answers))
            .with_some("note", self.note.as_deref())
            .with_some("narrowed", self.narrowed.map(|digest| digest.to_string()))
            .with_some("final_digest", self.final_digest.map(|digest| digest.to_string()))
            .with("latency_ms", self.latency_ms)
            .with_some("parents", texts(&self.parents))
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            subject: Subject::read(members)?,
            approval: members.parse("approval")?,
            answer: members.parse("answer")?,
            approver: members.optional("approver")?,
            answers: members.list("answers")?,
            note: members.optional("note")?,
            narrowed: members.optional("narrowed")?,
            final_digest: members.optional("final_digest")?,
            latency_ms: members.number("latency_ms")?,
            parents: members.list("parents")?,
        })
    }
}

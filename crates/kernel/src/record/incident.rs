//! What people should look at.

use std::sync::Arc;

use ringfence_json::Object;
use ringfence_types::{ActionId, IncidentId, Scope, Timestamp};

use super::action::Subject;
use super::read::{Damaged, Members, damaged, texts};
use crate::model::Charge;
use crate::target::Target;

/// Something people should look at.
#[derive(Debug, Clone)]
pub(crate) struct IncidentRecord {
    pub incident: IncidentId,
    pub scope: Scope,
    /// What sort of thing, in one word.
    pub event: String,
    pub reason: String,
    /// What it changes about what was booked.
    pub correction: Option<Correction>,
}

/// A call that was given up, and booked at what was set aside for it, came to more: that is booked in its place.
///
/// It stands in an incident and not in an outcome, because an action has one of those.
#[derive(Debug, Clone)]
pub(crate) struct Correction {
    pub subject: Arc<Subject>,
    pub action: ActionId,
    /// The window it counts in.
    pub cleared_at: Timestamp,
    /// In no part less than what was set aside.
    pub charge: Charge,
}

// === impl IncidentRecord ===

impl IncidentRecord {
    pub(crate) fn body(&self) -> Object {
        let body = match &self.correction {
            Some(correction) => correction.body(),
            None => self.scope.to_object(),
        };
        body.with("incident", self.incident.to_string())
            .with("event", self.event.as_str())
            .with("reason", self.reason.as_str())
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self, Damaged> {
        let correction = members.0.contains("charge").then(|| Correction::read(members)).transpose()?;
        Ok(Self {
            incident: members.parse("incident")?,
            scope: Scope::from_object(members.0).map_err(|_| damaged("scope"))?,
            event: members.text("event")?.to_owned(),
            reason: members.text("reason")?.to_owned(),
            correction,
        })
    }
}

// === impl Correction ===

impl Correction {
    /// Whom it is about.
    pub(crate) fn scope(&self) -> Scope {
        let subject = &self.subject;
        let model =
            if let Target::Model { model, .. } = &subject.target { Some(model.clone()) } else { None };
        Scope {
            workspace: Some(subject.workspace.clone()),
            agent: Some(subject.agent.clone()),
            run: Some(subject.run),
            model,
            ..Scope::default()
        }
    }

    fn body(&self) -> Object {
        self.subject
            .body()
            .with("action", self.action.to_string())
            .with("cleared_at", self.cleared_at)
            .with("charge", self.charge.body())
            .with_some("parents", texts(&[self.action]))
    }

    fn read(members: Members<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            subject: Arc::new(Subject::read(members)?),
            action: members.parse("action")?,
            cleared_at: members.parse("cleared_at")?,
            charge: Charge::read(members.object("charge")?)?,
        })
    }
}

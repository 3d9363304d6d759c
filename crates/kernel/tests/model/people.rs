//! What people do, and what servers say of their tools.

use std::time::Duration;

use ringfence_kernel::{Mint, PinSelection, Suspend};
use ringfence_types::{AgentName, ApprovalId, Scope as KernelScope, UserName};

use crate::common::{dana, json, person};
use crate::compare::same;
use crate::driver::Driver;
use crate::model::{Scope, Suspension};
use crate::nodes::{definition, place};
use crate::waiters::Released;
use crate::world::{AGENTS, NARROWINGS, PEOPLE, TOKEN_TTL, TOOLS, USERS};

impl Driver {
    pub async fn mint(&mut self, agent: usize, user: usize) -> Vec<Released> {
        let (workspace, name) = AGENTS[agent];
        let request = Mint {
            workspace: workspace.parse().unwrap(),
            agent: AgentName::new(name).unwrap(),
            user: USERS[user].map(|user| UserName::new(user).unwrap()),
            conversation: None,
            ttl: Duration::from_secs(TOKEN_TTL),
        };
        let minted = self.node().kernel.mint(request, &dana()).await.unwrap();
        self.runs.push(self.node().kernel.authenticate(minted.token.reveal()).unwrap());
        self.model.mint(agent, user);
        Vec::new()
    }

    /// A request that the kernel has told of; recent ones more often than old ones.
    fn request(&self, number: usize) -> Option<(usize, ApprovalId)> {
        let recent = self.model.requests.len().min(4);
        let back = 1 + number.checked_rem(recent)?;
        let index = self.model.requests.len() - back;
        self.model.requests[index].id.map(|id| (index, id))
    }

    pub async fn approve(
        &mut self,
        request: usize,
        who: usize,
        narrowing: usize,
    ) -> Result<Vec<Released>, String> {
        let Some((request, id)) = self.request(request) else { return Ok(Vec::new()) };
        let less = NARROWINGS[narrowing];
        let (taken, released) = self.model.approve(request, who, less);
        let by = person(PEOPLE[who].0, &[PEOPLE[who].1]);
        let less = less.map(|less| json(&less.json()));
        let approved = self.node().kernel.approve(id, &by, less, None).await;
        same(&format!("approval taken ({:?})", approved.as_ref().err()), approved.is_ok(), taken)?;
        Ok(released)
    }

    pub async fn deny(&mut self, request: usize, who: usize) -> Result<Vec<Released>, String> {
        let Some((request, id)) = self.request(request) else { return Ok(Vec::new()) };
        let (taken, released) = self.model.deny(request, who);
        let denied = self.node().kernel.deny(id, &person(PEOPLE[who].0, &[PEOPLE[who].1]), None).await;
        same("denial taken", denied.is_ok(), taken)?;
        Ok(released)
    }

    pub async fn suspend(
        &mut self,
        kind: usize,
        run: usize,
        seconds: Option<u64>,
    ) -> Result<Vec<Released>, String> {
        let scope = self.scope(kind, run);
        let (cut, released) = self.model.cut(&scope);
        let request = Suspend {
            scope: self.kernel_scope(&scope),
            reason: "stop".into(),
            duration: seconds.map(Duration::from_secs),
        };
        let view = self.node().kernel.suspend(request, &dana()).await.unwrap();
        let until = seconds.map(|seconds| self.model.now + seconds);
        self.model.suspensions.push(Suspension { id: Some(view.id), scope, until, lifted: false });
        same("calls cut off", view.cut, cut)?;
        Ok(released)
    }

    fn scope(&self, kind: usize, run: usize) -> Scope {
        let (workspace, agent) = AGENTS[self.model.runs[run].agent];
        let none = Scope::default();
        match kind {
            0 => none,
            1 => Scope { workspace: Some(workspace), ..none },
            2 => Scope { agent: Some(agent), ..none },
            3 => Scope { run: Some(run), ..none },
            4 => Scope { server: Some("tools"), ..none },
            5 => Scope { tool: Some("send"), ..none },
            6 => Scope { model: Some("smart"), ..none },
            7 => Scope { server: Some("other"), tool: Some("query"), ..none },
            8 => Scope { agent: Some("helper"), tool: Some("query"), ..none },
            9 => Scope { workspace: Some("sales"), server: Some("tools"), ..none },
            10 => Scope { run: Some(run), tool: Some("pay"), ..none },
            _ => Scope { tool: Some("scale"), ..none },
        }
    }

    fn kernel_scope(&self, scope: &Scope) -> KernelScope {
        KernelScope {
            workspace: scope.workspace.map(|name| name.parse().unwrap()),
            agent: scope.agent.map(|name| name.parse().unwrap()),
            run: scope.run.map(|run| self.runs[run].id),
            server: scope.server.map(|name| name.parse().unwrap()),
            tool: scope.tool.map(|name| name.parse().unwrap()),
            model: scope.model.map(|name| name.parse().unwrap()),
        }
    }

    pub async fn resume(&mut self, number: usize) -> Result<Vec<Released>, String> {
        let count = self.model.suspensions.len();
        let Some(index) = number.checked_rem(count) else { return Ok(Vec::new()) };
        let now = self.model.now;
        let suspension = &mut self.model.suspensions[index];
        let in_force = suspension.in_force(now);
        suspension.lifted = true;
        let id = suspension.id;
        let lifted = self.node().kernel.resume(id.unwrap(), &dana()).await;
        same("lifted", lifted.is_ok(), in_force)?;
        Ok(Vec::new())
    }

    pub async fn kill(&mut self, run: usize) -> Result<Vec<Released>, String> {
        let known = !self.model.runs[run].ended && self.node().kernel.run(self.runs[run].id).is_some();
        let killed = self.node().kernel.kill(self.runs[run].id, "enough", &dana()).await;
        same("killed", killed.is_ok(), known)?;
        if !known {
            return Ok(Vec::new());
        }
        self.model.runs[run].ended = true;
        Ok(self.model.cut(&Scope { run: Some(run), ..Scope::default() }).1)
    }

    pub async fn list(
        &mut self,
        server: usize,
        changed: Option<&'static str>,
        missing: Option<&'static str>,
    ) -> Vec<Released> {
        let given = TOOLS.iter().filter(|tool| missing != Some(**tool));
        let definitions: Vec<_> =
            given.map(|tool| definition(tool, u8::from(changed == Some(*tool)))).collect();
        let (workspace, name) = place(server);
        self.node().kernel.observe(&workspace, &name, &definitions).await.unwrap();
        self.model.list(server, changed, missing);
        Vec::new()
    }

    pub async fn pin(&mut self, server: usize) -> Vec<Released> {
        let (workspace, name) = place(server);
        self.node().kernel.approve_pins(&workspace, &name, &PinSelection::All, &dana()).await.unwrap();
        self.model.pin(server);
        Vec::new()
    }
}

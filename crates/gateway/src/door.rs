//! Where agents' requests come in: each to whoever answers its path.

use std::sync::Arc;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use ringfence_kernel::{RUN_TOKEN_PREFIX, Run};

use crate::gate::Gate;
use crate::http::accept::{Answer, Standing};
use crate::http::guard;
use crate::http::outbound::Outbound;
use crate::{llm, mcp, spawn};

impl Answer for Gate {
    async fn answer(self: &Arc<Self>, request: Request<Incoming>, standing: &Standing) -> Response<Outbound> {
        let (parts, body) = request.into_parts();
        let door = self.doors.check(&parts, standing.run().is_some());
        match (llm::endpoint::family_of(parts.uri.path()), door) {
            (None, door) if spawn::web::is_under(parts.uri.path()) => match door {
                Err(message) => spawn::web::turned_away_at_the_door(self, message),
                Ok(()) => Box::pin(spawn::web::answer(self, parts, body, standing)).await,
            },
            (None, Err(message)) => mcp::handler::turned_away_at_the_door(self, message),
            (None, Ok(())) => mcp::handler::answer(self, parts, body, standing).await,
            (Some(family), Err(message)) => llm::answers::forbidden(self, family, message),
            // Boxed: the largest future of all must not be what every request of MCP makes room for.
            (Some(family), Ok(())) => {
                Box::pin(llm::handler::answer(self, family, parts, body, standing)).await
            }
        }
    }
}

/// A token was shown that stands for no run, or for another than the one whose sandbox it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadToken;

impl Gate {
    /// Whose request it is: by its token, or by the sandbox that it comes from.
    ///
    /// # Errors
    /// When nobody's: with what was shown, if anything was.
    pub(crate) fn run_of(
        &self,
        headers: &HeaderMap,
        standing: &Standing,
    ) -> Result<Arc<Run>, Option<BadToken>> {
        let token = guard::token(headers);
        let Some(inside) = standing.run() else {
            let token = token.ok_or(None)?;
            return self.kernel.authenticate(token).map_err(|_| Some(BadToken));
        };
        // Inside, programs have a word where others have a key. What looks like a token has to be this run's.
        match token.filter(|token| token.starts_with(RUN_TOKEN_PREFIX)) {
            None => Ok(Arc::clone(inside)),
            Some(token) => {
                let known = self.kernel.authenticate(token).ok().filter(|run| run.id == inside.id);
                known.ok_or(Some(BadToken))
            }
        }
    }
}

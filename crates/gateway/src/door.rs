//! Where agents' requests come in: each to whoever answers its path.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::gate::Gate;
use crate::http::accept::{Answer, Standing};
use crate::http::outbound::Outbound;
use crate::{llm, mcp};

impl Answer for Gate {
    async fn answer(self: &Arc<Self>, request: Request<Incoming>, standing: &Standing) -> Response<Outbound> {
        let (parts, body) = request.into_parts();
        let door = self.doors.check(&parts);
        match (llm::endpoint::family_of(parts.uri.path()), door) {
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

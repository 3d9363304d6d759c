//! The operators' side over HTTP: `/api/v1/*` on a loopback address and on the socket in the data folder.
//!
//! Everything is made from one table, [`routes::all`]: what is answered, who may ask, and what `/openapi.json` says.
//! A request passes, in this order: is it meant for us (`Host`, `Origin`), who asks (token, or user id on the
//! socket), may they (role), is it well formed (no unknown query or member); then its handler.

mod call;
mod desk;
mod guard;
mod handlers;
mod known;
mod lines;
mod logins;
mod metrics;
mod money;
mod openapi;
mod problem;
mod route;
mod routes;
mod sending;
mod serve;
mod show;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodFilter;
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use ringfence_json::{Limits, Object, parse};

pub use desk::Addresses;
pub(crate) use desk::{Desk, InForce, Refused};
pub(crate) use guard::Entrance;
pub(crate) use logins::FailedLogins;
pub(crate) use serve::{Bounds, Listeners, listen_socket, serve};

use crate::limits::{BODY_BYTES_MAX, REQUEST_TIMEOUT};
use call::Call;
use problem::Problem;
use route::Route;

/// What can be asked, for programs: OpenAPI 3.1.
pub(crate) fn description() -> Object {
    openapi::document(routes::ALL)
}

/// Everything that can be asked of `desk`.
pub(crate) fn router(desk: &Arc<Desk>) -> Router {
    let mut router = Router::new();
    for route in routes::ALL {
        let desk = Arc::clone(desk);
        // The table holds no method that axum does not know; a test calls every route.
        let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::GET);
        let handler =
            move |parts: RawPathParams, request: Request| handle(Arc::clone(&desk), route, parts, request);
        router = router.route(route.path, axum::routing::on(filter, handler));
    }
    router
        .fallback(|| async {
            Problem::unknown("there is nothing here").hint("/openapi.json lists everything there is")
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this cannot be asked in that way")
                .hint("/openapi.json lists everything there is")
        })
        .layer(DefaultBodyLimit::disable())
}

async fn handle(desk: Arc<Desk>, route: &'static Route, parts: RawPathParams, request: Request) -> Response {
    let mut known = None;
    let mut response = match answer(desk, route, &parts, request, &mut known).await {
        Ok(answer) => answer.into_response(),
        Err(problem) => problem.into_response(),
    };
    if let Some(known) = known {
        response.extensions_mut().insert(known);
    }
    response
}

/// Answers a request; `known` tells whether it is known who asked, also when the answer is no.
async fn answer(
    desk: Arc<Desk>,
    route: &'static Route,
    parts: &RawPathParams,
    request: Request,
    known: &mut Option<serve::Known>,
) -> Result<call::Answer, Problem> {
    let (head, body) = request.into_parts();
    let entrance = head.extensions.get::<Entrance>().copied();
    let entrance = entrance.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no entrance"))?;
    guard::meant_for_us(entrance, &head.headers, &head.uri)?;
    let credential = guard::credential(entrance, &head.headers)?;
    let caller = if route.power == crate::Power::None {
        crate::Person::nobody()
    } else {
        let caller = guard::authenticate(credential, &desk.in_force().people);
        let caller = caller.inspect_err(|_| desk.failed_logins.count(entrance))?;
        *known = Some(serve::Known);
        guard::authorize(&caller, route.power)?;
        caller
    };
    let query = query(route, &head.uri)?;
    let body = match route.body {
        Some(fields) => read_body(body, fields).await?,
        None => Object::new(),
    };
    let path = parts.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (route.handler)(Call { desk, caller, credential, path, query, body }).await
}

/// The query, every name known and once.
fn query(route: &Route, uri: &http::Uri) -> Result<Vec<(String, String)>, Problem> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Problem::wrong("the query cannot be read"))?;
    for (index, (name, _)) in pairs.iter().enumerate() {
        if !route.query.iter().any(|field| field.name == name) {
            let known: Vec<_> = route.query.iter().map(|field| field.name).collect();
            return Err(Problem::wrong(format!("`{}` cannot be asked here", crate::shown::line(name)))
                .hint(format!("known are: {}", known.join(", "))));
        }
        if pairs[..index].iter().any(|(other, _)| other == name) {
            return Err(Problem::wrong(format!("`{name}` is asked twice")));
        }
    }
    Ok(pairs)
}

/// The body, within its bounds, every member known.
async fn read_body(body: axum::body::Body, fields: &[route::Field]) -> Result<Object, Problem> {
    let reading = Limited::new(body, BODY_BYTES_MAX).collect();
    let bytes = match tokio::time::timeout(REQUEST_TIMEOUT, reading).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(_)) => {
            let detail = format!("the body is cut off or longer than {BODY_BYTES_MAX} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        Err(_) => return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    };
    let value = if bytes.is_empty() {
        Object::new()
    } else {
        let limits = Limits { bytes: BODY_BYTES_MAX, ..Limits::default() };
        let value = parse(&bytes, &limits)
            .map_err(|error| Problem::wrong(format!("the body is not JSON: {error}")))?;
        value.into_object().ok_or_else(|| Problem::wrong("the body must be an object"))?
    };
    if let Some((name, _)) = value.iter().find(|(name, _)| !fields.iter().any(|field| field.name == *name)) {
        let known: Vec<_> = fields.iter().map(|field| field.name).collect();
        return Err(Problem::wrong(format!("`{}` is not known here", crate::shown::line(name)))
            .hint(format!("known are: {}", known.join(", "))));
    }
    Ok(value)
}

//! A loopback proxy that adds a token, for clients that cannot send one. Both ways are streamed.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// A running proxy.
pub struct Shim {
    /// Where the client goes instead.
    pub url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone)]
struct Target {
    own: String,
    authority: String,
    path: String,
    token: HeaderValue,
}

impl Shim {
    /// A proxy to `url` with a token.
    pub async fn start(url: &str, token: &str) -> Self {
        let uri: Uri = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        let listener =
            TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("no free port: {error}"));
        let own = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}")).to_string();
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .unwrap_or_else(|error| panic!("token: {error}"));
        bearer.set_sensitive(true);
        let target = Target {
            own: own.clone(),
            authority: uri.authority().map(ToString::to_string).unwrap_or_default(),
            path: uri.path().to_owned(),
            token: bearer,
        };
        let router = Router::new().fallback(forward).with_state(target);
        let server = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Self { url: format!("http://{own}/mcp"), server }
    }
}

async fn forward(State(target): State<Target>, request: Request) -> Response {
    match pass_on(&target, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("shim: {error}")).into_response(),
    }
}

/// One connection for each request, which ends when the answer is dropped.
async fn pass_on(target: &Target, mut request: Request) -> Result<Response, crate::mcp::http::Failure> {
    let stream = TcpStream::connect(&target.authority).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move { drop(connection.await) });

    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    *request.uri_mut() = format!("{}{query}", target.path).parse()?;
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, target.token.clone());
    // A forged host must arrive forged; the honest one is that of the target.
    if headers.get(header::HOST).is_some_and(|host| *host == target.own) {
        headers.insert(header::HOST, HeaderValue::from_str(&target.authority)?);
    }
    let response = sender.send_request(request).await?;
    Ok(response.map(Body::new))
}

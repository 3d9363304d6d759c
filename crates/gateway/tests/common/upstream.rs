//! A small MCP server of either era, whose answers a test can change.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use ringfence_json::{Object, Value};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// One request that arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Value,
}

/// What to answer.
pub enum Reply {
    /// A result, in the way of the era.
    Result(String),
    /// A body with a status and a content type.
    Raw(u16, &'static str, Vec<u8>),
    /// Events, each after a pause; then the end.
    Events(Vec<(u64, String)>),
    /// Events, and then nothing more; the connection stays.
    EventsThenHang(Vec<(u64, String)>),
    /// Nothing.
    Hang,
    /// As much as the client takes, as JSON.
    Endless,
    /// Headers of one's own.
    Headers(u16, Vec<(&'static str, &'static str)>),
    /// As the small server would.
    Usual,
}

type Behaviour = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

pub struct Upstream {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// How many answers were called off by closing the connection.
    pub closed: Arc<Mutex<usize>>,
    behaviour: Arc<Mutex<Behaviour>>,
    modern: bool,
    tools: Arc<Mutex<String>>,
}

pub const TOOLS: &str = r#"[
    {"name":"echo","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}},
    {"name":"scale","inputSchema":{"type":"object","properties":{"replicas":{"type":"integer"},"region":{"type":"string"}}}},
    {"name":"drop","inputSchema":{"type":"object"}},
    {"name":"send","inputSchema":{"type":"object"}},
    {"name":"whois","inputSchema":{"type":"object"}},
    {"name":"dump","inputSchema":{"type":"object"}},
    {"name":"typed","inputSchema":{"type":"object"},"outputSchema":{"type":"object","required":["n"]}}]"#;

impl Seen {
    pub fn text(&self, pointer: &str) -> String {
        super::at(&self.body, pointer)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Upstream {
    pub async fn legacy() -> Self {
        Self::start(false).await
    }

    pub async fn modern() -> Self {
        Self::start(true).await
    }

    async fn start(modern: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let usual: Behaviour = Arc::new(|_| Reply::Usual);
        let this = Self {
            url,
            seen: Arc::default(),
            closed: Arc::default(),
            behaviour: Arc::new(Mutex::new(usual)),
            modern,
            tools: Arc::new(Mutex::new(TOOLS.to_owned())),
        };
        let (seen, closed, behaviour, tools) = (
            Arc::clone(&this.seen),
            Arc::clone(&this.closed),
            Arc::clone(&this.behaviour),
            Arc::clone(&this.tools),
        );
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (seen, closed, behaviour, tools) =
                    (Arc::clone(&seen), Arc::clone(&closed), Arc::clone(&behaviour), Arc::clone(&tools));
                tokio::spawn(async move {
                    let service = service_fn(|request: Request<Incoming>| {
                        let (seen, closed, behaviour, tools) = (
                            Arc::clone(&seen),
                            Arc::clone(&closed),
                            Arc::clone(&behaviour),
                            Arc::clone(&tools),
                        );
                        async move {
                            let arrived = arrive(request).await;
                            seen.lock().push(arrived.clone());
                            let reply = behaviour.lock().clone()(&arrived);
                            let tools = tools.lock().clone();
                            Ok::<_, Infallible>(answer(modern, &arrived, reply, &tools, closed).await)
                        }
                    });
                    drop(
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await,
                    );
                });
            }
        });
        this
    }

    /// What to answer from now on.
    pub fn behave(&self, behaviour: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        *self.behaviour.lock() = Arc::new(behaviour);
    }

    /// What to answer to calls of tools from now on.
    pub fn on_call(&self, reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        self.behave(
            move |seen| if seen.text("/method") == "tools/call" { reply(seen) } else { Reply::Usual },
        );
    }

    pub fn set_tools(&self, tools: &str) {
        *self.tools.lock() = String::from(tools);
    }

    /// The requests of one method that arrived.
    pub fn seen(&self, method: &str) -> Vec<Seen> {
        self.seen.lock().iter().filter(|seen| seen.text("/method") == method).cloned().collect()
    }

    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// Waits until requests of one method arrived.
    pub async fn wait(&self, method: &str, count: usize) -> Vec<Seen> {
        for _ in 0..300 {
            let seen = self.seen(method);
            if seen.len() >= count {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no {count} requests {method}");
    }

    pub fn is_modern(&self) -> bool {
        self.modern
    }
}

async fn arrive(request: Request<Incoming>) -> Seen {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body = ringfence_json::parse(&bytes, &ringfence_json::Limits::default()).unwrap_or_default();
    Seen { method: head.method, headers: head.headers, body }
}

/// Counts itself as closed when it is dropped before its end.
struct Watched {
    receiver: mpsc::Receiver<Bytes>,
    ended: bool,
    closed: Arc<Mutex<usize>>,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = std::task::ready!(self.receiver.poll_recv(cx));
        self.ended |= next.is_none();
        std::task::Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.ended {
            *self.closed.lock() += 1;
        }
    }
}

fn full(bytes: impl Into<Bytes>) -> BoxBody<Bytes, Infallible> {
    http_body_util::Full::new(bytes.into()).boxed()
}

async fn answer(
    modern: bool,
    seen: &Seen,
    reply: Reply,
    tools: &str,
    closed: Arc<Mutex<usize>>,
) -> Response<BoxBody<Bytes, Infallible>> {
    let build = |status: u16, kind: &str, body| {
        Response::builder().status(status).header("content-type", kind).body(body).unwrap()
    };
    let id = seen.text("/id");
    let id = if seen.body.pointer("/id").is_some_and(|id| id.as_str().is_some()) {
        format!("\"{id}\"")
    } else {
        id
    };
    let message = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    match reply {
        Reply::Usual => usual(modern, seen, &message, tools),
        Reply::Result(result) => build(200, "application/json", full(message(&result))),
        Reply::Raw(status, kind, body) => build(status, kind, full(body)),
        Reply::Headers(status, headers) => {
            let response =
                headers.into_iter().fold(Response::builder().status(status), |response, (name, value)| {
                    response.header(name, value)
                });
            response.body(full("")).unwrap()
        }
        Reply::Hang => {
            let _guard = Watched { receiver: mpsc::channel(1).1, ended: false, closed };
            std::future::pending().await
        }
        Reply::Endless => {
            let (sender, receiver) = mpsc::channel(1);
            tokio::spawn(async move {
                let _ = sender
                    .send(Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"x\":\""))
                    .await;
                while sender.send(Bytes::from(vec![b'a'; 16 << 10])).await.is_ok() {}
            });
            build(200, "application/json", Watched { receiver, ended: false, closed }.boxed())
        }
        Reply::Events(events) => build(200, "text/event-stream", stream(events, &id, false, closed)),
        Reply::EventsThenHang(events) => build(200, "text/event-stream", stream(events, &id, true, closed)),
    }
}

fn stream(
    events: Vec<(u64, String)>,
    id: &str,
    hang: bool,
    closed: Arc<Mutex<usize>>,
) -> BoxBody<Bytes, Infallible> {
    let (sender, receiver) = mpsc::channel(1);
    let id = id.to_owned();
    tokio::spawn(async move {
        for (pause, event) in events {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let event = event.replace("$ID", &id);
            if sender.send(Bytes::from(format!("data: {event}\n\n"))).await.is_err() {
                return;
            }
        }
        if hang {
            sender.closed().await;
        }
    });
    Watched { receiver, ended: false, closed }.boxed()
}

fn usual(
    modern: bool,
    seen: &Seen,
    message: &dyn Fn(&str) -> String,
    tools: &str,
) -> Response<BoxBody<Bytes, Infallible>> {
    let json = |body: String| {
        Response::builder().header("content-type", "application/json").body(full(body)).unwrap()
    };
    let status = |status: StatusCode| Response::builder().status(status).body(full("")).unwrap();
    let kind = if modern { r#""resultType":"complete","# } else { "" };
    let method = seen.text("/method");
    match (method.as_str(), modern) {
        ("initialize", false) => {
            let result = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{}},"serverInfo":{"name":"up","version":"1"}}"#;
            let mut response = json(message(result));
            response.headers_mut().insert("mcp-session-id", "upstream-session".parse().unwrap());
            response
        }
        ("server/discover", true) => json(message(
            r#"{"resultType":"complete","supportedVersions":["2026-07-28","2099-01-01"],"capabilities":{"tools":{}},"ttlMs":1,"cacheScope":"public"}"#,
        )),
        ("tools/list", _) => {
            json(message(&format!(r#"{{{kind}"tools":{tools},"ttlMs":5,"cacheScope":"public"}}"#)))
        }
        ("tools/call", _) => {
            let arguments = seen.body.pointer("/params/arguments").cloned().unwrap_or(Object::new().into());
            let block = Object::new().with("type", "text").with("text", arguments.to_string());
            let content = Value::from(vec![Value::from(block)]);
            json(message(&format!(r#"{{{kind}"content":{content}}}"#)))
        }
        (method, _) if method.starts_with("notifications/") || seen.body.get("method").is_none() => {
            match seen.method {
                Method::GET => status(StatusCode::METHOD_NOT_ALLOWED),
                Method::DELETE => status(StatusCode::NO_CONTENT),
                _ => status(StatusCode::ACCEPTED),
            }
        }
        ("server/discover", false) => status(StatusCode::BAD_REQUEST),
        _ => {
            let error = message("{}").replace("\"result\":{}", r#""error":{"code":-32601,"message":"no"}"#);
            let mut response = json(error);
            *response.status_mut() = if modern { StatusCode::NOT_FOUND } else { StatusCode::OK };
            response
        }
    }
}

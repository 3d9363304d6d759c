//! For programs that go through a proxy: CONNECT (RFC 9110 §9.3.6) and whole addresses as targets (RFC 9112 §3.2.2).
//!
//! What they ask for is told no in words that their libraries show; nothing else differs from a connection of their own.

use std::convert::Infallible;
use std::sync::Arc;

use http::uri::Scheme;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use ringfence_kernel::{EgressClearance, EgressProtocol};
use ringfence_types::{Code, HostName};

use super::berth::Berth;
use super::connect::{self, Place};
use super::names::GATEWAY;
use super::tunnel::{self, HTTP, HTTPS, Stream, connection};
use super::web::body::Reply;
use super::web::trace::misread;
use super::web::{After, Site, Visit, answers, forward, http1, request};
use crate::http::accept::{Answer as _, Standing};

/// The port that the proxy is on.
pub(crate) const PROXY: u16 = 3128;

/// One connection to the proxy.
struct Proxy {
    berth: Arc<Berth>,
    /// For requests to the gateway itself.
    standing: Standing,
    /// The site of the last request, and what leads there.
    visit: Mutex<Option<Arc<Visit>>>,
    after: Mutex<Option<After>>,
}

/// Serves one connection to the proxy.
pub(crate) async fn serve<S: Stream>(berth: &Arc<Berth>, stream: S, place: Place) {
    let standing = Standing::inside(Arc::clone(&berth.run), Some(place));
    let (visit, after) = (Mutex::default(), Mutex::default());
    let proxy = Arc::new(Proxy { berth: Arc::clone(berth), standing, visit, after });
    let service = service_fn(|request: Request<Incoming>| {
        let proxy = Arc::clone(&proxy);
        async move { Ok::<_, Infallible>(Box::pin(proxy.answer(request)).await) }
    });
    let served = http1(berth.limits()).serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    if let Err(error) = served {
        tracing::debug!(%error, "a program's connection to the proxy ended early");
        if let Some((code, reason)) = misread(&error) {
            berth.turn_away(&gateway(), PROXY, code, reason);
        }
    }
    let of_visit = || proxy.visit.lock().take().and_then(|visit| visit.take_after());
    let after = proxy.after.lock().take().or_else(of_visit);
    if let Some(after) = after {
        after.await;
    }
}

// === impl Proxy ===

impl Proxy {
    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        if request.method() == Method::CONNECT {
            return self.connect(request).await;
        }
        let Some(authority) = request.uri().authority() else {
            let reason =
                "This is a proxy: a request to it names the whole address, as in `GET http://host/path`.";
            return self.turn_away(&gateway(), PROXY, reason);
        };
        let Some((host, port)) = request::read(authority, HTTP) else {
            return self.turn_away(&gateway(), PROXY, "The target names no host.");
        };
        if request.uri().scheme() != Some(&Scheme::HTTP) {
            let reason = "Through a proxy, https goes by CONNECT.";
            return self.turn_away(&host, port, reason);
        }
        if host.as_str() == GATEWAY {
            return self.gateway(request, port).await;
        }
        let visit = self.visit(Site { host, port, secure: false });
        forward::answer(&visit, request).await
    }

    /// What leads to a site: the same as for the request before, if that was to the same.
    fn visit(&self, site: Site) -> Arc<Visit> {
        let mut visit = self.visit.lock();
        match &*visit {
            Some(known) if known.site == site => Arc::clone(known),
            _ => Arc::clone(visit.insert(Visit::new(&self.berth, site, false))),
        }
    }

    async fn gateway(&self, request: Request<Incoming>, port: u16) -> Response<Reply> {
        if port != HTTP {
            return self.turn_away(&gateway(), port, "The gateway itself answers on port 80.");
        }
        if let Some(reason) = connect::no_agent(&self.berth) {
            return answers::refused(&self.berth.turn_away(&gateway(), port, Code::NotGranted, reason));
        }
        self.berth.gate.answer(request, &self.standing).await.map(Reply::Gate)
    }

    async fn connect(&self, mut request: Request<Incoming>) -> Response<Reply> {
        let target = request.uri().authority().and_then(|authority| request::read(authority, 0));
        let Some((host, port)) = target.filter(|(_, port)| *port > 0) else {
            return self.turn_away(
                &gateway(),
                PROXY,
                "CONNECT names a host and a port, as in `CONNECT host:443`.",
            );
        };
        let inside = hyper::upgrade::on(&mut request);
        if host.as_str() == GATEWAY {
            if port != HTTP {
                return self.turn_away(&host, port, "The gateway itself answers on port 80, without TLS.");
            }
            return self.accept(Box::pin(own(Arc::clone(&self.berth), inside)));
        }
        match self.look(&host, port).await {
            Ok(cleared) => {
                self.accept(Box::pin(tunnelled(Arc::clone(&self.berth), inside, host, port, cleared)))
            }
            Err(answer) => answer,
        }
    }

    /// Decides what can be decided before anything was said in the tunnel, so that a no is told here, where it is heard.
    async fn look(&self, host: &HostName, port: u16) -> Result<Option<EgressClearance>, Response<Reply>> {
        let look = |holds: &ringfence_kernel::Holds<'_>| {
            (holds.reaches(host, port), holds.wants_requests(host, port))
        };
        match self.berth.grants(look) {
            // Whatever it turns out to be is decided when it is known; that no request may be sent is known already.
            (true, wants_requests) if wants_requests || port != HTTPS => Ok(None),
            _ => match self.berth.admit(connection(host, port, EgressProtocol::Tls)).await {
                Ok(clearance) => Ok(Some(clearance)),
                Err(refusal) => Err(answers::refused(&refusal)),
            },
        }
    }

    fn accept(&self, after: After) -> Response<Reply> {
        *self.after.lock() = Some(after);
        let mut response = Response::new(Reply::Own(bytes::Bytes::new()));
        *response.status_mut() = StatusCode::OK;
        response
    }

    fn turn_away(&self, host: &HostName, port: u16, reason: &str) -> Response<Reply> {
        answers::refused(&self.berth.turn_away(host, port, Code::InvalidInput, reason))
    }
}

#[expect(clippy::expect_used, reason = "the word is a name")]
pub(crate) fn gateway() -> HostName {
    HostName::new(GATEWAY).expect("one label of small letters is a host's name")
}

async fn tunnelled(
    berth: Arc<Berth>,
    inside: OnUpgrade,
    host: HostName,
    port: u16,
    cleared: Option<EgressClearance>,
) {
    // Without an upgrade the clearance says that the program went away.
    let cleared = cleared.map(|clearance| super::fare::Fare::new(clearance, &berth));
    if let Ok(inside) = inside.await {
        tunnel::carry(&berth, TokioIo::new(inside), host, port, cleared).await;
    }
}

async fn own(berth: Arc<Berth>, inside: OnUpgrade) {
    if let Ok(inside) = inside.await {
        // The place of the connection is held by whoever accepted it.
        connect::to_the_gate(&berth, TokioIo::new(inside), None).await;
    }
}

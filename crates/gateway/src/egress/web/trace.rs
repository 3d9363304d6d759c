//! What a connection leaves on record where nothing that could be read was asked on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringfence_types::Code;

use super::Site;
use crate::egress::berth::Berth;

const UNREAD: &str = "What was sent is no request of HTTP that could be read.";

/// One connection of a program inside. Whoever tries whether somebody answers leaves a trace, however the connection ends:
/// without a word, with what is no request, or with the run.
pub(super) struct Trace {
    berth: Arc<Berth>,
    site: Site,
    is_http2: bool,
    asked: AtomicBool,
}

// === impl Trace ===

impl Trace {
    pub(super) fn new(berth: &Arc<Berth>, site: &Site, is_http2: bool) -> Self {
        Self { berth: Arc::clone(berth), site: site.clone(), is_http2, asked: AtomicBool::new(false) }
    }

    /// There is a request, and what becomes of it is on record.
    pub(super) fn asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// HTTP ended like this, and the program heard no more than that its request is a bad one.
    pub(super) fn failed(&self, error: &hyper::Error) {
        // What is not held is told of by the end of this.
        if self.is_first_word() && !self.is_held() {
            return;
        }
        if let Some((code, reason)) = self.misread(error) {
            self.berth.turn_away(&self.site.host, self.site.port, code, reason);
        }
    }

    /// Whether nothing has come so far that was a request.
    fn is_first_word(&self) -> bool {
        !self.asked.load(Ordering::Relaxed)
    }

    fn is_held(&self) -> bool {
        self.berth.grants(|holds| holds.reaches(&self.site.host, self.site.port))
    }

    /// What of an error is the program's doing.
    fn misread(&self, error: &hyper::Error) -> Option<(Code, &'static str)> {
        misread(error).or_else(|| match self.is_first_word() {
            true if self.is_http2 => Some((Code::InvalidInput, UNREAD)),
            true if error.is_timeout() => Some((Code::InvalidInput, "No request came in time.")),
            // Between two requests a connection may wait and end.
            _ => None,
        })
    }
}

/// What of an error is bytes that are no request of HTTP/1.1.
pub(crate) fn misread(error: &hyper::Error) -> Option<(Code, &'static str)> {
    if error.is_parse_too_large() {
        return Some((Code::TooLarge, "The head of the request is longer than it may be."));
    }
    (error.is_parse() || error.is_incomplete_message()).then_some((Code::InvalidInput, UNREAD))
}

impl Drop for Trace {
    fn drop(&mut self) {
        if self.is_first_word() && !self.is_held() {
            let Site { host, port, .. } = &self.site;
            let who = self.berth.run.called();
            let reason = format!("{who} may not reach {host}:{port}. Use one of the hosts it was given.");
            self.berth.turn_away(host, *port, Code::NotGranted, reason);
        }
    }
}

//! What a connection leaves on record where nothing that could be read was asked on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringfence_types::Code;

use super::Site;
use crate::egress::berth::Berth;

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

    /// What of an error is the program's doing: bytes that are no request.
    fn misread(&self, error: &hyper::Error) -> Option<(Code, &'static str)> {
        if error.is_parse_too_large() {
            return Some((Code::TooLarge, "The head of the request is longer than it may be."));
        }
        let is_unread = error.is_parse() || error.is_incomplete_message();
        if is_unread || (self.is_http2 && self.is_first_word()) {
            return Some((Code::InvalidInput, "What was sent is no request of HTTP that could be read."));
        }
        // Between two requests a connection may wait and end.
        let is_late = error.is_timeout() && self.is_first_word();
        is_late.then_some((Code::InvalidInput, "No request came in time."))
    }
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

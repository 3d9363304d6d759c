//! Sums of calls.

use ringfence_types::Money;

use crate::model::{Charge, Reservation};

/// A sum of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// Booked.
    pub usd: Money,
    /// Tokens booked.
    pub tokens: u64,
    /// Calls settled.
    pub calls: u64,
    /// Set aside for calls under way.
    pub reserved_usd: Money,
    /// Tokens set aside.
    pub reserved_tokens: u64,
}

// === impl Sum ===

impl Sum {
    /// Booked and set aside.
    pub fn taken(&self) -> (Money, u64) {
        (self.usd.plus(self.reserved_usd), self.tokens.saturating_add(self.reserved_tokens))
    }

    pub(super) fn reserve(&mut self, reservation: Reservation) {
        self.reserved_usd = self.reserved_usd.plus(reservation.usd);
        self.reserved_tokens = self.reserved_tokens.saturating_add(reservation.tokens);
    }

    pub(super) fn settle(&mut self, reservation: Reservation, charge: &Charge) {
        self.reserved_usd = self.reserved_usd.minus(reservation.usd);
        self.reserved_tokens = self.reserved_tokens.saturating_sub(reservation.tokens);
        self.usd = self.usd.plus(charge.usd);
        self.tokens = self.tokens.saturating_add(charge.tokens());
        self.calls += 1;
    }

    pub(super) fn add(&mut self, more: Reservation) {
        self.usd = self.usd.plus(more.usd);
        self.tokens = self.tokens.saturating_add(more.tokens);
    }
}

//! From the spawner to a first process that was made before its order came.

use super::codec::{Reader, WireError, Writer};
use super::report::{read_layers, write_layers};
use super::request::Order;
use crate::layer::Layer;

/// An order with what became of its limits. The packet carries the program's standard streams, and what of cgroups is to
/// be entered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Handover {
    pub(crate) order: Box<Order>,
    pub(crate) limits: Vec<Layer>,
}

/// The message of a [`Handover`].
pub(crate) fn hand_over(order: &Order, limits: &[Layer]) -> Vec<u8> {
    let mut w = Writer::default();
    write_layers(&mut w, limits);
    order.write(&mut w);
    w.finish()
}

// === impl Handover ===

impl Handover {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let limits = read_layers(&mut r)?;
        let order = Box::new(Order::read(&mut r)?);
        r.finish(Self { order, limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Limits;
    use crate::layer::{LayerName, LayerState};
    use crate::network::Network;
    use crate::root::Root;

    #[test]
    fn an_order_comes_over_as_it_was_and_a_cut_one_is_refused() {
        let order = Order::trial(Some(Root::system().file("/a", "b")), Network::Gateway, Limits::default());
        let state = LayerState::Missing("no cgroup".to_owned());
        let limits = vec![Layer { name: LayerName::MemoryLimit, state }];
        let bytes = hand_over(&order, &limits);
        for length in 0..bytes.len() {
            assert!(Handover::decode(&bytes[..length]).is_err());
        }
        assert_eq!(Handover::decode(&bytes), Ok(Handover { order: Box::new(order), limits }));
    }
}

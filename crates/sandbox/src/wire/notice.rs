//! From the spawner to the node.

use super::codec::{Reader, WireError, Writer};
use super::report::{Failure, read_layers, read_status, write_layers, write_status};
use crate::layer::Layer;
use crate::status::ExitStatus;

/// What the spawner tells the node. Each child's last notice is `Failed` or `Exited`, and when it comes,
/// nothing of the child is left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The answer to `Hello`: children can be started, and these layers were found by trying.
    Ready { layers: Vec<Layer> },
    /// The answer to `Hello`: no children can be started.
    Unready { text: String },
    /// A child's program runs.
    Spawned { id: u64, pid: u32, layers: Vec<Layer> },
    /// A child's program never ran.
    Failed { id: u64, failure: Failure },
    /// A child has ended, and everything below it.
    Exited { id: u64, status: ExitStatus },
}

const READY: u8 = 1;
const UNREADY: u8 = 2;
const SPAWNED: u8 = 3;
const FAILED: u8 = 4;
const EXITED: u8 = 5;

// === impl Notice ===

impl Notice {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        match self {
            Self::Ready { layers } => {
                w.byte(READY);
                write_layers(&mut w, layers);
            }
            Self::Unready { text } => {
                w.byte(UNREADY);
                w.text(text);
            }
            Self::Spawned { id, pid, layers } => {
                w.byte(SPAWNED);
                w.number(*id);
                w.number(u64::from(*pid));
                write_layers(&mut w, layers);
            }
            Self::Failed { id, failure } => {
                w.byte(FAILED);
                w.number(*id);
                failure.write(&mut w);
            }
            Self::Exited { id, status } => {
                w.byte(EXITED);
                w.number(*id);
                write_status(&mut w, *status);
            }
        }
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let notice = match r.byte()? {
            READY => Self::Ready { layers: read_layers(&mut r)? },
            UNREADY => Self::Unready { text: r.text()? },
            SPAWNED => Self::Spawned {
                id: r.number()?,
                pid: u32::try_from(r.number()?).map_err(|_| WireError("no such process id"))?,
                layers: read_layers(&mut r)?,
            },
            FAILED => Self::Failed { id: r.number()?, failure: Failure::read(&mut r)? },
            EXITED => Self::Exited { id: r.number()?, status: read_status(&mut r)? },
            _ => return Err(WireError("an unknown notice")),
        };
        r.finish(notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{LayerName, LayerState};
    use crate::wire::Step;

    #[test]
    fn notices_come_back_and_cut_ones_are_refused() {
        let layers = vec![Layer { name: LayerName::Seccomp, state: LayerState::InForce(String::new()) }];
        let notices = [
            Notice::Ready { layers: layers.clone() },
            Notice::Unready { text: "no /tmp".into() },
            Notice::Spawned { id: 3, pid: 4_194_304, layers },
            Notice::Failed { id: 4, failure: Failure { step: Step::Setup, errno: 1, text: String::new() } },
            Notice::Exited { id: 5, status: ExitStatus::Signaled(15) },
        ];
        for notice in notices {
            let bytes = notice.encode();
            for length in 0..bytes.len() {
                assert!(Notice::decode(&bytes[..length]).is_err());
            }
            assert_eq!(Notice::decode(&bytes), Ok(notice));
        }
    }
}

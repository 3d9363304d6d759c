//! From the spawner to the node.

use std::time::Duration;

use super::codec::{Reader, WireError, Writer};
use super::report::{Failure, read_layers, read_status, write_layers, write_status};
use crate::layer::Layer;
use crate::stats::Stats;
use crate::status::ExitStatus;

/// What the spawner tells the node. Each child's last notice is `Failed` or `Exited`, and when it comes,
/// nothing of the child is left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The answer to `Hello`: children can be started, and these layers were found by trying: around a tool server,
    /// and around a child with a root and a network of its own, or why there can be none.
    Ready { layers: Vec<Layer>, boxed: Result<Vec<Layer>, String> },
    /// The answer to `Hello`: no children can be started.
    Unready { text: String },
    /// All of a child is in place, and its program waits for [`super::Request::Execute`]; the packet carries its sockets
    /// and volumes.
    Held { id: u64, pid: u32, layers: Vec<Layer> },
    /// A child's program runs; with a network that leads to the gateway, the packet carries its sockets, and with volumes those;
    /// of one that was held, nothing is told again.
    Spawned { id: u64, pid: u32, layers: Vec<Layer> },
    /// A child's program never ran.
    Failed { id: u64, failure: Failure },
    /// A child has ended, and everything below it; with what it used in all, where a cgroup kept that.
    Exited { id: u64, status: ExitStatus, used: Option<Stats> },
    /// What a child uses; `None` when it could not be found out, as when it has just ended.
    Measured { id: u64, stats: Option<Stats> },
}

const READY: u8 = 1;
const UNREADY: u8 = 2;
const SPAWNED: u8 = 3;
const FAILED: u8 = 4;
const EXITED: u8 = 5;
const MEASURED: u8 = 6;
const HELD: u8 = 7;

// === impl Notice ===

impl Notice {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        match self {
            Self::Ready { layers, boxed } => {
                w.byte(READY);
                write_layers(&mut w, layers);
                w.byte(u8::from(boxed.is_ok()));
                match boxed {
                    Ok(layers) => write_layers(&mut w, layers),
                    Err(why) => w.text(why),
                }
            }
            Self::Unready { text } => {
                w.byte(UNREADY);
                w.text(text);
            }
            Self::Held { id, pid, layers } => write_child(&mut w, HELD, *id, *pid, layers),
            Self::Spawned { id, pid, layers } => write_child(&mut w, SPAWNED, *id, *pid, layers),
            Self::Failed { id, failure } => {
                w.byte(FAILED);
                w.number(*id);
                failure.write(&mut w);
            }
            Self::Exited { id, status, used } => {
                w.byte(EXITED);
                w.number(*id);
                write_status(&mut w, *status);
                w.optional(used.as_ref(), write_stats);
            }
            Self::Measured { id, stats } => {
                w.byte(MEASURED);
                w.number(*id);
                w.optional(stats.as_ref(), write_stats);
            }
        }
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let notice = match r.byte()? {
            READY => Self::Ready {
                layers: read_layers(&mut r)?,
                boxed: if r.flag()? { Ok(read_layers(&mut r)?) } else { Err(r.text()?) },
            },
            UNREADY => Self::Unready { text: r.text()? },
            HELD => {
                let (id, pid, layers) = read_child(&mut r)?;
                Self::Held { id, pid, layers }
            }
            SPAWNED => {
                let (id, pid, layers) = read_child(&mut r)?;
                Self::Spawned { id, pid, layers }
            }
            FAILED => Self::Failed { id: r.number()?, failure: Failure::read(&mut r)? },
            EXITED => {
                let (id, status) = (r.number()?, read_status(&mut r)?);
                Self::Exited { id, status, used: r.optional(read_stats)? }
            }
            MEASURED => Self::Measured { id: r.number()?, stats: r.optional(read_stats)? },
            _ => return Err(WireError("an unknown notice")),
        };
        r.finish(notice)
    }
}

fn write_child(w: &mut Writer, tag: u8, id: u64, pid: u32, layers: &[Layer]) {
    w.byte(tag);
    w.number(id);
    w.number(u64::from(pid));
    write_layers(w, layers);
}

fn read_child(r: &mut Reader<'_>) -> Result<(u64, u32, Vec<Layer>), WireError> {
    let id = r.number()?;
    let pid = u32::try_from(r.number()?).map_err(|_| WireError("no such process id"))?;
    Ok((id, pid, read_layers(r)?))
}

fn write_stats(w: &mut Writer, stats: &Stats) {
    w.number(stats.memory_bytes);
    w.optional(stats.memory_bytes_peak.as_ref(), |w, bytes| w.number(*bytes));
    w.number(stats.processes);
    w.number(u64::try_from(stats.cpu.as_nanos()).unwrap_or(u64::MAX));
    w.optional(stats.memory_kills.as_ref(), |w, kills| w.number(*kills));
    w.byte(u8::from(stats.by_cgroup));
}

fn read_stats(r: &mut Reader<'_>) -> Result<Stats, WireError> {
    Ok(Stats {
        memory_bytes: r.number()?,
        memory_bytes_peak: r.optional(Reader::number)?,
        processes: r.number()?,
        cpu: Duration::from_nanos(r.number()?),
        memory_kills: r.optional(Reader::number)?,
        by_cgroup: r.flag()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{LayerName, LayerState};
    use crate::wire::Step;

    #[test]
    fn notices_come_back_and_cut_ones_are_refused() {
        let layers = vec![Layer { name: LayerName::Seccomp, state: LayerState::InForce(String::new()) }];
        let stats = Stats {
            memory_bytes: 1,
            memory_bytes_peak: Some(2),
            processes: 3,
            cpu: Duration::from_micros(4),
            memory_kills: None,
            by_cgroup: true,
        };
        let notices = [
            Notice::Ready { layers: layers.clone(), boxed: Err("no".into()) },
            Notice::Ready { layers: Vec::new(), boxed: Ok(layers.clone()) },
            Notice::Measured { id: 6, stats: None },
            Notice::Measured { id: 6, stats: Some(stats) },
            Notice::Unready { text: "no /tmp".into() },
            Notice::Held { id: 2, pid: 9, layers: layers.clone() },
            Notice::Spawned { id: 3, pid: 4_194_304, layers },
            Notice::Failed { id: 4, failure: Failure { step: Step::Setup, errno: 1, text: String::new() } },
            Notice::Exited { id: 5, status: ExitStatus::Signaled(15), used: None },
            Notice::Exited { id: 7, status: ExitStatus::Killed, used: Some(stats) },
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

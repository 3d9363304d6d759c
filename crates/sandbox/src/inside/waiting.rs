//! A first process that is made before its order comes, and waits for it.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::found::Found;
use super::tree::Begun;
use super::{Descriptors, Setup, begin, enclose, first, namespaces, network};
use crate::limits::{MESSAGE_BYTES_MAX, REPORT_BYTES_MAX};
use crate::system::{self, Namespaces};
use crate::wire::{Failure, Handover, Order, Packet, Report, receive, send};

/// The life of a first process up to its order, set up as far as is the same for all boxes, and from then on as any. It
/// never returns to the spawner's code, whose memory it copied.
pub(crate) fn wait(ahead: &Setup<'_>, late: Namespaces, report: OwnedFd) -> ! {
    let life = AssertUnwindSafe(|| {
        // If it fails nobody waits yet. The box that it would have been for is started without, and says why.
        let Ok(prepared) = set_up(ahead, &report) else { return 1 };
        let mut buffer = vec![0; MESSAGE_BYTES_MAX + REPORT_BYTES_MAX];
        let Ok(Some(packet)) = receive(&report, &mut buffer) else { return 0 };
        match take(&buffer, packet) {
            Ok((handover, given)) => {
                drop(buffer);
                go_on(ahead, late, handover, given, report, prepared)
            }
            Err(failure) => tell(&report, failure),
        }
    });
    system::exit_now(catch_unwind(life).unwrap_or(70))
}

/// What is there when the order comes.
struct Ahead {
    found: Found,
    sockets: Vec<OwnedFd>,
    begun: Option<Begun>,
}

fn set_up(ahead: &Setup<'_>, report: &OwnedFd) -> Result<Ahead, Failure> {
    begin(ahead, report, &[])?;
    let mut found = Found::new(ahead.refused);
    namespaces::settle(ahead, &mut found)?;
    let sockets = network::prepare(ahead.order.network, ahead.namespaces, &mut found)?;
    let begun = ahead.order.root.as_ref().map(|root| Begun::new(ahead, root, &mut found)).transpose()?;
    Ok(Ahead { found, sockets, begun })
}

/// What came with an order: the program's standard streams, and what of cgroups is to be entered.
struct Given {
    stdio: [OwnedFd; 3],
    tasks: Vec<OwnedFd>,
}

fn take(buffer: &[u8], Packet { length, mut descriptors }: Packet) -> Result<(Handover, Given), Failure> {
    let wrong = |what: String| Failure::setup(what, &std::io::Error::from(std::io::ErrorKind::InvalidData));
    let handover = Handover::decode(&buffer[..length]).map_err(|error| wrong(error.to_string()))?;
    let tasks = descriptors.split_off(descriptors.len().min(3));
    let stdio = <[OwnedFd; 3]>::try_from(descriptors);
    let stdio = stdio.map_err(|_| wrong("taking the pipes, which did not all arrive".to_owned()))?;
    Ok((handover, Given { stdio, tasks }))
}

fn go_on(
    ahead: &Setup<'_>,
    late: Namespaces,
    Handover { order, limits }: Handover,
    Given { stdio: [input, output, error], tasks }: Given,
    report: OwnedFd,
    Ahead { mut found, sockets, begun }: Ahead,
) -> i32 {
    let order: &Order = &order;
    let setup = Setup { order, late, ..*ahead };
    let descriptors = Descriptors { input, output, error, report };
    if let Err(error) = crate::cgroup::join(&tasks) {
        return tell(&descriptors.report, Failure::setup("entering the cgroup", &error));
    }
    drop(tasks);
    found.add(limits);
    namespaces::enter_late(late, &mut found);
    match enclose(&setup, &descriptors, found, sockets, begun) {
        Ok(prepared) => first::run(&setup, descriptors, prepared),
        Err(failure) => tell(&descriptors.report, failure),
    }
}

fn tell(report: &OwnedFd, failure: Failure) -> i32 {
    // A spawner that has gone reads no report, and there is nobody else to tell.
    let _ = send(report, &Report::Failed(failure).encode(), &[]);
    1
}

//! Messages of a child that wait for whoever they are for: bounded in number and in bytes. What there is no room for is
//! not taken, because the pipe it comes through is for others, too.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::Limits;
use crate::mcp::message::Message;

/// The way in.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    messages: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    bytes_max: usize,
}

/// A message that waits.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) message: Message,
    _room: OwnedSemaphorePermit,
}

/// A queue and its way out.
pub(crate) fn queue(limits: &Limits) -> (Queue, mpsc::Receiver<Queued>) {
    let (messages, receiver) = mpsc::channel(limits.stream_backlog);
    let bytes = limits.stream_backlog_bytes.min(Semaphore::MAX_PERMITS);
    (Queue { messages, room: Arc::new(Semaphore::new(bytes)), bytes_max: bytes }, receiver)
}

// === impl Queue ===

impl Queue {
    /// Takes a message that came in so many bytes; gives it back where there is no room, or nobody.
    pub(crate) fn offer(&self, message: Message, bytes: usize) -> Result<(), Message> {
        // One that is larger than all the room is taken when it is alone.
        let bytes = u32::try_from(bytes.min(self.bytes_max)).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) else { return Err(message) };
        self.messages.try_send(Queued { message, _room: room }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back) => back.message,
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.messages.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use ringfence_json::Object;

    use super::*;
    use crate::mcp::message::Notification;

    #[test]
    fn a_queue_has_room_for_so_many_bytes_and_gives_back_what_it_does_not_take() {
        let (queue, mut out) = queue(&Limits { stream_backlog_bytes: 10, ..Limits::default() });
        let message = || Message::Notification(Notification::new("notifications/message", Object::new()));
        assert_eq!(queue.offer(message(), 6), Ok(()));
        assert_eq!(queue.offer(message(), 6), Err(message()));
        drop(out.try_recv().unwrap());
        assert_eq!(queue.offer(message(), 1_000), Ok(()), "alone");
        drop(out);
        assert_eq!(queue.offer(message(), 0), Err(message()));
    }
}

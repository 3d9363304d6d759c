//! The way out as a program in a sandbox sees it: sockets on loopback stand for those of its network namespace.

mod bounds;
mod dns;
mod gate;
mod passing;
mod proxying;
mod requests;
mod speed;
mod support;
mod turning;
mod unasked;
mod unseen;

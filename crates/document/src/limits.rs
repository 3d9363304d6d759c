//! What one document may be at most.

/// Length of the text, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// Mappings and sequences inside one another.
pub const DEPTH_MAX: usize = 32;

/// Values and keys in total.
pub const NODES_MAX: usize = 1_000_000;

/// Length of one scalar or key, in bytes.
pub const SCALAR_BYTES_MAX: usize = 64 << 10;

/// Errors that are reported for one document; what comes after them is counted only.
pub const DIAGNOSTICS_MAX: usize = 200;

/// How much of a source line is shown, in characters.
pub const SHOWN_LINE_CHARS_MAX: usize = 160;

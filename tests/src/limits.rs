//! How long the tests wait, in one place. None of these is a measurement: a test that reaches one has failed.

use std::time::Duration;

/// A node or a server prints its address.
pub const START: Duration = Duration::from_mins(1);

/// One command of the command line answers.
pub const COMMAND: Duration = Duration::from_mins(1);

/// One request is answered, an approval that nobody gives excepted.
pub const ANSWER: Duration = Duration::from_secs(30);

/// Something that was caused becomes visible.
pub const EFFECT: Duration = Duration::from_secs(30);

/// A whole script of an agent framework, imports included.
pub const SCRIPT: Duration = Duration::from_mins(3);

/// One run of the conformance suite.
pub const SUITE: Duration = Duration::from_mins(10);

/// Between two looks at something that is waited for.
pub const LOOK: Duration = Duration::from_millis(50);

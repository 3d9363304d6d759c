//! Every bound of this crate, with its unit, in one place.

/// Length of one tool definition, in bytes of its canonical JSON.
pub const DEFINITION_BYTES_MAX: usize = 256 * 1024;
/// Length of a tool's title, in bytes.
pub const TITLE_BYTES_MAX: usize = 1024;
/// Length of a tool's description, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;
/// JSON values in one schema, of every kind.
pub const SCHEMA_VALUES_MAX: usize = 20_000;
/// Objects and arrays inside one another in a schema.
pub const SCHEMA_DEPTH_MAX: usize = 64;
/// Places in one schema at which a schema stands.
pub const SCHEMA_PLACES_MAX: usize = 4_096;
/// Schemas that can apply to one and the same value, references followed.
pub const SCHEMA_FANOUT_MAX: u32 = 2_000;
/// Schemas inside one another that apply to the same value, references followed.
pub const SCHEMA_CHAIN_MAX: u32 = 24;
/// Length of one regular expression, in bytes.
pub const PATTERN_BYTES_MAX: usize = 2_048;
/// Regular expressions in one schema.
pub const PATTERNS_MAX: usize = 128;
/// Size of one compiled regular expression, in bytes.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 1024 * 1024;
/// Steps back in one match of a regular expression with look-around or back-references.
pub const PATTERN_BACKTRACKS_MAX: usize = 2_000;
/// Length of a text that is matched against a schema which has such expressions, in bytes.
pub const PATTERN_BACKTRACKING_TEXT_BYTES_MAX: usize = 8 * 1024;
/// Objects and arrays inside one another in a value that is validated.
pub const INSTANCE_DEPTH_MAX: u16 = 96;
/// Looks at parts of a value that one validation may take, whatever the value is.
pub const VALIDATION_STEPS: u32 = 100_000;
/// Looks more for each part of the value; a text counts once for every [`TEXT_BYTES_PER_STEP`].
pub const VALIDATION_STEPS_PER_PART: u32 = 32;
/// How much of a text one look takes in, in bytes.
pub const TEXT_BYTES_PER_STEP: usize = 64;
/// Objects and arrays inside one another up to which the types of arguments are known to Cedar rules.
pub const SHAPE_DEPTH_MAX: usize = 16;
/// Arguments of one tool, nested ones included, whose types are known to Cedar rules.
pub const SHAPE_MEMBERS_MAX: usize = 2_000;
/// Length of one Cedar file, in bytes.
pub const CEDAR_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Length of one `when`, in bytes.
pub const WHEN_BYTES_MAX: usize = 8 * 1024;
/// Stack of the thread that compiles a schema, in bytes.
pub const SCHEMA_COMPILE_STACK_BYTES: usize = 64 * 1024 * 1024;
/// Length of a sentence about a violation, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 512;
/// Words listed in a sentence before the rest is summed up.
pub const MESSAGE_WORDS_MAX: usize = 8;
/// Lines of a difference between two definitions.
pub const DIFFERENCE_LINES_MAX: usize = 200;
/// Length of a value in such a line, in characters.
pub const DIFFERENCE_VALUE_CHARS_MAX: usize = 400;

/// Rules in all files together.
pub const RULES_MAX: usize = 50_000;
/// Patterns of one key of one rule.
pub const PATTERNS_OF_KEY_MAX: usize = 10_000;
/// Length of one pattern, in bytes.
pub const MATCH_PATTERN_BYTES_MAX: usize = 512;
/// Constraints in one rule.
pub const CONSTRAINTS_MAX: usize = 100;
/// Values in one list of a constraint.
pub const ALLOWED_VALUES_MAX: usize = 10_000;
/// Length of a number in a constraint, in bytes.
pub const NUMBER_BYTES_MAX: usize = 64;
/// Names in the dotted path of a constraint.
pub const PATH_SEGMENTS_MAX: usize = 16;
/// Names in a dotted path up to which each of its dots may also belong to a name.
pub const DOTTED_NAMES_SEGMENTS_MAX: usize = 6;
/// Values of a list that a refusal names.
pub const REASON_VALUES_MAX: usize = 10;
/// Length of the reason of a rule, in bytes.
pub const REASON_BYTES_MAX: usize = 1_000;
/// Roles that may approve, in one rule.
pub const APPROVERS_MAX: usize = 100;
/// Different people that one rule can ask for.
pub const QUORUM_MAX: u64 = 20;
/// The longest that an approval can wait and be used.
pub const APPROVAL_EXPIRES_MAX: std::time::Duration = std::time::Duration::from_hours(30 * 24);

/// Cases in one file.
pub const CASES_MAX: usize = 10_000;
/// Length of the name of a case, in bytes.
pub const CASE_NAME_BYTES_MAX: usize = 200;

//! Everything the operators' side can be asked.

use http::Method;

use super::handlers;
use super::route::AnswerKind::{Bytes, Document, Events, Lines, Text};
use super::route::FieldKind::{Flag, Object as Members, Text as Word, Texts, Whole};
use super::route::{Field, Route};
use crate::Power;

const NOTHING: &[Field] = &[];
const LIMIT: Field = Field::new("limit", Whole, "At most so many, up to 1000.");
const WORKSPACE: Field = Field::new("workspace", Word, "Only this workspace.");
const REASON: Field = Field::new("reason", Word, "Why; the log keeps it, and agents are told.");

macro_rules! filter_and {
    ($($more:expr),+ $(,)?) => {
        &[
            Field::new("kind", Word, "Kinds of entry, with commas between."),
            WORKSPACE,
            Field::new("agent", Word, "Only of this agent."),
            Field::new("run", Word, "Only of this run."),
            Field::new("user", Word, "Only for this user."),
            Field::new("conversation", Word, "Only in this conversation."),
            Field::new("server", Word, "Only on this tool server."),
            Field::new("tool", Word, "Only on this tool, or server/tool."),
            Field::new("model", Word, "Only of this model."),
            Field::new("decision", Word, "Only with this decision."),
            Field::new("rule", Word, "Only where this rule decided or matched; not in shadow."),
            Field::new("approver", Word, "Only answered by this person."),
            Field::new("since", Word, "Not before this moment, RFC 3339."),
            Field::new("until", Word, "Before this moment, RFC 3339."),
            $($more),+
        ]
    };
}

macro_rules! route {
    ($method:ident $path:literal, $power:ident, $handler:ident, $summary:literal, $query:expr, $body:expr, $answer:expr) => {
        Route {
            method: Method::$method,
            path: $path,
            power: Power::$power,
            operation: stringify!($handler),
            summary: $summary,
            query: $query,
            body: $body,
            answer: $answer,
            handler: |call| Box::pin(handlers::$handler(call)),
        }
    };
}

/// The table.
pub(super) const ALL: &[Route] = &[
    route!(GET "/healthz", None, health, "Whether the process answers.", NOTHING, None, Document),
    route!(GET "/readyz", None, ready, "Whether actions can be admitted.", NOTHING, None, Document),
    route!(GET "/metrics", View, metrics, "Metrics for Prometheus.", NOTHING, None, Text),
    route!(GET "/openapi.json", View, openapi, "This description.", NOTHING, None, Document),
    route!(GET "/api/v1/whoami", View, whoami, "Who asks, and what they may do.", NOTHING, None, Document),
    route!(GET "/api/v1/status", View, status, "The node at a glance.", NOTHING, None, Document),
    route!(GET "/api/v1/spend", View, spend, "What model calls came to and what routes saved, by whom and when; and the budgets in force.", &[
        Field::new("by", Word, "By what to add up, with commas between: workspace, agent, user, conversation, run, model, \
            month, day, hour. Names stand with the workspace they belong to."),
        WORKSPACE,
        Field::new("agent", Word, "Only of this agent."),
        Field::new("user", Word, "Only for this user."),
        Field::new("conversation", Word, "Only in this conversation."),
        Field::new("run", Word, "Only of this run."),
        Field::new("model", Word, "Only of this model."),
        Field::new("since", Word, "Only calls cleared not before this moment, RFC 3339."),
        Field::new("until", Word, "Only calls cleared before this moment, RFC 3339."),
        LIMIT,
    ], None, Document),
    route!(POST "/api/v1/reload", Operate, reload, "Reads the configuration again.", NOTHING, Some(NOTHING), Document),
    route!(POST "/api/v1/tokens", Operate, mint, "Mints a run token.", NOTHING, Some(&[
        Field::required("workspace", Word, "Where the agent belongs."),
        Field::required("agent", Word, "Whose run it will be."),
        Field::new("user", Word, "For whom it works."),
        Field::new("conversation", Word, "What it is part of."),
        Field::new("ttl", Word, "How long the token lasts, such as 1h."),
    ]), Document),
    route!(GET "/api/v1/runs", View, runs, "The runs, newest first.", &[
        WORKSPACE, Field::new("agent", Word, "Only of this agent."), LIMIT,
    ], None, Document),
    route!(POST "/api/v1/runs", Operate, start, "Starts an agent in a sandbox; it is on record and waits for a place.", NOTHING, Some(&[
        Field::required("workspace", Word, "Where the agent belongs."),
        Field::required("agent", Word, "Which."),
        Field::new("user", Word, "For whom it works."),
        Field::new("conversation", Word, "What it is part of."),
        Field::new("arguments", Texts, "More arguments for its program."),
        Field::new("input", Word, "What its program reads on standard input."),
    ]), Document),
    route!(GET "/api/v1/runs/{run}", View, one_run, "One run.", NOTHING, None, Document),
    route!(POST "/api/v1/runs/{run}/kill", Operate, kill, "Ends a run and cuts off what it has under way.", NOTHING,
        Some(&[REASON]), Document),
    route!(GET "/api/v1/runs/{run}/output", View, output, "What a run wrote to standard output and standard error, line by line.", &[
        Field::new("follow", Flag, "Go on until it has ended."),
        Field::new("contains", Word, "Only lines with this text in them."),
        Field::new("stream", Word, "Only stdout or stderr."),
    ], None, Lines),
    route!(GET "/api/v1/runs/{run}/events", View, events, "Where a run stands (`state`) and what it writes (`output`), as server-sent events, until it has ended.",
        NOTHING, None, Events),
    route!(GET "/api/v1/runs/{run}/artifacts", View, artifacts, "What a run left in /agent/out, as the log names it.", NOTHING, None, Document),
    route!(GET "/api/v1/runs/{run}/artifacts/{name}", View, artifact,
        "A file that a run left, by its name as it is listed; a slash in it is %2F. It is what the log says it was.", NOTHING, None, Bytes),
    route!(GET "/api/v1/state", View, states, "What agents keep between runs, version by version.", &[
        WORKSPACE, Field::new("agent", Word, "Only of this agent."),
    ], None, Document),
    route!(POST "/api/v1/state/restore", Operate, restore_state, "Makes an earlier version of what an agent keeps the newest.", NOTHING, Some(&[
        Field::required("workspace", Word, "Where the agent belongs."),
        Field::required("agent", Word, "Whose."),
        Field::required("version", Whole, "Which."),
    ]), Document),
    route!(POST "/api/v1/state/clear", Operate, clear_state, "Removes what an agent keeps, all versions of it.", NOTHING, Some(&[
        Field::required("workspace", Word, "Where the agent belongs."),
        Field::required("agent", Word, "Whose."),
    ]), Document),
    route!(GET "/api/v1/state/export", View, export_state, "A version of what an agent keeps, as a tar.", &[
        Field::required("workspace", Word, "Where the agent belongs."),
        Field::required("agent", Word, "Whose."),
        Field::new("version", Whole, "Which; the newest unless given."),
    ], None, Bytes),
    route!(POST "/api/v1/runs/{run}/stop", Operate, stop, "Asks a run to end: SIGTERM, and after a grace everything in its sandbox is killed.",
        NOTHING, Some(&[REASON]), Document),
    route!(POST "/api/v1/runs/{run}/signal", Operate, signal, "Sends a signal to a run's program, as it is.", NOTHING, Some(&[
        Field::required("signal", Word, "HUP, INT, QUIT, TERM, USR1 or USR2."),
    ]), Document),
    route!(POST "/api/v1/runs/{run}/pause", Operate, pause, "Holds every process of a run.", NOTHING, Some(&[REASON]), Document),
    route!(POST "/api/v1/runs/{run}/resume", Operate, resume_run, "Lets a paused run go on.", NOTHING, Some(NOTHING), Document),
    route!(GET "/api/v1/approvals", View, approvals, "Requests for approval, oldest first.", &[
        WORKSPACE, Field::new("state", Word, "waiting (unless given), approved, denied, spent, expired or all."), LIMIT,
    ], None, Document),
    route!(GET "/api/v1/approvals/{approval}", View, one_approval, "One request for approval.", NOTHING, None, Document),
    route!(POST "/api/v1/approvals/{approval}/approve", Approve, approve, "Says yes, optionally to less.", NOTHING, Some(&[
        Field::new("arguments", Members, "The arguments as narrowed by the approver."),
        Field::new("note", Word, "For the log and the agent."),
    ]), Document),
    route!(POST "/api/v1/approvals/{approval}/deny", Approve, deny, "Says no.", NOTHING, Some(&[
        Field::new("note", Word, "For the log and the agent."),
    ]), Document),
    route!(GET "/api/v1/suspensions", View, suspensions, "What is cut off.", NOTHING, None, Document),
    route!(POST "/api/v1/suspensions", Operate, suspend, "Cuts off everything a scope covers, at once.", NOTHING, Some(&[
        WORKSPACE,
        Field::new("agent", Word, "Only this agent."),
        Field::new("run", Word, "Only this run."),
        Field::new("server", Word, "Only this tool server."),
        Field::new("tool", Word, "Only this tool."),
        Field::new("model", Word, "Only this model."),
        Field::new("all", Flag, "The whole node, when no other member is given."),
        Field::new("even_if_unknown", Flag, "Also names that the configuration does not have."),
        Field::required("reason", Word, "Why; agents are told."),
        Field::new("for", Word, "For how long, such as 1h; until lifted if absent."),
    ]), Document),
    route!(POST "/api/v1/kill", Operate, kill_all, "Suspends an agent or a workspace, and ends all its runs.", NOTHING, Some(&[
        Field::required("workspace", Word, "Which, or where the agent belongs."),
        Field::new("agent", Word, "Only this agent."),
        REASON,
    ]), Document),
    route!(POST "/api/v1/suspensions/{suspension}/resume", Operate, resume, "Lifts a suspension.", NOTHING,
        Some(NOTHING), Document),
    route!(GET "/api/v1/tools", View, tools, "Tool definitions seen and pinned.", &[
        WORKSPACE,
        Field::new("server", Word, "Only of this server."),
        Field::new("tool", Word, "Only this tool."),
        Field::new("state", Word, "pinned, new, changed or gone."),
        LIMIT,
    ], None, Document),
    route!(GET "/api/v1/tools/diff", View, tools_diff, "Definitions that are not the pinned ones, and what changed.", &[
        WORKSPACE,
        Field::new("server", Word, "Only of this server."),
        Field::new("tool", Word, "Only this tool."),
        Field::new("state", Word, "new, changed or gone."),
        LIMIT,
    ], None, Document),
    route!(POST "/api/v1/tools/approve", Operate, approve_tools, "Takes definitions as the right ones.", NOTHING, Some(&[
        Field::required("workspace", Word, "Where the server belongs."),
        Field::required("server", Word, "Whose."),
        Field::new("tool", Word, "Which."),
        Field::new("digest", Word, "The definition that was looked at."),
        Field::new("all", Flag, "All that the server gives now."),
    ]), Document),
    route!(POST "/api/v1/policy/explain", View, explain, "What the policy says of a call, and why.", NOTHING, Some(&[
        Field::required("workspace", Word, "Where the agent belongs."),
        Field::new("agent", Word, "Who acts; of a host a `server` can stand instead."),
        Field::new("user", Word, "For whom."),
        Field::new("server", Word, "The tool server."),
        Field::new("tool", Word, "The tool."),
        Field::new("model", Word, "The model, instead of server and tool."),
        Field::new("operation", Word, "What the model is asked to do: chat unless given."),
        Field::new("spawns", Word, "The agent of which a run is started, instead of server and tool."),
        Field::new("host", Word, "The host that is reached, instead of server and tool."),
        Field::new("port", Whole, "Of the host: 443 unless given."),
        Field::new("protocol", Word, "Of the host: tls, http, https, tcp or udp; as it would be seen unless given."),
        Field::new("method", Word, "Of a request to the host; without it, a connection."),
        Field::new("path", Word, "Of a request to the host."),
        Field::new("arguments", Members, "What is asked for."),
        Field::new("action_type", Word, "Of a tool of which nothing else says it."),
    ]), Document),
    route!(GET "/api/v1/policy/schema", View, schema, "The schema that Cedar policies are checked against.", NOTHING, None,
        Text),
    route!(GET "/api/v1/audit/entries", View, entries, "Entries of the log, by what they are about.", filter_and![
        Field::new("from", Whole, "From this entry on."),
        Field::new("newest", Flag, "The newest, in the order of the log; `previous` says where to go on."),
        Field::new("before", Whole, "Of the newest, those before this entry."),
        Field::new("payloads", Flag, "With what is still kept of arguments and results; then at most 50."),
        LIMIT,
    ], None, Document),
    route!(GET "/api/v1/audit/tail", View, tail, "Entries as they become durable.", filter_and![
        Field::new("from", Whole, "From this entry on."),
        Field::new("last", Whole, "Starting so many entries back."),
    ], None, Lines),
    route!(GET "/api/v1/audit/entries/{entry}", View, entry, "One entry with its payloads.", NOTHING, None, Document),
    route!(GET "/api/v1/audit/actions/{action}", View, action, "Everything that belongs to an action.", NOTHING, None,
        Document),
    route!(GET "/api/v1/audit/checkpoint", View, checkpoint, "The log's newest signed checkpoint.", NOTHING, None, Text),
];

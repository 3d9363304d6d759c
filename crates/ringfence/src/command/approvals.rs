//! `ringfence approvals`

use clap::{Args, Subcommand};
use ringfence_json::{Object, Value};
use ringfence_types::ApprovalId;

use crate::cli::Global;
use crate::client::with_query;
use crate::failure::Failure;
use crate::input::read_object;
use crate::output::Table;
use crate::show::{self, add, field, json_line, moment, objects, texts, tool};

/// List, show, approve and deny requests for approval
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Approvals {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List requests that wait, oldest first
    #[command(after_help = "Example:\n  ringfence approvals list -w research")]
    List {
        /// Only this workspace
        #[arg(short, long)]
        workspace: Option<String>,
        /// Also those that were answered, used or have expired
        #[arg(long)]
        all: bool,
    },
    /// Show one request: what was asked, what would be sent, who has to agree
    #[command(after_help = "Example:\n  ringfence approvals show apr_01kaj3v5zk8q6x2m4n7p9r1s3t")]
    Show {
        /// Which
        approval: ApprovalId,
    },
    /// Say yes; with --arguments, to less than was asked for
    #[command(
        after_help = "Example:\n  ringfence approvals approve apr_01kaj3v5zk8q6x2m4n7p9r1s3t --reason 'looked at it'"
    )]
    Approve {
        /// Which
        approval: ApprovalId,
        /// The arguments as narrowed: JSON, a file, or - for standard input
        #[arg(long, value_name = "JSON|FILE|-")]
        arguments: Option<String>,
        /// Why; for the log
        #[arg(long, visible_alias = "note")]
        reason: Option<String>,
    },
    /// Say no
    #[command(
        after_help = "Example:\n  ringfence approvals deny apr_01kaj3v5zk8q6x2m4n7p9r1s3t --reason 'not on a Friday'"
    )]
    Deny {
        /// Which
        approval: ApprovalId,
        /// Why; the agent is told
        #[arg(long, visible_alias = "note")]
        reason: Option<String>,
    },
}

impl Approvals {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        match self.command {
            Command::List { workspace, all } => list(global, workspace.as_deref(), all).await,
            Command::Show { approval } => {
                let answer = global.client()?.get(&format!("/api/v1/approvals/{approval}")).await?;
                print(global, answer)
            }
            Command::Approve { approval, arguments, reason } => {
                let arguments = arguments.map(|text| read_object(&text, "the arguments")).transpose()?;
                let body = Object::new().with_some("arguments", arguments).with_some("note", reason);
                answer(global, approval, "approve", body).await
            }
            Command::Deny { approval, reason } => {
                answer(global, approval, "deny", Object::new().with_some("note", reason)).await
            }
        }
    }
}

async fn list(global: &Global, workspace: Option<&str>, all: bool) -> Result<(), Failure> {
    let query = [("workspace", workspace), ("state", all.then_some("all"))];
    let answer = global.client()?.get(&with_query("/api/v1/approvals", &query)).await?;
    let output = global.output();
    let requests = objects(&answer, "approvals");
    if output.is_json() {
        return requests.into_iter().try_for_each(|request| output.document(&Value::Object(request.clone())));
    }
    let mut table = Table::new(["approval", "state", "agent", "on", "arguments", "expires"]);
    for request in requests {
        let arguments = request.get("will_send").or_else(|| request.get("requested"));
        table.row([
            field(request, "id"),
            field(request, "state"),
            format!("{}/{}", field(request, "workspace"), field(request, "agent")),
            tool(request),
            arguments.map(|value| json_line(value, 60)).unwrap_or_default(),
            moment(request, "expires_at"),
        ]);
    }
    output.table(&table, "nothing waits for approval")
}

async fn answer(global: &Global, approval: ApprovalId, verb: &str, body: Object) -> Result<(), Failure> {
    let answer = global.client()?.post(&format!("/api/v1/approvals/{approval}/{verb}"), body).await?;
    let output = global.output();
    if output.is_json() {
        return output.document(&Value::Object(answer));
    }
    let state = answer.text("state").unwrap_or_default();
    output.line(&match (verb, state) {
        ("approve", "waiting") => format!("your yes to {approval} counts; it waits for more people"),
        ("approve", _) => format!("approved {approval}: the call goes through once"),
        _ => format!("denied {approval}"),
    })
}

fn print(global: &Global, answer: Object) -> Result<(), Failure> {
    let output = global.output();
    if output.is_json() {
        return output.document(&Value::Object(answer));
    }
    output.text(&render(&answer))
}

fn render(request: &Object) -> String {
    let mut text = format!(
        "{} is {}\n  agent      {}/{}, run {}\n  for user   {}\n  on         {}\n  asked      {}\n  expires    {}\n",
        field(request, "id"),
        field(request, "state"),
        field(request, "workspace"),
        field(request, "agent"),
        field(request, "run"),
        field(request, "user"),
        tool(request),
        moment(request, "asked_at"),
        moment(request, "expires_at"),
    );
    for requirement in objects(request, "requirements") {
        let approvers = match texts(requirement, "approvers") {
            dash if dash == "-" => "anyone who may approve".to_owned(),
            roles => roles,
        };
        let (rule, quorum) = (field(requirement, "rule"), show::number(requirement, "quorum"));
        add(&mut text, format_args!("  rule       {rule}: {quorum} of {approvers}\n"));
    }
    add(&mut text, format_args!("  yes from   {}\n", texts(request, "given")));
    let (requested, will_send) = (request.get("requested"), request.get("will_send"));
    text.push_str("what the agent asks for (its words, escaped):\n");
    text.push_str(
        &requested.map_or_else(|| "  (no longer kept)".to_owned(), |value| show::json(value, "  ")),
    );
    if will_send.is_some() && will_send != requested {
        text.push_str("\nwhat would be sent, after the rules narrowed it:\n");
        text.push_str(&will_send.map(|value| show::json(value, "  ")).unwrap_or_default());
    }
    text.push('\n');
    text
}

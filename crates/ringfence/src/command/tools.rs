//! `ringfence tools`

use clap::{Args, Subcommand};
use ringfence_json::{Object, Value};

use crate::cli::Global;
use crate::client::with_query;
use crate::failure::Failure;
use crate::output::{Style, Table, paint};
use crate::show::{self, add, field, objects, texts, tool};

/// List, compare and approve the definitions that tool servers give of their tools
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Tools {
    #[command(subcommand)]
    command: Command,
}

/// Which tools.
#[derive(Debug, Args)]
struct Which {
    /// Only this workspace
    #[arg(short, long)]
    workspace: Option<String>,
    /// Only this server
    #[arg(long)]
    server: Option<String>,
    /// Only this tool
    #[arg(long)]
    tool: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the tools that were seen, and where their definitions stand
    #[command(after_help = "Example:\n  ringfence tools list -w research --server search")]
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Show what is new or changed against the definitions that were approved
    #[command(after_help = "Example:\n  ringfence tools diff -w research")]
    Diff {
        #[command(flatten)]
        which: Which,
    },
    /// Take definitions as the right ones; look at `tools diff` first
    #[command(after_help = "Example:\n  ringfence tools approve -w research --server search --all")]
    Approve {
        /// Where the server belongs
        #[arg(short, long)]
        workspace: String,
        /// Whose
        #[arg(long)]
        server: String,
        /// Which
        #[arg(long, required_unless_present = "all")]
        tool: Option<String>,
        /// The digest of the definition you looked at
        #[arg(long, requires = "tool")]
        digest: Option<String>,
        /// All that the server gives now
        #[arg(long, conflicts_with = "tool")]
        all: bool,
    },
}

impl Tools {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        match self.command {
            Command::List { which } => list(global, &which).await,
            Command::Diff { which } => diff(global, &which).await,
            Command::Approve { workspace, server, tool, digest, all } => {
                let body = Object::new()
                    .with("workspace", workspace)
                    .with("server", server)
                    .with_some("tool", tool)
                    .with_some("digest", digest)
                    .with("all", all);
                approve(global, body).await
            }
        }
    }
}

async fn ask(global: &Global, path: &str, which: &Which) -> Result<Object, Failure> {
    let query = [
        ("workspace", which.workspace.as_deref()),
        ("server", which.server.as_deref()),
        ("tool", which.tool.as_deref()),
    ];
    global.client()?.get(&with_query(path, &query)).await
}

async fn list(global: &Global, which: &Which) -> Result<(), Failure> {
    let answer = ask(global, "/api/v1/tools", which).await?;
    let output = global.output();
    let tools = objects(&answer, "tools");
    if output.is_json() {
        return tools.into_iter().try_for_each(|one| output.document(&Value::Object(one.clone())));
    }
    let mut table = Table::new(["workspace", "tool", "state", "digest", "approved by"]);
    for one in tools {
        let digest = one.text("seen").or_else(|| one.text("pinned")).unwrap_or_default();
        let short: String = digest.chars().take(12).collect();
        table.row([field(one, "workspace"), tool(one), field(one, "state"), short, field(one, "pinned_by")]);
    }
    output.table(
        &table,
        "no tools were seen yet; a server's tools are seen when the node or an agent first asks it",
    )
}

async fn diff(global: &Global, which: &Which) -> Result<(), Failure> {
    let answer = ask(global, "/api/v1/tools/diff", which).await?;
    let output = global.output();
    let tools = objects(&answer, "tools");
    if output.is_json() {
        return tools.into_iter().try_for_each(|one| output.document(&Value::Object(one.clone())));
    }
    if tools.is_empty() {
        return output.line("every definition is the one that was approved");
    }
    let mut workspaces = Vec::new();
    for one in &tools {
        output.text(&render(one, output.colour()))?;
        let server = (field(one, "workspace"), field(one, "server"));
        if !workspaces.contains(&server) {
            workspaces.push(server);
        }
    }
    for (workspace, server) in workspaces {
        output.line(&format!(
            "`ringfence tools approve -w {workspace} --server {server} --all` takes them as right"
        ))?;
    }
    Ok(())
}

fn render(one: &Object, colour: bool) -> String {
    let state = field(one, "state");
    let heading = format!("{}  {}  {state}", field(one, "workspace"), tool(one));
    let mut text = paint(&heading, Style::Heading, colour);
    text.push('\n');
    match state.as_str() {
        "new" => {
            let definition = one.get("definition").map(|value| show::json(value, "  + ")).unwrap_or_default();
            text.push_str(&definition);
            text.push('\n');
        }
        "gone" => text.push_str("  the server gives it no longer\n"),
        _ => {
            for change in objects(one, "changes") {
                add(&mut text, format_args!("  {}\n", field(change, "pointer")));
                if let Some(before) = change.text("before") {
                    text.push_str(&paint(
                        &format!("  - {}\n", ringfence_control::shown::line(before)),
                        Style::Bad,
                        colour,
                    ));
                }
                if let Some(after) = change.text("after") {
                    text.push_str(&paint(
                        &format!("  + {}\n", ringfence_control::shown::line(after)),
                        Style::Good,
                        colour,
                    ));
                }
            }
        }
    }
    text
}

async fn approve(global: &Global, body: Object) -> Result<(), Failure> {
    let answer = global.client()?.post("/api/v1/tools/approve", body).await?;
    let output = global.output();
    if output.is_json() {
        return output.document(&Value::Object(answer));
    }
    let server = format!("{}/{}", field(&answer, "workspace"), field(&answer, "server"));
    output.line(&format!("the definitions of {server} are taken as right: {}", texts(&answer, "pinned")))
}

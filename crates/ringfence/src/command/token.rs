//! `ringfence token`

use clap::{Args, Subcommand};
use ringfence_control::PersonToken;
use ringfence_json::{Object, Value};
use ringfence_types::PersonName;

use crate::cli::Global;
use crate::failure::Failure;

/// Make tokens: for runs of agents, for people
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mint a run token, to attach an agent that runs elsewhere; prints the token alone
    #[command(
        after_help = "Example:\n  ringfence token mint -w research --agent assistant --user kim --ttl 1h"
    )]
    Mint {
        /// Where the agent belongs
        #[arg(short, long)]
        workspace: String,
        /// Whose run it will be
        #[arg(long)]
        agent: String,
        /// For whom it works
        #[arg(long)]
        user: Option<String>,
        /// What it is part of
        #[arg(long)]
        conversation: Option<String>,
        /// How long the token lasts
        #[arg(long, value_name = "DURATION", default_value = "1h")]
        ttl: String,
    },
    /// Make a token for a person, and the line for `people:` in ringfence.yaml
    #[command(after_help = "Example:\n  ringfence token person dana")]
    Person {
        /// Who
        name: PersonName,
    },
}

impl Token {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        match self.command {
            Command::Mint { workspace, agent, user, conversation, ttl } => {
                let body = Object::new()
                    .with("workspace", workspace)
                    .with("agent", agent)
                    .with_some("user", user)
                    .with_some("conversation", conversation)
                    .with("ttl", ttl);
                mint(global, body).await
            }
            Command::Person { name } => person(global, &name),
        }
    }
}

async fn mint(global: &Global, body: Object) -> Result<(), Failure> {
    let answer = global.client()?.post("/api/v1/tokens", body).await?;
    let output = global.output();
    if output.is_json() {
        return output.document(&Value::Object(answer));
    }
    output.line(answer.text("token").unwrap_or_default())
}

fn person(global: &Global, name: &PersonName) -> Result<(), Failure> {
    let token = PersonToken::generate().map_err(|error| Failure::no(error.to_string()))?;
    let output = global.output();
    if output.is_json() {
        let made =
            Object::new().with("person", name).with("token", token.reveal()).with("token_hash", token.hash());
        return output.document(&Value::Object(made));
    }
    output.text(&format!(
        "token for {name}, shown only here:\n\n  {}\n\nunder `people:` in ringfence.yaml:\n\n  {name}: {{ roles: [viewer], token_hash: \"{}\" }}\n\nroles: viewer, operator, approver, admin\n",
        token.reveal(),
        token.hash(),
    ))
}

//! What a run asks for that starts another, before anything was decided.

use std::sync::Arc;
use std::time::Duration;

use ringfence_json::{Object, Value};
use ringfence_types::{AgentName, Budget, Money, parse_duration};

use crate::limits::{SPAWN_ARGUMENTS_BYTES_MAX, SPAWN_ARGUMENTS_MAX, SPAWN_INPUT_BYTES_MAX};
use crate::text::bounded;
use crate::{Run, RunBounds};

/// The start of another run as a run asks for it.
#[derive(Debug, Clone)]
pub struct SpawnProposal {
    /// Who.
    pub run: Arc<Run>,
    /// What.
    pub call: SpawnCall,
}

/// What is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnCall {
    agent: AgentName,
    arguments: Vec<String>,
    input: Option<String>,
    bounds: RunBounds,
    /// As the agent wrote it, which is what rules see.
    written: Object,
}

/// The members that there are.
const MEMBERS: [&str; 5] = ["agent", "arguments", "input", "budget", "wall"];

/// The members of `budget`.
const BUDGET_MEMBERS: [&str; 3] = ["usd", "tokens", "actions"];

// === impl SpawnCall ===

impl SpawnCall {
    /// The action in the words of rules.
    pub(crate) const ACTION: &str = "spawn";

    /// Reads what an agent wrote: `agent`, and optionally `arguments`, `input`, `budget` (`usd`, `tokens`, `actions`) and
    /// `wall`.
    ///
    /// # Errors
    /// With a sentence for the agent that says what is wrong.
    pub fn read(written: Object) -> Result<Self, String> {
        only(&written, &MEMBERS, "")?;
        let agent = text(&written, "agent")?.ok_or("`agent` is missing: name the agent to start.")?;
        let agent = AgentName::new(agent).map_err(|error| format!("`agent`: {error}."))?;
        let wall = text(&written, "wall")?.map(wall).transpose()?;
        let (budget, actions) = match written.get("budget") {
            None => (Budget::default(), None),
            Some(Value::Object(budget)) => budget_of(budget)?,
            Some(_) => return Err("`budget` has to be an object, such as {\"usd\": 0.50}.".to_owned()),
        };
        let input = text(&written, "input")?.map(str::to_owned);
        if input.as_ref().is_some_and(|input| input.len() > SPAWN_INPUT_BYTES_MAX) {
            return Err(format!("`input` can have at most {SPAWN_INPUT_BYTES_MAX} bytes."));
        }
        Ok(Self {
            agent,
            arguments: arguments(&written)?,
            input,
            bounds: RunBounds { budget, actions, wall, result_bytes: None },
            written,
        })
    }

    /// Of which agent.
    pub fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// What its program is given after its own arguments.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// What its program reads on standard input.
    pub fn input(&self) -> Option<&str> {
        self.input.as_deref()
    }

    /// What it is given of what whoever starts it may use up.
    pub fn bounds(&self) -> RunBounds {
        self.bounds
    }

    /// What rules see as the arguments: what the agent wrote, to the letter.
    pub(crate) fn written(&self) -> &Object {
        &self.written
    }
}

/// Refuses members that mean nothing: they could mean something to whoever wrote them.
fn only(object: &Object, known: &[&str], within: &str) -> Result<(), String> {
    let unknown = object.iter().map(|(name, _)| name).find(|name| !known.contains(&name.as_str()));
    unknown.map_or(Ok(()), |name| {
        let shown = bounded(&name.escape_debug().to_string());
        Err(format!("`{within}{shown}` means nothing here; there are {}.", known.join(", ")))
    })
}

fn text<'o>(object: &'o Object, name: &str) -> Result<Option<&'o str>, String> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` has to be a text.")),
    }
}

fn arguments(object: &Object) -> Result<Vec<String>, String> {
    let wrong = || "`arguments` has to be a list of texts without NUL characters.".to_owned();
    let list = match object.get("arguments") {
        None => return Ok(Vec::new()),
        Some(value) => value.as_array().ok_or_else(wrong)?,
    };
    let texts =
        list.iter().map(|value| value.as_str().filter(|text| !text.contains('\0')).map(str::to_owned));
    let texts: Vec<String> = texts.collect::<Option<_>>().ok_or_else(wrong)?;
    let bytes: usize = texts.iter().map(String::len).sum();
    if texts.len() > SPAWN_ARGUMENTS_MAX || bytes > SPAWN_ARGUMENTS_BYTES_MAX {
        return Err(format!(
            "`arguments` can be at most {SPAWN_ARGUMENTS_MAX}, with {SPAWN_ARGUMENTS_BYTES_MAX} bytes in all; what is long goes into `input`."
        ));
    }
    Ok(texts)
}

fn wall(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(wall) if !wall.is_zero() => Ok(wall),
        _ => Err("`wall` has to be a duration, such as 90s or 5m.".to_owned()),
    }
}

fn budget_of(budget: &Object) -> Result<(Budget, Option<u64>), String> {
    only(budget, &BUDGET_MEMBERS, "budget.")?;
    let whole = |name: &str| match budget.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => Err(format!("`budget.{name}` has to be a whole number above 0.")),
        },
    };
    let usd = match budget.get("usd") {
        None => None,
        Some(Value::Number(number)) => {
            Some(number.as_str().parse::<Money>().map_err(|error| format!("`budget.usd` is {error}."))?)
        }
        Some(_) => return Err("`budget.usd` has to be a number, such as 0.50.".to_owned()),
    };
    Ok((Budget { usd, tokens: whole("tokens")?, per: None }, whole("actions")?))
}

#[cfg(test)]
mod tests {
    use ringfence_json::Limits;

    use super::*;

    fn read(text: &str) -> Result<SpawnCall, String> {
        let value = ringfence_json::parse(text.as_bytes(), &Limits::default()).unwrap();
        SpawnCall::read(value.into_object().unwrap())
    }

    #[test]
    fn what_is_to_be_started_is_read_to_the_letter() {
        let text = r#"{"agent":"researcher","arguments":["--deep","x"],"input":"tides","budget":{"usd":0.50,"tokens":1000,"actions":7},"wall":"90s"}"#;
        let call = read(text).unwrap();
        assert_eq!(
            (call.agent().as_str(), call.arguments(), call.input()),
            ("researcher", &["--deep".to_owned(), "x".to_owned()][..], Some("tides"))
        );
        let usd = Some("0.5".parse().unwrap());
        let budget = Budget { usd, tokens: Some(1_000), per: None };
        let wall = Some(Duration::from_secs(90));
        assert_eq!(call.bounds(), RunBounds { budget, actions: Some(7), wall, result_bytes: None });
        assert!(Value::Object(call.written().clone()).to_string().contains("0.50"), "as it was written");
        assert_eq!(read(r#"{"agent":"a"}"#).unwrap().bounds(), RunBounds::default());
    }

    #[test]
    fn what_means_nothing_or_is_no_such_thing_is_refused_with_what_there_is() {
        for (text, said) in [
            ("{}", "`agent` is missing"),
            (r#"{"agent":7}"#, "has to be a text"),
            (r#"{"agent":"a b"}"#, "`agent`:"),
            (r#"{"agent":"tool:x y"}"#, "`agent`:"),
            (r#"{"agent":"a","Budget":{}}"#, "there are agent, arguments, input, budget, wall"),
            (r#"{"agent":"a","budget":{"eur":1}}"#, "`budget.eur` means nothing"),
            (r#"{"agent":"a","budget":1}"#, "has to be an object"),
            (r#"{"agent":"a","budget":{"usd":"1"}}"#, "has to be a number"),
            (r#"{"agent":"a","budget":{"usd":-1}}"#, "not an amount"),
            (r#"{"agent":"a","budget":{"usd":1e99}}"#, "not an amount"),
            (r#"{"agent":"a","budget":{"tokens":1.5}}"#, "whole number above 0"),
            (r#"{"agent":"a","budget":{"actions":0}}"#, "whole number above 0"),
            (r#"{"agent":"a","wall":"long"}"#, "a duration"),
            (r#"{"agent":"a","wall":"0s"}"#, "a duration"),
            (r#"{"agent":"a","arguments":"x"}"#, "a list of texts"),
            (r#"{"agent":"a","arguments":[1]}"#, "a list of texts"),
            (r#"{"agent":"a","arguments":["\u0000"]}"#, "without NUL"),
            (r#"{"agent":"a","input":["x"]}"#, "has to be a text"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        let many = format!(r#"{{"agent":"a","arguments":[{}"x"]}}"#, r#""x","#.repeat(SPAWN_ARGUMENTS_MAX));
        assert!(read(&many).unwrap_err().contains("at most"));
        let long = format!(r#"{{"agent":"a","input":"{}"}}"#, "x".repeat(SPAWN_INPUT_BYTES_MAX + 1));
        assert!(read(&long).unwrap_err().contains("at most"));
    }
}

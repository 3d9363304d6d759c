//! Who answers: somebody over HTTP, a script, or a recording of somebody. All behind one door, so that retries, time
//! limits, meters and failures are the same for each.

mod body;
mod recorder;
mod recording;
mod script;
mod scripted;

use http::Response;
pub use ringfence_llm::render::{Part, Stop};

pub(crate) use body::Body;
pub use recorder::Recorder;
pub use recording::{Recording, RecordingError};
pub use script::{FailureSaid, ResultWhen, Script, ScriptAnswer, ScriptRule, ScriptWhen, Speech, UsageSaid};

use super::flight::Flight;
use super::outgoing::Outgoing;
use crate::http::wires::WireError;
use crate::targets::{Provider, Served};

/// Asks whoever serves the model. `estimate`: about how many tokens the request reads.
pub(crate) async fn ask(
    flight: &Flight,
    served: &Served,
    outgoing: &Outgoing,
    estimate: u64,
) -> Result<Response<Body>, WireError> {
    match &served.provider {
        Provider::Http(_) => {
            let response = flight.call.gate.wires.send(outgoing.request()).await?;
            Ok(response.map(Body::Wire))
        }
        Provider::Scripted(script) => Ok(scripted::answer(script, flight, served, outgoing, estimate).await),
        Provider::Recorded(_, recorder) => {
            let response = flight.call.gate.wires.send(outgoing.request()).await?;
            Ok(recorder.watch(&flight.call, served, outgoing, response))
        }
        Provider::Replayed(_, recording) => Ok(recording.answer(&flight.call, served)),
    }
}

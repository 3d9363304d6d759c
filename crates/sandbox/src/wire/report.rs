//! From inside a sandbox to the spawner, and within the spawner's notices to the node.

use super::codec::{Reader, WireError, Writer};
use crate::layer::{Layer, LayerName, LayerState};
use crate::status::ExitStatus;

/// What the first process of a sandbox reports.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// Everything is in place behind these layers, and the program waits to be started.
    Held(Vec<Layer>),
    /// The program runs, behind these layers; they are not told again of one that was held.
    Started(Vec<Layer>),
    /// Nothing was executed.
    Failed(Failure),
    /// The program has ended.
    Exited(ExitStatus),
}

/// Which step failed, and what the kernel said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    /// The error number, 0 where there is none.
    pub(crate) errno: i32,
    /// What was being done, for people.
    pub(crate) text: String,
}

/// Where starting a child can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    /// Making the sandbox.
    Setup = 1,
    /// A required layer is missing.
    Required = 2,
    /// Entering the working directory.
    Directory = 3,
    /// Executing the program.
    Exec = 4,
    /// The program exists, its interpreter does not.
    Interpreter = 5,
    /// Nobody said in time that the program may start.
    Held = 6,
}

const STARTED: u8 = 1;
const FAILED: u8 = 2;
const EXITED: u8 = 3;
const HELD: u8 = 4;

// === impl Report ===

impl Report {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Held(layers) => {
                let mut w = Writer::new(HELD);
                write_layers(&mut w, layers);
                w.finish()
            }
            Self::Started(layers) => {
                let mut w = Writer::new(STARTED);
                write_layers(&mut w, layers);
                w.finish()
            }
            Self::Failed(failure) => {
                let mut w = Writer::new(FAILED);
                failure.write(&mut w);
                w.finish()
            }
            Self::Exited(status) => {
                let mut w = Writer::new(EXITED);
                write_status(&mut w, *status);
                w.finish()
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let report = match r.byte()? {
            HELD => Self::Held(read_layers(&mut r)?),
            STARTED => Self::Started(read_layers(&mut r)?),
            FAILED => Self::Failed(Failure::read(&mut r)?),
            EXITED => Self::Exited(read_status(&mut r)?),
            _ => return Err(WireError("an unknown report")),
        };
        r.finish(report)
    }
}

// === impl Failure ===

impl Failure {
    pub(crate) fn setup(text: impl Into<String>, error: &std::io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        let text = format!("{}: {error}", text.into());
        Self { step: Step::Setup, errno, text }
    }

    /// A layer without which there is no such child. Its code travels where an error number would, so that the node
    /// names it without parsing text.
    pub(crate) fn layer(name: LayerName, why: impl Into<String>) -> Self {
        Self { step: Step::Required, errno: i32::from(name as u8), text: why.into() }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.byte(self.step as u8);
        w.signed(self.errno);
        w.text(&self.text);
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { step: Step::from_code(r.byte()?)?, errno: r.signed()?, text: r.text()? })
    }
}

// === impl Step ===

impl Step {
    pub(crate) fn from_code(code: u8) -> Result<Self, WireError> {
        [Self::Setup, Self::Required, Self::Directory, Self::Exec, Self::Interpreter, Self::Held]
            .into_iter()
            .find(|step| *step as u8 == code)
            .ok_or(WireError("an unknown step"))
    }
}

pub(crate) fn write_layers(w: &mut Writer, layers: &[Layer]) {
    w.list(layers, |w, layer| {
        w.byte(layer.name as u8);
        let (code, text) = match &layer.state {
            LayerState::InForce(how) => (1, how),
            LayerState::Missing(why) => (0, why),
        };
        w.byte(code);
        w.text(text);
    });
}

pub(crate) fn read_layers(r: &mut Reader<'_>) -> Result<Vec<Layer>, WireError> {
    r.list(|r| {
        let name = LayerName::from_code(r.byte()?).ok_or(WireError("an unknown layer"))?;
        let state = match r.byte()? {
            1 => LayerState::InForce(r.text()?),
            0 => LayerState::Missing(r.text()?),
            _ => return Err(WireError("neither in force nor missing")),
        };
        Ok(Layer { name, state })
    })
}

pub(crate) fn write_status(w: &mut Writer, status: ExitStatus) {
    let (code, value) = match status {
        ExitStatus::Exited(code) => (1, code),
        ExitStatus::Signaled(signal) => (2, signal),
        ExitStatus::Killed => (3, 0),
    };
    w.byte(code);
    w.signed(value);
}

pub(crate) fn read_status(r: &mut Reader<'_>) -> Result<ExitStatus, WireError> {
    match (r.byte()?, r.signed()?) {
        (1, code) => Ok(ExitStatus::Exited(code)),
        (2, signal) => Ok(ExitStatus::Signaled(signal)),
        (3, 0) => Ok(ExitStatus::Killed),
        _ => Err(WireError("an unknown exit status")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_come_back_and_cut_ones_are_refused() {
        let layers = vec![
            Layer { name: LayerName::Landlock, state: LayerState::InForce("ABI 7".into()) },
            Layer { name: LayerName::Seccomp, state: LayerState::Missing("no".into()) },
        ];
        let failure = Failure { step: Step::Exec, errno: 2, text: "npx".into() };
        let reports = [
            Report::Held(layers.clone()),
            Report::Started(layers),
            Report::Failed(failure),
            Report::Exited(ExitStatus::Exited(3)),
            Report::Exited(ExitStatus::Signaled(9)),
            Report::Exited(ExitStatus::Killed),
        ];
        for report in reports {
            let bytes = report.encode();
            for length in 0..bytes.len() {
                assert!(Report::decode(&bytes[..length]).is_err());
            }
            assert_eq!(Report::decode(&bytes), Ok(report));
        }
        assert!(Report::decode(&[5]).is_err());
    }
}

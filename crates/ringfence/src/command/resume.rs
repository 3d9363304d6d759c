//! `ringfence resume`

use clap::Args;
use ringfence_json::{Object, Value};
use ringfence_types::SuspensionId;

use crate::cli::Global;
use crate::failure::Failure;

/// Lift a suspension
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringfence resume sus_01kaj3v5zk8q6x2m4n7p9r1s3t")]
pub struct Resume {
    /// Which; `ringfence suspend --list` shows them
    #[arg(value_name = "ID")]
    suspension: SuspensionId,
}

impl Resume {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let path = format!("/api/v1/suspensions/{}/resume", self.suspension);
        let answer = global.client()?.post(&path, Object::new()).await?;
        let output = global.output();
        if output.is_json() {
            return output.document(&Value::Object(answer));
        }
        output.line(&format!("lifted {}", self.suspension))
    }
}

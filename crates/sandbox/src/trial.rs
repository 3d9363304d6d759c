//! Whether a driver's sandbox is of use to a program.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::command::Command;
use crate::driver::Driver;
use crate::error::SpawnError;
use crate::network::Network;
use crate::root::Root;
use crate::status::ExitStatus;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long what it said before it ended is still read.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Starts a program in a sandbox of the driver's that does what nearly every program does: it looks at a folder. Runtimes
/// whose kernel is their own may start programs and not let them do that.
///
/// # Errors
/// [`SpawnError::Useless`] when it cannot, or why there is no sandbox.
pub async fn try_program(driver: &dyn Driver) -> Result<(), SpawnError> {
    let network = if driver.name().has_network() { Network::Gateway } else { Network::None };
    let command = Command::new("stat").argument("/usr").root(Root::system()).network(network);
    let mut child = match driver.spawn(&command).await {
        // A machine without it has nothing to say.
        Err(SpawnError::NotFound { .. }) => return Ok(()),
        other => other?,
    };
    let ended = async {
        let _ = child.stdout.read_to_end(&mut Vec::new()).await;
        child.process.exited().await
    };
    let status = tokio::time::timeout(PATIENCE, ended).await;
    let how = match status {
        Ok(ExitStatus::Exited(0)) => return Ok(()),
        Ok(_) => {
            let said = child.stderr.last_words(LAST_WORDS).await;
            said.lines().next().unwrap_or("it said nothing").to_owned()
        }
        Err(_) => format!("it did not end within {} s", PATIENCE.as_secs()),
    };
    Err(SpawnError::Useless { driver: driver.name(), how })
}

//! What a child without namespaces cannot be given.

use std::path::Path;

use crate::command::Command;
use crate::error::SpawnError;
use crate::network::Network;
use crate::root::Kind;

/// Says what of a command takes a namespace.
pub(crate) fn validate(command: &Command) -> Result<(), SpawnError> {
    let invalid = |what: String| Err(SpawnError::Invalid(format!("`driver: restricted` {what}")));
    if command.network != Network::None {
        return invalid("gives no network, and the command asks for one".to_owned());
    }
    if let Some(volume) = command.volumes.first() {
        return invalid(format!("mounts nothing, and {} would be a mount", volume.target.display()));
    }
    let Some(root) = &command.root else {
        return invalid("takes what is to be seen as the entries of a root".to_owned());
    };
    if !root.system || root.folder.is_some() {
        return invalid("shows the machine's own root and no other".to_owned());
    }
    for entry in &root.entries {
        let target = entry.target.display();
        match &entry.kind {
            Kind::ReadOnly(source) | Kind::Writable(source) if *source == entry.target => {}
            Kind::Scratch(_) if entry.target == Path::new("/tmp") => {}
            Kind::ReadOnly(source) | Kind::Writable(source) => {
                return invalid(format!(
                    "shows files where they are: {} cannot be shown at {target}",
                    source.display()
                ));
            }
            Kind::Scratch(_) | Kind::File(_) => return invalid(format!("mounts nothing at {target}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::driver::Confinement;
    use crate::{Command, Network, Root};

    #[test]
    fn what_takes_a_namespace_is_refused_before_anything_starts() {
        let command =
            |root, network| Command::new("a").root(root).network(network).confined(Confinement::Restricted);
        assert!(command(Root::system().read_only("/srv", "/srv"), Network::None).validate().is_ok());
        for refused in [
            command(Root::system(), Network::Gateway),
            command(Root::system(), Network::Host),
            command(Root::system().read_only("/srv", "/data"), Network::None),
            command(Root::system().scratch("/data", 1), Network::None),
            command(Root::system().file("/data", "x"), Network::None),
            command(Root::folder("/srv"), Network::None),
            command(Root::empty(), Network::None),
            command(Root::system(), Network::None).volume("/data", 1),
            Command::new("a").network(Network::None).confined(Confinement::Restricted),
        ] {
            assert!(refused.validate().is_err(), "{refused:?}");
        }
    }
}

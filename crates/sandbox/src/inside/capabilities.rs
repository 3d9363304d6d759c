//! Giving up every capability: capabilities(7).

use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
};

use super::found::Found;
use crate::layer::LayerName;

/// Empties every set and looks whether they are empty.
pub(super) fn drop_all(found: &mut Found) {
    // These three need CAP_SETPCAP, which a node without privileges does not have. They are a second lock: with
    // no_new_privs nothing is gained by exec, whatever the bounding set still names.
    let locked = lock_root().is_ok();
    let bounded = empty_bounding_set();
    let _ = clear_ambient_capability_set();

    let none = CapabilitySet::empty();
    let empty = CapabilitySets { effective: none, permitted: none, inheritable: none };
    let outcome = set_capabilities(None, empty)
        .and_then(|()| capabilities(None))
        .map_err(|error| format!("giving up capabilities: {error}"))
        .and_then(|now| if now == empty { Ok(()) } else { Err("some capabilities remain".to_owned()) })
        .map(|()| if locked && bounded { String::new() } else { "the bounding set remains".to_owned() });
    found.record(LayerName::NoCapabilities, outcome);
}

/// Being root gives no capability any more, and nothing can undo that.
fn lock_root() -> rustix::io::Result<()> {
    set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
    )
}

fn empty_bounding_set() -> bool {
    for bit in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)) {
            Ok(()) => {}
            // The first number that this kernel does not know: all known ones are gone.
            Err(rustix::io::Errno::INVAL) => return true,
            Err(_) => return false,
        }
    }
    true
}

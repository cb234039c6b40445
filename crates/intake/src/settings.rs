//! The settings of intake, from the operator's configuration. A reload replaces them as one value.

use crate::{Directory, Signer};
use dns::Domain;
use std::collections::HashMap;
use std::sync::Arc;

/// The settings of intake, from the operator's configuration.
#[derive(Debug, Clone)]
pub struct IntakeSettings {
    /// The name of this host, in the header fields that are added to messages.
    pub hostname: Domain,
    /// Domains, accounts and addresses.
    pub directory: Directory,
    /// The signers of each author's domain, in the order of the signatures.
    pub signers: HashMap<Domain, Arc<[Signer]>>,
    /// Refuse what is merely bad style in submissions.
    pub pedantic: bool,
}

impl IntakeSettings {
    /// The reason of accepted messages in metrics and log: `localserve` in developer mode, which takes mail for every
    /// address.
    pub(crate) fn acceptance_label(&self) -> &'static str {
        if self.directory.takes_everything() { "localserve" } else { "" }
    }
}

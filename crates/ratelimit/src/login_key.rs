//! [`LoginKey`]: the key that failed logins to one name are counted under.

use std::sync::Arc;

/// Stands for all spellings by which a client can name one account, or one name that belongs to none.
///
/// It has a fixed size, and contains nothing that a client wrote: that may be a password.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LoginKey {
    /// An account that exists, by its name.
    Account(Arc<str>),
    /// A keyed hash of a name without an account. Clients must not know the key, or they could make names collide.
    Nobody(u64),
}

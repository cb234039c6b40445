//! Decides what happens to a message that is offered to moxd: who may log in and send, who receives it, which evidence is
//! gathered while it arrives, and the one transaction that stores it. Made for moxd.
//!
//! [`Intake`] implements [`smtpserver::Backend`] with a handful of handles. The state of one message lives in the
//! [`Offer`] that the SMTP driver holds for it.
//!
//! It does not know the wire (texts come from `smtpserver::replies`), how the store keeps messages, or where its settings
//! come from.

mod asked;
mod backend;
mod body;
mod copies;
mod delivery;
mod developer;
mod directory;
mod environment;
mod events;
mod evidence;
mod fair;
mod junk_flags;
mod login;
mod metrics;
mod offered;
mod outgoing;
mod password;
mod prefix;
mod questions;
mod recipients;
mod record;
mod results;
mod rulesets;
mod settings;
mod signing;
mod simulate;
mod submission;
pub mod verdict;

pub use backend::{ConnectionState, Intake};
pub use developer::{DeveloperMode, Rehearsal};
pub use directory::{AccountRules, Destination, Directory, LocalDomain, NotHere};
pub use environment::Environment;
pub use evidence::{Evidence, Gathering, Judges, SessionOrigin};
pub use fair::{MAX_WAIT, MAX_WAITING_KNOWN, MAX_WAITING_OF_NETWORK};
pub use junk_flags::JunkFlags;
pub use login::credentials;
pub use metrics::IPREV as IPREV_METRIC;
pub use offered::Offer;
pub use password::{MAX_REMEMBERED, MEMORY_KIB, PASSES, REMEMBERED_FOR};
pub use prefix::{MAX_PREFIX, MAX_RESULTS};
pub use record::{facts_from_header, recipients_from_header};
pub use results::MAX_DKIM_RESULTS;
pub use rulesets::{Pattern, Ruleset};
pub use settings::IntakeSettings;
pub use signing::Signer;

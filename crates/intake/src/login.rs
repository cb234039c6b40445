//! Logins: the secrets for an exchange, and the account behind a name.
//!
//! Unknown users get decoys and take as long as known ones, so that clients cannot find out which users exist.

use crate::backend::Intake;
use crate::password::{Checked, hash};
use crate::{Destination, IntakeSettings};
use ratelimit::LoginKey;
use sasl::{Absent, CramMd5Secret, Decoy, Hash, Identity, Need, Password, ScramSecret, Verifier};
use smtp_parser::Mailbox;
use smtpserver::{Login, Refusal, Standing, replies};
use std::hash::{BuildHasher as _, RandomState};
use std::str::FromStr;
use store::Credentials;
use zeroize::Zeroizing;

/// Derives the secrets of a new password for all mechanisms. The password itself is in none of them.
///
/// `random` fills a buffer with bytes of a cryptographic generator. Takes some tens of milliseconds, because the slow hash
/// must.
pub fn credentials(password: &Password, random: fn(&mut [u8])) -> Credentials {
    let mut salt = [0; crate::password::SALT_BYTES];
    random(&mut salt);
    let plain = hash(password.as_str(), &salt);
    let scram = |hash| {
        let mut salt = [0; sasl::SALT_BYTES];
        random(&mut salt);
        ScramSecret::derive(hash, password, &salt, sasl::DEFAULT_ITERATIONS).to_text().to_string()
    };
    Credentials {
        plain: Some(plain),
        cram_md5: Some(CramMd5Secret::derive(password).to_text().to_string()),
        scram_sha1: Some(scram(Hash::Sha1)),
        scram_sha256: Some(scram(Hash::Sha256)),
    }
}

/// A login name that was looked up.
struct Known {
    /// The address in the form in which all its spellings are one.
    canonical: String,
    /// The account with its stored secrets, if both exist.
    account: Option<(Destination, Credentials)>,
}

/// The account that an address belongs to. Any address of an account will do; `postmaster` of the host will not.
fn account_of(settings: &IntakeSettings, username: &str) -> Option<(Mailbox, Destination)> {
    let address: Mailbox = username.parse().ok()?;
    let to = settings.directory.find(address.localpart.as_str(), Some(&address.domain), false).ok()?;
    Some((address, to))
}

/// The address in the form in which all its spellings are one; none if the name is not an address.
fn canonical(settings: &IntakeSettings, username: &str) -> Option<String> {
    let address: Mailbox = username.parse().ok()?;
    let localpart = settings.directory.canonical(address.localpart.as_str(), &address.domain)?;
    Some(format!("{localpart}@{}", address.domain))
}

/// The key that failed logins are counted under. All addresses of an account share one, and so do all spellings of an address
/// without an account: otherwise the counts would tell them apart.
pub(crate) fn key(settings: &IntakeSettings, names: &RandomState, username: &str) -> LoginKey {
    match account_of(settings, username) {
        Some((_, to)) => LoginKey::Account(to.account),
        None => {
            let name = canonical(settings, username).unwrap_or_else(|| username.to_lowercase());
            LoginKey::Nobody(names.hash_one(name))
        }
    }
}

impl Intake {
    fn known(&self, settings: &IntakeSettings, username: &str) -> Result<Known, Refusal> {
        let account = match account_of(settings, username) {
            Some((_, to)) => self.stored(&to.account)?.map(|credentials| (to, credentials)),
            None => None,
        };
        let canonical = canonical(settings, username).unwrap_or_else(|| username.to_owned());
        Ok(Known { canonical, account })
    }

    /// The stored secrets of an account; none without an account, or before it has a password.
    fn stored(&self, account: &str) -> Result<Option<Credentials>, Refusal> {
        let read = || match self.store.account(account)? {
            Some(id) => self.store.credentials(id),
            None => Ok(None),
        };
        read().map_err(|error| {
            tracing::error!(%error, account, "cannot read credentials");
            Refusal::new(replies::AUTH_UNAVAILABLE)
        })
    }

    /// Answers what an exchange needs to know.
    pub(crate) async fn verifier(&self, standing: Standing, need: Need) -> Result<Verifier, Refusal> {
        let settings = self.settings();
        match need {
            Need::Password { username, password } => {
                let known = self.known(&settings, &username)?;
                let account = known.account.as_ref().map_or("", |(to, _)| &*to.account);
                let stored = known.account.as_ref().and_then(|(_, credentials)| credentials.plain.as_deref());
                let text = Zeroizing::new(password.as_str().to_owned());
                let now = (self.environment.instant)();
                match self.passwords.check(account, stored, text, standing, now).await {
                    Checked::Right => Ok(Verifier::Checked(true)),
                    Checked::Wrong => Ok(Verifier::Checked(false)),
                    Checked::Busy => Err(Refusal::new(replies::AUTH_UNAVAILABLE)),
                }
            }
            Need::Scram { username, hash } => {
                let known = self.known(&settings, &username)?;
                let pick = |c: &Credentials| match hash {
                    Hash::Sha1 => c.scram_sha1.clone(),
                    Hash::Sha256 => c.scram_sha256.clone(),
                };
                let secret = self.secret(&known, "SCRAM", pick);
                Ok(Verifier::Scram(
                    secret.unwrap_or_else(|decoy| decoy.scram(hash, sasl::DEFAULT_ITERATIONS)),
                ))
            }
            Need::CramMd5 { username } => {
                let known = self.known(&settings, &username)?;
                let secret = self.secret(&known, "CRAM-MD5", |c| c.cram_md5.clone());
                Ok(Verifier::CramMd5(secret.unwrap_or_else(|decoy| decoy.cram_md5())))
            }
            // Accounts cannot register keys yet, so no certificate belongs to one.
            Need::Certificate { .. } => Ok(Verifier::Certificate(None)),
        }
    }

    /// The stored secret of a known user, or a decoy's maker.
    fn secret<'a, T: FromStr>(
        &'a self,
        known: &'a Known,
        mechanism: &str,
        pick: impl Fn(&Credentials) -> Option<String>,
    ) -> Result<T, Decoy<'a>> {
        let decoy = |absent| Decoy::new(&self.decoy_seed, &known.canonical, absent);
        let Some((to, credentials)) = &known.account else { return Err(decoy(Absent::User)) };
        let text = pick(credentials).map(Zeroizing::new);
        text.and_then(|text| text.parse().ok()).ok_or_else(|| {
            let account = &*to.account;
            tracing::warn!(
                account,
                mechanism,
                "no secret for this mechanism: set the account's password again"
            );
            decoy(Absent::Secret)
        })
    }

    /// The account of an identity that was just proved.
    pub(crate) fn account(&self, identity: &Identity) -> Result<Login, Refusal> {
        let (address, to) = account_of(&self.settings(), &identity.username)
            .ok_or_else(|| Refusal::new(replies::BAD_CREDENTIALS))?;
        Ok(Login { account: to.account, address })
    }
}

//! `moxd dkim`.

use crate::{Report, argument, conclude, domain, input, message, print, print_json, with_dns};
use anyhow::{Context, Result};
use cli::{DkimSign, DkimVerb, KeyAlgorithm, Wrong};
use dkim::{
    Canonicalization, ED25519_SEED, Evaluation, Identity, Policy, Selector, SignOptions, SigningKey, Status,
    Verification,
};
use host::terminal;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use serde_json::{Value, json};
use std::fmt::Display;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// The sizes of RSA keys that can sign (RFC 8301 §3.2 recommends 2048).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// The largest key file, in bytes.
const MAX_KEY_FILE: u64 = 1 << 20;

/// Does a verb. `random` fills with random bytes.
///
/// # Errors
/// The work cannot be done, the arguments are wrong, or the result is not `pass` and the exit status is to say so.
pub fn run(verb: &DkimVerb, now: SystemTime, random: fn(&mut [u8])) -> Result<()> {
    match verb {
        DkimVerb::Verify { file, lookup, judged } => {
            let text = message(file)?;
            let evaluation = with_dns(&lookup.dns, |dns| async move {
                Ok(dkim::verify(&dns, &text, &Policy::default(), unix(now)).await)
            })?;
            if lookup.output.json {
                print_json(&json(&evaluation))?;
            } else {
                report(&evaluation).print()?;
            }
            conclude(*judged, evaluation.signatures.iter().any(|one| one.status == Status::Pass))
        }
        DkimVerb::Sign(arguments) => sign(arguments, now),
        DkimVerb::Keygen { algorithm, bits, out } => keygen(*algorithm, *bits, out, random),
        DkimVerb::Txt { file, selector, domain } => {
            let record = key(file)?.record().to_string();
            let line = match selector {
                Some(selector) => zone_line(selector, domain.as_deref(), &record)?,
                None => record,
            };
            print(&format!("{line}\n"))
        }
    }
}

fn unix(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The evaluation as JSON, as the verbs promise it: one row for each signature, in the order of the header.
pub fn json(evaluation: &Evaluation) -> Value {
    evaluation.signatures.iter().map(row).collect()
}

fn row(verification: &Verification) -> Value {
    let claims = verification.claims();
    json!({
        "status": verification.status.as_str(),
        "domain": claims.domain.map(|d| d.to_string()),
        "selector": claims.selector.map(|s| s.as_str().to_owned()),
        "algorithm": claims.algorithm,
        "identity": claims.identity.map(|i| i.to_string()),
        "error": verification.error.as_ref().map(ToString::to_string),
        "key_bits": key_bits(verification),
        "dnssec": verification.security.to_string(),
    })
}

/// The size of the key that the signature was verified with.
fn key_bits(verification: &Verification) -> Option<usize> {
    let key = verification.record.as_ref()?.key.as_ref()?;
    Some(key.bits())
}

fn report(evaluation: &Evaluation) -> Report {
    let mut report = Report::default();
    if evaluation.signatures.is_empty() {
        report.result("result", "none");
        report.line("reason", "the message has no DKIM-Signature".to_owned());
    }
    for (at, verification) in evaluation.signatures.iter().enumerate() {
        if at > 0 {
            report.gap();
        }
        let claims = verification.claims();
        report.result("result", verification.status.as_str());
        report.line("reason", verification.error.as_ref().map(ToString::to_string));
        report.line("domain", claims.domain.map(|d| d.to_string()));
        report.line("selector", claims.selector.map(|s| s.as_str().to_owned()));
        report.line("algorithm", claims.algorithm);
        report.line("identity", claims.identity.map(|i| i.to_string()));
        report.line("key", key_bits(verification).map(|bits| format!("{bits} bits")));
        report.line("dnssec", verification.security.to_string());
    }
    report
}

fn key(path: &Path) -> Result<SigningKey> {
    let mut pem = Zeroizing::new(Vec::new());
    let about = || format!("read {}", path.display());
    input(path)?.take(MAX_KEY_FILE).read_to_end(&mut pem).with_context(about)?;
    SigningKey::from_pem(&*pem).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

/// A record as it stands in a zone file (RFC 1035 §5.1).
fn zone_line(selector: &str, name: Option<&str>, record: &str) -> Result<String> {
    let selector: Selector = argument("--selector", selector)?;
    let name = match name {
        Some(name) => format!(
            "{}.",
            selector.key_name(&domain(name)?).map_err(|error| Wrong(format!("--selector: {error}")))?
        ),
        None => format!("{}._domainkey", selector.as_str()),
    };
    // RFC 1035 §3.3: a character-string has at most 255 bytes. A record is ASCII, and has neither quotes nor backslashes.
    let strings = record.as_bytes().chunks(255).map(|part| format!("\"{}\"", String::from_utf8_lossy(part)));
    Ok(format!("{name} IN TXT {}", strings.collect::<Vec<_>>().join(" ")))
}

fn sign(arguments: &DkimSign, now: SystemTime) -> Result<()> {
    let words = |error: dkim::Error| match error.kind() {
        dkim::ErrorKind::FromNotSigned => Wrong(format!("--headers: {error}")).into(),
        dkim::ErrorKind::IdentityOutsideDomain => Wrong(format!("--identity: {error}")).into(),
        _ => anyhow::anyhow!("sign: {error}"),
    };
    let key = key(&arguments.key)?;
    let selector = argument("--selector", &arguments.selector)?;
    let mut signing = SignOptions::new(domain(&arguments.domain)?, selector);
    // RFC 6376 §3.5: one word is about the header, the body is simple then.
    let (header, body) =
        arguments.canonicalization.split_once('/').unwrap_or((&arguments.canonicalization, "simple"));
    signing.header = canonicalization(header)?;
    signing.body = canonicalization(body)?;
    if let Some(names) = &arguments.headers {
        signing.fields = argument("--headers", names)?;
    }
    if let Some(identity) = &arguments.identity {
        signing.identity = Some(self::identity(identity)?);
    }
    signing.expiration = arguments.expire;
    let text = message(&arguments.file)?;
    let signature = dkim::sign_message(&text, &key, &signing, unix(now)).map_err(words)?;
    print(&signature.header_field())?;
    terminal::print(&text)
}

/// `localpart@domain`, or `@domain`.
fn identity(text: &str) -> Result<Identity> {
    let wrong = |why: &dyn Display| Wrong(format!("--identity {text}: {why}"));
    let (localpart, name) = text.rsplit_once('@').ok_or_else(|| wrong(&"there is no @"))?;
    let localpart = Some(localpart).filter(|localpart| !localpart.is_empty());
    Ok(Identity::new(localpart, domain(name)?).map_err(|error| wrong(&error))?)
}

fn canonicalization(word: &str) -> Result<Canonicalization> {
    let unknown = |_| Wrong(format!("--canonicalization {word}: neither simple nor relaxed")).into();
    word.parse().map_err(unknown)
}

fn keygen(algorithm: KeyAlgorithm, bits: usize, out: &Path, random: fn(&mut [u8])) -> Result<()> {
    match algorithm {
        KeyAlgorithm::Ed25519 => write_key(out, &ed25519(random)),
        KeyAlgorithm::Rsa => {
            if !RSA_BITS.contains(&bits) {
                return Err(Wrong(format!("--bits {bits}: RSA keys have 2048 to 4096 bits")).into());
            }
            let key =
                rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits).context("generate the key")?;
            let pem = key.to_pkcs8_pem(LineEnding::LF);
            write_key(out, &pem.map_err(|error| anyhow::anyhow!("write the key: {error}"))?)
        }
    }
}

/// A new Ed25519 key in PEM. `random` fills with random bytes.
pub fn ed25519(random: fn(&mut [u8])) -> Zeroizing<String> {
    let mut seed = Zeroizing::new([0; ED25519_SEED]);
    random(&mut *seed);
    SigningKey::ed25519_pem(&seed)
}

/// Makes a file that its owner alone may read.
fn write_key(out: &Path, pem: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(out);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let folder = out.parent().unwrap_or(out).display();
            anyhow::anyhow!(
                "make {}: there is no folder {folder}; make it first: mkdir -p {folder}",
                out.display()
            )
        }
        ErrorKind::AlreadyExists => {
            anyhow::anyhow!("make {}: it exists, and no key is overwritten; name another file", out.display())
        }
        _ => anyhow::anyhow!("make {}: {error}", out.display()),
    })?;
    file.write_all(pem.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("write {}", out.display()))
}

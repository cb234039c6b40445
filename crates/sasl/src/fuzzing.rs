//! Entry points for fuzzing. Not part of the interface.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a broken property has to stop the fuzzer")]

use std::num::NonZeroU32;

use crate::{
    Absent, Binding, Channel, Client, Credentials, Decoy, Error, ErrorKind, Mechanism, Need, Nonce, Server,
    Step, Verifier,
};

const NONCE: &str = "3rfcNHYJY1ZVvWVs7j";

/// Plays a stranger to a server and to a client. The first byte of `data` chooses mechanism and channel; the lines after it
/// are what the stranger sends. A first line of `-` alone stands for no initial response.
///
/// # Panics
/// Where a stranger logs in, or is taken for the server, although it knows no password, or where an exchange does not end.
pub fn scram(data: &[u8]) {
    let Some((&choice, lines)) = data.split_first() else { return };
    let mechanism = Mechanism::BY_STRENGTH.into_iter().cycle().nth(usize::from(choice)).unwrap();
    let channel = match choice / 64 {
        0 => Channel::plaintext(),
        1 => Channel::tls(),
        2 => Channel::bound(Binding::TlsExporter, vec![7; 32]),
        _ => Channel::bound(Binding::TlsUnique, vec![7; 12]).with_plus_offered(false),
    };
    let lines: Vec<&[u8]> = lines.split(|&byte| byte == b'\n').collect();
    server(mechanism, &channel, &lines);
    client(mechanism, &channel, &lines);
}

fn server(mechanism: Mechanism, channel: &Channel, lines: &[&[u8]]) {
    let mut server = Server::new(mechanism, channel, Nonce::from_text(NONCE).unwrap());
    let mut lines = lines.iter().copied();
    let initial = lines.next().filter(|line| *line != b"-");
    let mut step = server.begin(initial);
    for line in lines {
        step = match answer(&mut server, step) {
            Ok(Step::Challenge(_)) => server.step(line),
            end => return check_end(mechanism, end),
        };
    }
    check_end(mechanism, answer(&mut server, step));
}

/// Answers what the server needs with secrets that no stranger can know.
fn answer(server: &mut Server, step: Result<Step, Error>) -> Result<Step, Error> {
    let decoy = |username: &str| Decoy::new(&[9; 32], username, Absent::User).cram_md5();
    match step? {
        Step::Need(Need::Password { username, password }) => {
            assert_eq!(crate::username(&username).unwrap(), username);
            assert!(!password.as_str().is_empty());
            server.supply(Verifier::Checked(false))
        }
        Step::Need(Need::Scram { username, hash }) => {
            assert_eq!(crate::username(&username).unwrap(), username);
            let secret = Decoy::new(&[9; 32], &username, Absent::User).scram(hash, NonZeroU32::MIN);
            // As a real secret, so that it is the proof that keeps the stranger out.
            server.supply(Verifier::Scram(secret.to_text().parse().unwrap()))
        }
        Step::Need(Need::CramMd5 { username }) => {
            server.supply(Verifier::CramMd5(decoy(&username).to_text().parse().unwrap()))
        }
        Step::Need(Need::Certificate { username }) => server.supply(Verifier::Certificate(username)),
        step => Ok(step),
    }
}

fn check_end(mechanism: Mechanism, end: Result<Step, Error>) {
    match end {
        Ok(Step::Done(identity)) => {
            assert_eq!((mechanism, identity.mechanism), (Mechanism::External, mechanism))
        }
        Ok(Step::Challenge(_)) => {}
        Ok(Step::Need(need)) => panic!("{need:?} was answered"),
        Err(error) => assert_ne!(error.kind(), ErrorKind::Misuse),
    }
}

fn client(mechanism: Mechanism, channel: &Channel, lines: &[&[u8]]) {
    let credentials = Credentials::new("user", "pencil").unwrap();
    let mut client = Client::new(mechanism, &credentials, channel, Nonce::from_text("fyko+d2l").unwrap());
    if client.begin().is_err() {
        return;
    }
    for line in lines {
        // Thousands of iterations are work, not logic.
        let costly = line.windows(4).any(|w| matches!(w, [b'i', b'=', b'0'..=b'9', b'0'..=b'9']));
        if costly || client.step(line).is_err() {
            return;
        }
    }
    let believed = client.finish().is_ok();
    assert!(!(believed && mechanism.hash().is_some()), "a server without the password was believed");
}

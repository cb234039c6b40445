//! Properties: client and server agree for all names and passwords, and strangers cannot log in.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use std::num::NonZeroU32;

use moxd_sasl::*;
use proptest::prelude::*;

/// As few iterations as a client accepts, to save time.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(MIN_ITERATIONS).unwrap();

struct User {
    name: String,
    password: Password,
    salt: Vec<u8>,
}

impl User {
    fn verifier(&self, need: Need, absent: Option<Absent>) -> Verifier {
        let decoy =
            |name: &str, absent| Decoy::new(&[3; SEED_BYTES], name, absent).scram(Hash::Sha1, ITERATIONS);
        match (need, absent) {
            (Need::Password { username, password }, _) => {
                Verifier::Checked(username == self.name && password.as_str() == self.password.as_str())
            }
            (Need::Scram { hash, .. }, None) => {
                Verifier::Scram(ScramSecret::derive(hash, &self.password, &self.salt, ITERATIONS))
            }
            (Need::Scram { username, hash }, Some(absent)) => {
                assert_eq!(hash, decoy(&username, absent).hash());
                Verifier::Scram(decoy(&username, absent))
            }
            (Need::CramMd5 { .. }, None) => Verifier::CramMd5(CramMd5Secret::derive(&self.password)),
            (Need::CramMd5 { username }, Some(absent)) => {
                Verifier::CramMd5(Decoy::new(&[3; SEED_BYTES], &username, absent).cram_md5())
            }
            (Need::Certificate { .. }, _) => Verifier::Certificate(Some(self.name.clone())),
        }
    }
}

/// Runs one exchange. Returns the server's verdict, whether the client believes it, and the transcript.
fn exchange(
    mechanism: Mechanism,
    credentials: &Credentials,
    user: &User,
    absent: Option<Absent>,
) -> (Result<Identity, Error>, Vec<Vec<u8>>) {
    let channel = Channel::bound(Binding::TlsExporter, vec![5; 32]);
    let mut client = Client::new(mechanism, credentials, &channel, Nonce::from_random([1; NONCE_BYTES]));
    let mut server =
        Server::new(mechanism, &channel, Nonce::stamped([2; NONCE_BYTES], 1_700_000_000, "mx.test"));
    let mut said = Vec::new();
    let initial = client.begin().unwrap();
    let mut step = server.begin(initial.as_deref());
    loop {
        step = match step {
            Ok(Step::Challenge(challenge)) => {
                let answer = client.step(&challenge).unwrap();
                said.push(challenge);
                server.step(&answer)
            }
            Ok(Step::Need(need)) => server.supply(user.verifier(need, absent)),
            Ok(Step::Done(identity)) => {
                client.finish().unwrap();
                return (Ok(identity), said);
            }
            Err(error) => return (Err(error), said),
        };
    }
}

fn mechanisms() -> impl Strategy<Value = Mechanism> {
    prop::sample::select(Mechanism::BY_STRENGTH.to_vec())
}

/// Names and passwords with characters that have a meaning in some mechanism, and some that have two Unicode forms.
fn words() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[ -~é\u{301}ß,= \u{a0}Åø€🐒]{1,40}").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_right_password_opens(mechanism in mechanisms(), name in words(), word in words(), salt: [u8; 16]) {
        let (Ok(password), Ok(prepared)) = (Password::new(&word), username(&name)) else { return Ok(()) };
        let user = User { name: prepared.clone(), password, salt: salt.to_vec() };
        let credentials = Credentials::new(&name, &word).unwrap();
        let (result, _) = exchange(mechanism, &credentials, &user, None);
        prop_assert_eq!(result.unwrap().username, prepared);
    }

    #[test]
    fn another_password_does_not(mechanism in mechanisms(), word in words(), other in words(), salt: [u8; 16]) {
        let (Ok(password), Ok(given)) = (Password::new(&word), Password::new(&other)) else { return Ok(()) };
        prop_assume!(password.as_str() != given.as_str() && mechanism != Mechanism::External);
        let user = User { name: "user".to_owned(), password, salt: salt.to_vec() };
        let (result, _) = exchange(mechanism, &Credentials::new("user", &other).unwrap(), &user, None);
        prop_assert_eq!(result.unwrap_err().kind(), ErrorKind::Credentials);
    }

    #[test]
    fn strangers_never_get_in(
        choice: u8,
        lines in prop::collection::vec("(n,,|y,,|p=tls-exporter,,|c=biws,|-|)([nrcpaxmse]=[ -~]{0,30},?){0,4}", 0..5),
    ) {
        let data = [vec![choice], lines.join("\n").into_bytes()].concat();
        fuzzing::scram(&data);
    }

    #[test]
    fn takes_any_bytes(data: Vec<u8>) {
        fuzzing::scram(&data);
    }
}

/// Cuts, doubles and changes every transcript at every byte.
#[test]
fn takes_recorded_exchanges_with_faults() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/server");
    for entry in folder.read_dir().unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let said: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("C: ")).collect();
        let said = said.join("\n").into_bytes();
        for choice in [0_u8, 3, 5, 6, 7, 129, 131] {
            for at in 0..said.len() {
                let (head, tail) = said.split_at(at);
                let changed = [&[choice], head, &[tail[0] ^ 1], &tail[1..]].concat();
                fuzzing::scram(&changed);
                fuzzing::scram(&[&[choice], head].concat());
                fuzzing::scram(&[&[choice], tail].concat());
            }
        }
    }
}

#[track_caller]
fn check_decoy(mechanism: Mechanism, absent: Absent, expected: ErrorKind) {
    let user = User {
        name: "user".to_owned(),
        password: Password::new("pencil").unwrap(),
        salt: vec![4; SALT_BYTES],
    };
    let credentials = Credentials::new("user", "pencil").unwrap();
    let (real, said_real) = exchange(mechanism, &credentials, &user, None);
    let (fake, said_fake) = exchange(mechanism, &credentials, &user, Some(absent));
    assert!(real.is_ok());
    let error = fake.unwrap_err();
    assert_eq!(error.kind(), expected);
    assert_eq!(error.to_string(), "user unknown or password wrong");
    // The server's first message has the same form for a user that exists and for one that does not.
    assert_eq!(said_real[0].len(), said_fake[0].len());
}

#[test]
fn unknown_users_fail_at_the_proof() {
    for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha1Plus, Mechanism::CramMd5] {
        check_decoy(mechanism, Absent::User, ErrorKind::Credentials);
        check_decoy(mechanism, Absent::Secret, ErrorKind::SecretAbsent);
    }
}

#[test]
fn refuses_to_keep_a_long_first_message() {
    for (more, taken) in [(MAX_NAME, true), (MAX_SCRAM_FIRST, false)] {
        let nonce = Nonce::from_random([2; NONCE_BYTES]);
        let mut server = Server::new(Mechanism::ScramSha256, &Channel::plaintext(), nonce);
        // RFC 5802 §5.1: unknown extensions may follow.
        let first = format!("n,,n=user,r=rOprNGfwEbeRWgbNEkqO,x={}", "y".repeat(more));
        let step = server.begin(Some(first.as_bytes()));
        match step {
            Ok(step) => assert!(taken && matches!(step, Step::Need(Need::Scram { .. }))),
            Err(error) => assert!(!taken && error.kind() == ErrorKind::TooLong, "{error}"),
        }
    }
}

#[test]
fn refuses_answers_to_other_questions() {
    let mut server = Server::new(Mechanism::Plain, &Channel::tls(), Nonce::from_random([2; NONCE_BYTES]));
    assert!(matches!(server.begin(Some(b"\0tim\0tanstaaf")), Ok(Step::Need(Need::Password { .. }))));
    let secret = CramMd5Secret::derive(&Password::new("tanstaaf").unwrap());
    assert_eq!(server.supply(Verifier::CramMd5(secret)).unwrap_err().kind(), ErrorKind::Misuse);
    // A second answer is refused.
    assert_eq!(server.supply(Verifier::Checked(true)).unwrap_err().kind(), ErrorKind::Misuse);
}

#[test]
fn refuses_messages_beyond_the_limit() {
    let mut server = Server::new(Mechanism::Plain, &Channel::tls(), Nonce::from_random([2; NONCE_BYTES]));
    let long = vec![b'x'; MAX_MESSAGE + 1];
    assert_eq!(server.begin(Some(&long)).unwrap_err().kind(), ErrorKind::TooLong);
    let credentials = Credentials::new("user", "pencil").unwrap();
    let nonce = Nonce::from_random([1; NONCE_BYTES]);
    let mut client = Client::new(Mechanism::Login, &credentials, &Channel::tls(), nonce);
    assert_eq!(client.begin().unwrap(), None);
    assert_eq!(client.step(&long).unwrap_err().kind(), ErrorKind::TooLong);
}

#[test]
fn debug_shows_no_secret() {
    let password = Password::new("pencil").unwrap();
    let channel = Channel::bound(Binding::TlsUnique, b"secret-octets".to_vec());
    let credentials = Credentials::new("user", "pencil").unwrap();
    let scram = ScramSecret::derive(Hash::Sha1, &password, b"salt", ITERATIONS);
    let need = Need::Password { username: "user".to_owned(), password: password.clone() };
    let shown = format!(
        "{channel:?} {credentials:?} {scram:?} {need:?} {:?} {:?}",
        Verifier::Scram(scram.clone()),
        Verifier::CramMd5(CramMd5Secret::derive(&password)),
    );
    for hidden in ["pencil", "secret-octets", "115, 101", "stored_key", "inner"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}

//! The arithmetic of SCRAM (RFC 5802 §3).

use crate::hash::{Hash, Secret, equal, xor};
use crate::scram::secret::ScramSecret;

/// The message that both sides sign: all messages before the proof (RFC 5802 §3, AuthMessage).
pub(crate) fn auth_message(
    client_first_bare: &str,
    server_first: &str,
    client_final_without_proof: &str,
) -> String {
    [client_first_bare, server_first, client_final_without_proof].join(",")
}

/// Client: the proof, and the signature that the server must answer with.
pub(crate) fn prove(hash: Hash, salted: &[u8], auth_message: &str) -> (Secret, Secret) {
    // RFC 5802 §3: ClientProof = ClientKey XOR HMAC(StoredKey, AuthMessage).
    let client_key = hash.hmac(salted, b"Client Key");
    let signature = hash.hmac(&hash.digest(&client_key), auth_message.as_bytes());
    let server_key = hash.hmac(salted, b"Server Key");
    (xor(&client_key, &signature), hash.hmac(&server_key, auth_message.as_bytes()))
}

/// Server: is the proof right? Takes as long for a wrong one.
pub(crate) fn verify(secret: &ScramSecret, proof: &[u8], auth_message: &str) -> bool {
    let hash = secret.hash;
    let signature = hash.hmac(&secret.stored_key, auth_message.as_bytes());
    let client_key = xor(proof, &signature);
    proof.len() == hash.digest_len() && equal(&hash.digest(&client_key), &secret.stored_key)
}

/// Server: the signature that proves to the client that we know its password too.
pub(crate) fn server_signature(secret: &ScramSecret, auth_message: &str) -> Secret {
    secret.hash.hmac(&secret.server_key, auth_message.as_bytes())
}

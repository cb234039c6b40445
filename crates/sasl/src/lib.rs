//! SASL exchanges, server and client: PLAIN, LOGIN, CRAM-MD5, SCRAM, EXTERNAL.

//! DMARC (RFC 9989 and RFC 7489): does the visible author agree with what was proven?.

//! RFC 5322 and MIME: headers, addresses, dates, parts, Received and Authentication-Results.

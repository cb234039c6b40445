//! DKIM and ARC: which names vouch for these bytes?.

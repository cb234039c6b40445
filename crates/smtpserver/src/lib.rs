//! An SMTP server: a pure session and a thin driver.

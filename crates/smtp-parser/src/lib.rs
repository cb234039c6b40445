//! SMTP grammar: commands, replies, paths, parameters, and the DATA decoder.

//! Entry points for fuzzing, each with the property it holds. Not part of the public face.

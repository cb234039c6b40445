//! Windows over address classes.

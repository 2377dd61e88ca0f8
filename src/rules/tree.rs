//! The compiled decision tree of one extension or number.

//! The page as the oracle: rules read line by line, without any tree, and what the compiler and the walk are held against.
//!
//! Not a second implementation to keep fast or short of memory: it reads the model over and over, and is meant to be compared
//! with the documentation by eye.

mod answers;
mod calls;
mod dialling;
mod generate;
mod page;
mod people;
mod rights;
mod ringing;
mod trees;

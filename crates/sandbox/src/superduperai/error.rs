//! Why the stand-in would not do what its handle was asked.

/// A refusal of the stand-in itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuperDuperAiError {
    /// No such file, or it was forgotten.
    #[error("there is no file {0:?} here")]
    NoFile(String),
    /// It is done already, one way or the other.
    #[error("the generation of file {0:?} is over")]
    Over(String),
    /// A switch above its limits.
    #[error("{0}")]
    Switch(String),
}

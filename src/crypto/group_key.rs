//! stub
#![allow(missing_docs)]
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
#[non_exhaustive]
pub enum GroupKeyError { #[error("stub")] Stub }
/// The group key file's entries: the first writes, all read.
pub struct GroupKeys;
/// One entry.
pub struct GroupKey { pub id: [u8; 16] }
impl GroupKeys {
    pub fn parse(_text: &str) -> Result<Self, GroupKeyError> { todo!() }
    pub fn generate() -> Result<Self, GroupKeyError> { todo!() }
    pub fn to_text(&self) -> zeroize::Zeroizing<String> { todo!() }
    pub fn writer(&self) -> &GroupKey { todo!() }
    pub fn find(&self, _id: &[u8; 16]) -> Option<&GroupKey> { todo!() }
}
impl GroupKey { pub fn short_id(&self) -> String { todo!() } }

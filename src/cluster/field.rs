//! stub
/// stub
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "stub")]
pub enum Field { Null, Bool(bool), Int(i64), Float(f64), Text(Box<str>), List(Vec<Field>), Object(Vec<(Box<str>, Field)>) }
impl Eq for Field {}

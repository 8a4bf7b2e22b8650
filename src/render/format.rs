#![allow(missing_docs)]
//! stub
use crate::cluster::Field;
#[derive(Debug)]
pub struct Format(Vec<(String, String)>, String);
#[derive(Debug)]
pub struct FormatError(String);
impl std::fmt::Display for FormatError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.0) } }
#[derive(Clone, Debug)]
pub enum Value<'a> { None, Bool(bool), Int(i64), Text(&'a str), Field(&'a Field) }
pub trait Values { fn get(&self, name: &str) -> Option<Value<'_>>; }
impl Format {
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let mut parts = Vec::new(); let mut lit = String::new(); let mut it = text.chars().peekable();
        while let Some(c) = it.next() { match c {
            '{' if it.peek() == Some(&'{') => { it.next(); lit.push('{'); }
            '}' if it.peek() == Some(&'}') => { it.next(); lit.push('}'); }
            '{' => { let mut n = String::new(); loop { match it.next() { Some('}') => break, Some(c) => n.push(c), None => return Err(FormatError("unbalanced".into())) } } parts.push((std::mem::take(&mut lit), n)); }
            '}' => return Err(FormatError("single }".into())),
            c => lit.push(c),
        } }
        Ok(Self(parts, lit))
    }
    pub fn is_empty(&self) -> bool { self.0.is_empty() && self.1.is_empty() }
    pub fn expand(&self, values: &impl Values, out: &mut String) -> Result<(), FormatError> {
        for (lit, n) in &self.0 { out.push_str(lit); match values.get(n) { None => return Err(FormatError(format!("unknown {n}"))), Some(Value::None) => out.push_str("None"), Some(Value::Bool(b)) => out.push_str(if b {"True"} else {"False"}), Some(Value::Int(i)) => out.push_str(&i.to_string()), Some(Value::Text(t)) => out.push_str(t), Some(Value::Field(f)) => out.push_str(&format!("{f:?}")) } }
        out.push_str(&self.1); Ok(())
    }
}

/// A value of an app as Marathon wrote it, for templates that ask for parts which this program
/// does not know: `{healthCheck[command][value]}`.
#[derive(Clone, Debug)]
pub enum Field {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction or exponent.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Box<str>),
    /// A list, in its order.
    List(Vec<Field>),
    /// An object, its members in the order in which they were written.
    Object(Vec<(Box<str>, Field)>),
}

/// Floats by their total order, so that a value always equals itself: what is compared here is
/// whether Marathon wrote the same again.
impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Int(one), Self::Int(two)) => one == two,
            (Self::Float(one), Self::Float(two)) => one.total_cmp(two).is_eq(),
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::List(one), Self::List(two)) => one == two,
            (Self::Object(one), Self::Object(two)) => one == two,
            _ => false,
        }
    }
}

impl Eq for Field {}

#[cfg(test)]
mod tests {
    use super::Field;

    #[test]
    fn every_value_equals_itself() {
        let values = [
            Field::Null,
            Field::Bool(true),
            Field::Int(1),
            Field::Float(f64::NAN),
            Field::Float(1.0),
            Field::Text("1".into()),
            Field::List(vec![Field::Null]),
            Field::Object(vec![("a".into(), Field::Float(f64::NAN))]),
        ];
        for (at, one) in values.iter().enumerate() {
            for (other_at, other) in values.iter().enumerate() {
                assert_eq!(one == other, at == other_at, "{one:?} and {other:?}");
            }
        }
    }
}

//! Shapes of values, in few words: the vocabulary in which the routes' bodies and answers are described.

use serde_json::Value;
use utoipa::openapi::schema::{
    AdditionalProperties, AllOfBuilder, Array, Object, ObjectBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, Ref, RefOr, Schema};

/// A shape, or the name of one.
pub(super) type Shape = RefOr<Schema>;

/// Text.
pub(super) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// Text that is not empty.
pub(super) fn filled() -> ObjectBuilder {
    text().min_length(Some(1))
}

/// A moment: `2026-11-21T10:00:00.000Z`.
pub(super) fn moment() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

/// An address.
pub(super) fn address() -> ObjectBuilder {
    text().format(Some(SchemaFormat::Custom("uri".to_owned())))
}

/// A whole number.
pub(super) fn whole() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}

/// A whole number of at least zero.
pub(super) fn count() -> ObjectBuilder {
    whole().minimum(Some(0))
}

/// A whole number between two others, themselves included.
pub(super) fn between(least: i64, most: i64) -> ObjectBuilder {
    whole().minimum(Some(least as isize)).maximum(Some(most as isize))
}

/// A number.
pub(super) fn number() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Number)
}

/// `true` or `false`.
pub(super) fn yes_or_no() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

/// One of these words.
pub(super) fn word(words: &[&str]) -> ObjectBuilder {
    text().enum_values(Some(words.iter().copied()))
}

/// Nothing but this.
pub(super) fn only(value: impl Into<Value>) -> ObjectBuilder {
    let value = value.into();
    let of = match &value {
        Value::Bool(_) => Type::Boolean,
        Value::Number(_) => Type::Integer,
        _ => Type::String,
    };
    ObjectBuilder::new().schema_type(of).enum_values(Some([value]))
}

/// Any JSON value.
pub(super) fn anything() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue)
}

/// An object.
pub(super) fn object() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object)
}

/// One server-sent event; `data` is JSON in text.
pub(super) fn event(names: &[&str]) -> ObjectBuilder {
    object().with("event", word(names)).with("data", text())
}

/// Any number of these.
pub(super) fn list(of: impl Into<Shape>) -> Array {
    Array::new(of)
}

/// A shape that has a name.
pub(super) fn the(name: &str) -> Shape {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// The first, and what the second adds.
pub(super) fn both(first: impl Into<Shape>, second: impl Into<Shape>) -> Schema {
    Schema::AllOf(AllOfBuilder::new().item(first).item(second).build())
}

/// What is said about a shape.
pub(super) trait Said {
    /// A field that is always there.
    fn with(self, name: &str, shape: impl Into<Shape>) -> Self;
    /// A field that may be left out.
    fn may(self, name: &str, shape: impl Into<Shape>) -> Self;
    /// No field beside those that are named.
    fn and_no_other(self) -> Self;
    /// Or `null`.
    fn or_null(self) -> Self;
    /// What it is, in a sentence.
    fn about(self, sentence: &str) -> Self;
}

impl Said for ObjectBuilder {
    fn with(self, name: &str, shape: impl Into<Shape>) -> Self {
        self.property(name, shape).required(name)
    }

    fn may(self, name: &str, shape: impl Into<Shape>) -> Self {
        self.property(name, shape)
    }

    fn and_no_other(self) -> Self {
        self.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
    }

    fn or_null(self) -> Self {
        let mut object: Object = self.build();
        if let SchemaType::Type(of) = object.schema_type {
            object.schema_type = SchemaType::from_iter([of, Type::Null]);
        }
        if let Some(words) = &mut object.enum_values {
            words.push(Value::Null);
        }
        object.into()
    }

    fn about(self, sentence: &str) -> Self {
        self.description(Some(sentence))
    }
}

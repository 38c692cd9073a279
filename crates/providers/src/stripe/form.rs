//! Stripe's request bodies: forms whose names carry the structure in brackets, `line_items[0][price]=price_1`.

use std::fmt::Display;
use url::form_urlencoded::Serializer;

/// A form under construction.
pub(super) struct Form(Serializer<'static, String>);

impl Form {
    pub(super) fn new() -> Self {
        Self(Serializer::new(String::new()))
    }

    /// `name=value`
    pub(super) fn field(mut self, name: &str, value: impl Display) -> Self {
        self.0.append_pair(name, &value.to_string());
        self
    }

    /// `name=value` where there is a value.
    pub(super) fn optional(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// `list[at][name]=value`
    pub(super) fn item(self, list: &str, at: usize, name: &str, value: impl Display) -> Self {
        self.field(&format!("{list}[{at}][{name}]"), value)
    }

    /// `map[key]=value` for every pair.
    pub(super) fn map<'a>(
        self,
        map: &str,
        pairs: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Self {
        pairs.into_iter().fold(self, |form, (key, value)| form.field(&format!("{map}[{key}]"), value))
    }

    pub(super) fn finish(mut self) -> String {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn structure_is_in_the_names_and_every_character_arrives() {
        let metadata = BTreeMap::from([("k".to_owned(), "ünï & =+%\n😀".to_owned())]);
        let form = Form::new()
            .field("mode", "payment")
            .item("line_items", 0, "quantity", 3)
            .optional("expires_at", None::<i64>)
            .map("metadata", &metadata)
            .finish();
        assert!(
            form.starts_with("mode=payment&line_items%5B0%5D%5Bquantity%5D=3&metadata%5Bk%5D="),
            "{form}"
        );
        let read: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        assert_eq!(read[2], ("metadata[k]".to_owned(), metadata["k"].clone()));
        assert_eq!(read.len(), 3);
    }
}

//! Form-encoded parameters with brackets: `line_items[0][price]=…&metadata[tool]=…&expand[]=…`.
//!
//! Pure. Knows Stripe's notation and its limits on metadata, not what a parameter is for.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::api_error::ApiError;

/// The most parameters of one request.
const PARAMS_MAX: usize = 2000;
/// Stripe's limits on metadata.
const METADATA_PAIRS_MAX: usize = 50;
const METADATA_KEY_CHARS_MAX: usize = 40;
const METADATA_VALUE_CHARS_MAX: usize = 500;

/// Every parameter as it came, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, ApiError> {
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(text).into_owned().take(PARAMS_MAX + 1).collect();
        if pairs.len() > PARAMS_MAX {
            return Err(ApiError::invalid(format!("At most {PARAMS_MAX} parameters are accepted.")));
        }
        Ok(Self { pairs })
    }

    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The same for the same parameters in any order.
    pub(crate) fn fingerprint(&self) -> String {
        let mut sorted = self.pairs.clone();
        sorted.sort();
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(sorted).finish()
    }

    /// The last value of a parameter by its whole name, `a[b][c]` included; empty counts as not given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::missing_param(name))
    }

    /// A whole number; anything else is Stripe's `Invalid integer`.
    pub(crate) fn integer<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let wrong = || ApiError::invalid(format!("Invalid integer: {text}"));
        text.parse().map(Some).map_err(|_| wrong().code("parameter_invalid_integer").param(name))
    }

    /// The indices of `name[0][…]`, `name[1][…]` in their order.
    pub(crate) fn indices(&self, name: &str) -> Vec<String> {
        let mut indices = Vec::new();
        for (key, _) in &self.pairs {
            let inner = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('['));
            if let Some((index, _)) = inner.and_then(|rest| rest.split_once(']'))
                && !indices.iter().any(|known| known == index)
            {
                indices.push(index.to_owned());
            }
        }
        indices
    }

    /// The values of `name[]` or `name[0]`.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let items = self.pairs.iter().filter(|(key, _)| bracketed(key, name).is_some());
        items.map(|(_, value)| value.as_str()).collect()
    }

    /// `name[key]=value` under Stripe's limits. An empty value unsets, which on a new object is nothing.
    pub(crate) fn metadata(&self, name: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let mut metadata = BTreeMap::new();
        for (path, value) in &self.pairs {
            let Some(key) = bracketed(path, name) else {
                continue;
            };
            let (key_chars, value_chars) = (key.chars().count(), value.chars().count());
            if key.is_empty() || key_chars > METADATA_KEY_CHARS_MAX || key.contains(['[', ']']) {
                return Err(ApiError::invalid(format!(
                    "Metadata keys can have up to {METADATA_KEY_CHARS_MAX} characters and no square brackets, \
                     but you passed in a key that is {key_chars} characters. Invalid key: {key}"
                ))
                .param(name));
            }
            if value_chars > METADATA_VALUE_CHARS_MAX {
                return Err(ApiError::invalid(format!(
                    "Metadata values can have up to {METADATA_VALUE_CHARS_MAX} characters, but you passed in a \
                     value that is {value_chars} characters. Invalid value: {value}"
                ))
                .param(name));
            }
            if !value.is_empty() {
                metadata.insert(key.to_owned(), value.clone());
            }
        }
        if metadata.len() > METADATA_PAIRS_MAX {
            let message = format!("You can have up to {METADATA_PAIRS_MAX} metadata keys per object.");
            return Err(ApiError::invalid(message).param(name));
        }
        Ok(metadata)
    }

    /// Refuses a parameter whose first name is not among these.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        for (key, _) in &self.pairs {
            let first = key.split('[').next().unwrap_or(key);
            if !known.contains(&first) {
                let message = format!("Received unknown parameter: {first}");
                return Err(ApiError::invalid(message).code("parameter_unknown").param(first));
            }
        }
        Ok(())
    }
}

/// What stands between the only brackets after `name`.
fn bracketed<'a>(key: &'a str, name: &str) -> Option<&'a str> {
    key.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Params {
        Params::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn brackets_nest_and_lists_keep_their_order() {
        let read = params(
            "mode=payment&line_items[0][price]=p1&line_items[0][quantity]=2&line_items%5B1%5D%5Bprice%5D=p2\
             &expand[]=line_items&expand[]=payment_intent&payment_intent_data[metadata][a]=b&metadata[tool]=veo3",
        );
        assert_eq!(read.get("mode"), Some("payment"));
        assert_eq!(read.indices("line_items"), ["0", "1"]);
        assert_eq!(read.get("line_items[1][price]"), Some("p2"));
        assert_eq!(read.integer::<u32>("line_items[0][quantity]").unwrap(), Some(2));
        assert_eq!(read.list("expand"), ["line_items", "payment_intent"]);
        assert_eq!(read.metadata("metadata").unwrap(), BTreeMap::from([("tool".into(), "veo3".into())]));
        assert_eq!(read.metadata("payment_intent_data[metadata]").unwrap()["a"], "b");
    }

    #[test]
    fn a_number_must_be_whole() {
        let read = params("q=1.5");
        let error = read.integer::<u32>("q").unwrap_err();
        assert_eq!((error.message.as_str(), error.param.as_deref()), ("Invalid integer: 1.5", Some("q")));
    }

    #[test]
    fn metadata_has_stripes_limits() {
        let value = |count: usize| format!("metadata[k]={}", "ж".repeat(count));
        assert_eq!(params(&value(500)).metadata("metadata").unwrap()["k"].chars().count(), 500);
        assert!(params(&value(501)).metadata("metadata").unwrap_err().message.contains("501 characters"));
        let key = |count: usize| format!("metadata[{}]=v", "k".repeat(count));
        assert!(params(&key(40)).metadata("metadata").is_ok());
        assert!(params(&key(41)).metadata("metadata").is_err());
        let pairs = |count: usize| (0..count).map(|n| format!("metadata[k{n}]=v&")).collect::<String>();
        assert_eq!(params(&pairs(50)).metadata("metadata").unwrap().len(), 50);
        assert!(params(&pairs(51)).metadata("metadata").is_err());
        assert!(params("metadata[k]=").metadata("metadata").unwrap().is_empty());
    }

    #[test]
    fn the_fingerprint_ignores_the_order_and_nothing_else() {
        assert_eq!(params("a=1&b=2").fingerprint(), params("b=2&a=1").fingerprint());
        assert_ne!(params("a=1&b=2").fingerprint(), params("a=1&b=3").fingerprint());
    }
}

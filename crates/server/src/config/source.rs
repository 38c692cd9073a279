//! Where settings come from: `sessile.toml`, then the environment above it. Text in, text out; what a setting means
//! is decided in the modules beside this one.
//!
//! Values are kept as text because a secret of digits is not a number. Nothing here prints a value.

use super::names::{self, Kind, NAMES};
use figment::Figment;
use figment::providers::{Format, Toml};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Bytes of a `NAME_FILE` that are read.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;
/// The file that is read when it is there and no other one is named.
pub(crate) const CONFIG_FILE: &str = "sessile.toml";

/// One value as text, whatever TOML calls it.
#[derive(Clone)]
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false, or a list of texts")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar(value.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        let mut joined = Vec::new();
        while let Some(Scalar(item)) = list.next_element()? {
            joined.push(item);
        }
        Ok(Scalar(joined.join(",")))
    }
}

/// Every setting that was given, by its environment name, and what is wrong with any of them.
#[derive(Default)]
pub(crate) struct Source {
    values: BTreeMap<String, String>,
    problems: RefCell<Vec<String>>,
    /// `SESSILE_…` variables that mean nothing: probably typing errors.
    pub(crate) strangers: Vec<String>,
    pub(crate) file: Option<PathBuf>,
}

impl Source {
    /// Reads the file and lays the environment over it.
    pub(crate) fn read(env: &BTreeMap<String, String>, file: Option<&Path>) -> Self {
        let mut source = Self::default();
        let default = Path::new(CONFIG_FILE);
        match file {
            Some(path) => source.read_file(path),
            None if default.is_file() => source.read_file(default),
            None => {}
        }
        for (name, kind) in NAMES {
            for name in [(*name).to_owned(), format!("{name}_FILE")] {
                if name.ends_with("_FILE") && *kind != Kind::Secret {
                    continue;
                }
                // An empty variable is how many platforms write an unset one.
                if let Some(value) = env.get(&name).filter(|value| !value.trim().is_empty()) {
                    source.forget_the_other_form(&name);
                    source.values.insert(name, value.trim().to_owned());
                }
            }
        }
        source.strangers = env.keys().filter(|name| names::is_stranger(name)).cloned().collect();
        source
    }

    /// `NAME` in the environment outranks `name_file` in the file, and the other way round.
    fn forget_the_other_form(&mut self, name: &str) {
        let from_file = self.file.is_some();
        let other = name.strip_suffix("_FILE").map_or_else(|| format!("{name}_FILE"), str::to_owned);
        if from_file {
            self.values.remove(&other);
        }
    }

    fn read_file(&mut self, path: &Path) {
        self.file = Some(path.to_owned());
        if !path.is_file() {
            self.complain(format!(
                "the configuration file {} does not exist; check --config",
                path.display()
            ));
            return;
        }
        let figment = Figment::from(Toml::file_exact(path));
        match figment.extract::<BTreeMap<String, Scalar>>() {
            Err(error) => {
                for one in error {
                    // The kind may quote a value; place and key are enough to find it.
                    let key = one.path.join(".");
                    let place = if key.is_empty() { String::new() } else { format!(", key `{key}`") };
                    self.complain(format!(
                        "{}{place} cannot be read: write `key = \"value\"` lines, with keys in lower case",
                        path.display()
                    ));
                }
            }
            Ok(found) => {
                for (key, Scalar(value)) in found {
                    let name = key.to_ascii_uppercase();
                    if key.bytes().any(|b| b.is_ascii_uppercase()) || !names::is_known(&name) {
                        self.complain(names::unknown_key(&key, path));
                    } else if !value.is_empty() {
                        self.values.insert(name, value);
                    }
                }
            }
        }
    }

    /// What was given, or nothing.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A secret, from `NAME` or from the file that `NAME_FILE` names.
    pub(crate) fn secret(&self, name: &str) -> Option<String> {
        let file_name = format!("{name}_FILE");
        match (self.get(name), self.get(&file_name)) {
            (Some(_), Some(_)) => {
                self.complain(format!("{name} and {file_name} are both set; unset one of them"));
                None
            }
            (Some(value), None) => Some(value.to_owned()),
            (None, Some(path)) => self.read_secret(&file_name, path),
            (None, None) => None,
        }
    }

    fn read_secret(&self, name: &str, path: &str) -> Option<String> {
        let too_long = std::fs::metadata(path).is_ok_and(|meta| meta.len() > SECRET_FILE_BYTES_MAX);
        if too_long {
            self.complain(format!("{name} names {path}, which is longer than {SECRET_FILE_BYTES_MAX} bytes"));
            return None;
        }
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => {
                self.complain(format!("{name} names {path}, which is empty; write the secret into it"));
                None
            }
            Ok(text) => Some(text.trim().to_owned()),
            Err(error) => {
                self.complain(format!(
                    "{name} names {path}, which cannot be read ({error}); check path and rights"
                ));
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(crate) fn number(&self, name: &str, low: u64, high: u64) -> Option<u64> {
        let text = self.get(name)?;
        match text.parse::<u64>() {
            Ok(number) if (low..=high).contains(&number) => Some(number),
            _ => {
                self.complain(format!("{name} has to be a whole number from {low} to {high}"));
                None
            }
        }
    }

    /// Yes or no, in any of the usual spellings.
    pub(crate) fn yes_or_no(&self, name: &str) -> Option<bool> {
        match self.get(name)?.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Some(true),
            "0" | "false" | "no" | "off" => Some(false),
            _ => {
                self.complain(format!("{name} has to be `true` or `false`"));
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.get(name)?;
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.complain(format!("{name} has to be one of: {}", known.join(", ")));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// A comma list without blanks.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let items = self.get(name).unwrap_or_default().split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// Remembers one more sentence for the end.
    pub(crate) fn complain(&self, sentence: impl Into<String>) {
        self.problems.borrow_mut().push(sentence.into());
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.borrow().clone()
    }
}

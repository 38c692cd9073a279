//! Where a copy has got to, in a file of the data folder: one for each kind and pair of places, written whole after each
//! batch that is durable at the destination. Losing it loses time and nothing else.

use super::carry::{Counts, Way};
use crate::exit::Stop;
use serde::{Deserialize, Serialize};
use sessile_core::portable::Mark;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// Rows are being moved.
    Copying,
    /// All have been; they are being compared.
    Comparing,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
struct Kept {
    kind: String,
    from: String,
    to: String,
    stage: Stage,
    mark: Option<String>,
    counts: Counts,
}

/// Where a copy has got to.
#[derive(Debug)]
pub(super) struct Checkpoint {
    path: PathBuf,
    way: Way,
    pub(super) stage: Stage,
    pub(super) mark: Option<Mark>,
    pub(super) counts: Counts,
}

impl Checkpoint {
    /// The one that an earlier run left, or the beginning; `fresh` begins anew.
    ///
    /// # Errors
    /// [`Stop`] when there is no folder for it.
    pub(super) fn of(folder: &Path, way: &Way, fresh: bool) -> Result<Self, Stop> {
        let digest = Sha256::digest(format!("{}\0{}\0{}", way.kind, way.from, way.to).as_bytes());
        let name: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join(format!("copy-{}-{name}.json", way.kind));
        std::fs::create_dir_all(folder).map_err(|error| unwritable(&path, &error))?;
        let kept = std::fs::read_to_string(&path).ok().filter(|_| !fresh);
        let kept: Option<Kept> = kept.and_then(|text| serde_json::from_str(&text).ok());
        let begun =
            Self { path, way: way.clone(), stage: Stage::Copying, mark: None, counts: Counts::default() };
        Ok(match kept.filter(|kept| kept.kind == way.kind && kept.from == way.from && kept.to == way.to) {
            Some(kept) => {
                Self { stage: kept.stage, mark: kept.mark.map(Mark::new), counts: kept.counts, ..begun }
            }
            None => begun,
        })
    }

    /// Everything before `next` is durable.
    pub(super) fn reached(&mut self, next: Mark) -> Result<(), Stop> {
        self.mark = Some(next);
        self.write()
    }

    /// Everything is.
    pub(super) fn copied(&mut self) -> Result<(), Stop> {
        (self.stage, self.mark) = (Stage::Comparing, None);
        self.write()
    }

    /// All of it once more; what was counted stays counted.
    pub(super) fn begin_again(&mut self) -> Result<(), Stop> {
        (self.stage, self.mark) = (Stage::Copying, None);
        self.write()
    }

    /// It is done.
    pub(super) fn remove(&self) {
        // What stays begins with a comparison the next time: no harm.
        let _ = std::fs::remove_file(&self.path);
    }

    fn write(&self) -> Result<(), Stop> {
        let kept = Kept {
            kind: self.way.kind.to_owned(),
            from: self.way.from.clone(),
            to: self.way.to.clone(),
            stage: self.stage,
            mark: self.mark.as_ref().map(|mark| mark.as_str().to_owned()),
            counts: self.counts,
        };
        let text = serde_json::to_string(&kept).map_err(|error| Stop::failed(error.to_string()))?;
        // Whole or not at all: whoever is killed in between leaves the one before.
        let aside = self.path.with_extension("new");
        let written = std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, &self.path));
        written.map_err(|error| unwritable(&self.path, &error))
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Stop {
    let path = path.display();
    Stop::failed(format!(
        "the checkpoint {path} cannot be written ({error}); set SESSILE_DATA_DIR to a folder of this user's"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_found_again_by_its_own_way_only() {
        let folder = tempfile::tempdir().unwrap();
        let way = |to: &str| Way { kind: "login", from: "a".to_owned(), to: to.to_owned() };
        let mut first = Checkpoint::of(folder.path(), &way("b"), false).unwrap();
        first.counts.new = 7;
        first.reached(Mark::new("session x")).unwrap();
        let again = Checkpoint::of(folder.path(), &way("b"), false).unwrap();
        assert_eq!((again.counts.new, again.mark), (7, Some(Mark::new("session x"))));
        assert_eq!(Checkpoint::of(folder.path(), &way("c"), false).unwrap().mark, None);
        assert_eq!(Checkpoint::of(folder.path(), &way("b"), true).unwrap().mark, None);
        first.copied().unwrap();
        let compared = Checkpoint::of(folder.path(), &way("b"), false).unwrap();
        assert_eq!((compared.stage, compared.mark), (Stage::Comparing, None));
        first.remove();
        assert_eq!(Checkpoint::of(folder.path(), &way("b"), false).unwrap().counts, Counts::default());
    }
}

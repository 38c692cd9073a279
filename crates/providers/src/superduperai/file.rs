//! A file of the generator: the video, from when it was asked for. What we do not read is kept as it came.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use url::Url;

use crate::transport::{is_plain_id, shortened};

/// What a failure without words says.
const FAILED: &str = "the generator could not make this video";
const FAILED_ADDRESS: &str = "the generator named an address that is not on the web";

/// One file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct File {
    /// Names it in paths: letters, digits, `-` and `_` only.
    pub id: String,
    /// Where it can be watched; from when it is done.
    pub url: Option<String>,
    /// Where its picture is.
    pub thumbnail_url: Option<String>,
    /// `video`, in the generator's words.
    pub kind: Option<String>,
    /// Seconds.
    pub duration_s: Option<f64>,
    /// What it was asked for with.
    pub video_generation: Option<VideoGeneration>,
    /// The work on it.
    pub tasks: Vec<Task>,
    raw: Box<RawValue>,
}

/// What a video was asked for with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct VideoGeneration {
    /// The generator's id of the request.
    #[serde(default)]
    pub id: Option<String>,
    /// Ours; `None` where it is not one that we make.
    #[serde(default, deserialize_with = "seed")]
    pub seed: Option<u32>,
}

/// A piece of work.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Task {
    /// Names it.
    #[serde(default)]
    pub id: Option<String>,
    /// What is done, in the generator's words.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Where it stands.
    #[serde(default)]
    pub status: TaskStatus,
    /// Of which file.
    #[serde(default)]
    pub file_id: Option<String>,
    /// Words about it; undocumented, where present.
    #[serde(default, alias = "error", deserialize_with = "words")]
    pub message: Option<String>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Not done yet.
    InProgress,
    /// Done.
    Completed,
    /// It will not be done.
    #[serde(alias = "failed")]
    Error,
    /// A word we do not know, or none.
    #[default]
    #[serde(other)]
    Unknown,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The video can be watched.
    Done {
        /// Where; http or https.
        url: String,
    },
    /// It will not be made.
    Failed {
        /// A sentence: the generator's, shortened, or ours.
        message: String,
    },
    /// Ask again later.
    Running,
}

#[derive(Deserialize)]
struct Fields {
    id: String,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    thumbnail_url: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    duration: Option<f64>,
    #[serde(default)]
    video_generation: Option<VideoGeneration>,
    #[serde(default)]
    tasks: Option<Vec<Task>>,
}

impl File {
    /// Reads a file object; `None` if it is none.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice::<&RawValue>(json).ok().and_then(Self::read)
    }

    pub(super) fn read(raw: &RawValue) -> Option<Self> {
        let fields: Fields = serde_json::from_str(raw.get()).ok()?;
        if !is_plain_id(&fields.id) {
            return None;
        }
        Some(Self {
            id: fields.id,
            url: fields.url.filter(|url| !url.is_empty()),
            thumbnail_url: fields.thumbnail_url.filter(|url| !url.is_empty()),
            kind: fields.kind,
            duration_s: fields.duration,
            video_generation: fields.video_generation,
            tasks: fields.tasks.unwrap_or_default(),
            raw: raw.to_owned(),
        })
    }

    /// The object as it came, for those who know the generator.
    #[must_use]
    pub fn raw(&self) -> &RawValue {
        &self.raw
    }

    /// What became of it. A video that can be watched is done, whatever its tasks say.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if let Some(url) = &self.url {
            // It becomes a link in a page: nothing but the web may stand there.
            let web = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            return match web {
                true => Verdict::Done { url: url.clone() },
                false => Verdict::Failed { message: FAILED_ADDRESS.to_owned() },
            };
        }
        match self.tasks.iter().find(|task| task.status == TaskStatus::Error) {
            Some(task) => {
                let message = task.message.as_deref().map(shortened).filter(|words| !words.is_empty());
                Verdict::Failed { message: message.unwrap_or_else(|| FAILED.to_owned()) }
            }
            None => Verdict::Running,
        }
    }

    pub(super) fn has_seed(&self, seed: u32) -> bool {
        self.video_generation.as_ref().is_some_and(|made| made.seed == Some(seed))
    }
}

/// Other people's requests may have seeds that ours never have.
fn seed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| value.as_u64()).and_then(|seed| u32::try_from(seed).ok()))
}

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| value.as_str().map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(json: serde_json::Value) -> File {
        File::parse(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_file_is_read_and_kept_as_it_came() {
        let text = r#"{ "id":"998d1ea1-9198", "url":null, "thumbnail_url":"", "type":"video", "duration":8.5,
            "video_generation":{"id":"50e5", "seed":42, "prompt":"a cat", "references":[]},
            "tasks":[{"type":"video-generation-flow","status":"in_progress","id":"t1","file_id":"998d1ea1-9198"}],
            "new":1.10 }"#;
        let file = File::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (file.id.as_str(), file.url.as_deref(), file.thumbnail_url.as_deref()),
            ("998d1ea1-9198", None, None)
        );
        assert_eq!((file.kind.as_deref(), file.duration_s), (Some("video"), Some(8.5)));
        assert_eq!(file.tasks[0].status, TaskStatus::InProgress);
        assert!(file.has_seed(42) && !file.has_seed(43));
        assert_eq!(file.raw().get(), text);
        assert_eq!(file.verdict(), Verdict::Running);
    }

    #[test]
    fn a_url_is_done_and_a_broken_task_is_failed() {
        let url = "https://cdn.example/v.mp4";
        let done = Verdict::Done { url: url.to_owned() };
        assert_eq!(file(json!({"id": "a", "url": url})).verdict(), done);
        assert_eq!(file(json!({"id": "a", "url": url, "tasks": [{"status": "error"}]})).verdict(), done);
        for status in ["error", "failed"] {
            let broken = file(json!({"id": "a", "tasks": [{"status": "completed"}, {"status": status}]}));
            assert_eq!(broken.verdict(), Verdict::Failed { message: FAILED.to_owned() });
        }
        let told = file(json!({"id": "a", "tasks": [{"status": "failed", "message": "too\nviolent"}]}));
        assert_eq!(told.verdict(), Verdict::Failed { message: "tooviolent".to_owned() });
        for running in [
            json!({"id": "a"}),
            json!({"id": "a", "tasks": null}),
            json!({"id": "a", "tasks": [{"status": "completed"}]}),
            json!({"id": "a", "tasks": [{"status": "queued"}, {}]}),
        ] {
            assert_eq!(file(running).verdict(), Verdict::Running);
        }
    }

    #[test]
    fn only_the_web_becomes_a_link() {
        for bad in ["javascript:alert(1)", "/media/v.mp4", "file:///etc/passwd", "data:text/html,x"] {
            let verdict = file(json!({"id": "a", "url": bad})).verdict();
            assert_eq!(verdict, Verdict::Failed { message: FAILED_ADDRESS.to_owned() }, "{bad}");
        }
    }

    #[test]
    fn what_is_no_file_is_none() {
        for bad in
            ["", "null", "[]", "{}", r#"{"id":7}"#, r#"{"id":""}"#, r#"{"id":"../x"}"#, r#"{"id":"a"} x"#]
        {
            assert!(File::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        for seed in [json!(-1), json!(1.5), json!("42"), json!(1_000_000_000_000_u64), json!(null)] {
            let odd = file(json!({"id": "a", "video_generation": {"seed": seed}}));
            assert_eq!(odd.video_generation.unwrap().seed, None);
        }
    }
}

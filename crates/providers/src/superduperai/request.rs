//! What is asked for: one video.

use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// The model, as the generator names it.
pub const GENERATION_CONFIG: &str = "google-cloud/veo3-text2video";
/// The largest seed: what a 32-bit signed integer holds.
pub const SEED_MAX: u32 = i32::MAX.unsigned_abs();

const FRAME_RATE: u32 = 30;
/// One request, one video: that is what can be counted.
const BATCH_SIZE: u32 = 1;
/// Pixels of a side.
const SIDE_MAX: u32 = 7680;

/// Width and height in pixels, `1280x720`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resolution {
    width: u32,
    height: u32,
}

/// A resolution that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a resolution is written like 1280x720")]
pub struct InvalidResolution;

impl Resolution {
    /// `16:9` and its like: the sides without their common divisor.
    #[must_use]
    pub fn aspect_ratio(self) -> String {
        let (mut divisor, mut rest) = (self.width, self.height);
        while rest != 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        format!("{}:{}", self.width / divisor, self.height / divisor)
    }
}

impl FromStr for Resolution {
    type Err = InvalidResolution;

    fn from_str(text: &str) -> Result<Self, InvalidResolution> {
        let (width, height) = text.split_once('x').ok_or(InvalidResolution)?;
        let side = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|side| digits && (1..=SIDE_MAX).contains(side)).ok_or(InvalidResolution)
        };
        Ok(Self { width: side(width)?, height: side(height)? })
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// One video to be.
#[derive(Clone, PartialEq, Eq)]
pub struct GenerateVideo {
    /// The buyer's words, whole.
    pub prompt: String,
    /// What must not be seen; empty is nothing.
    pub negative_prompt: String,
    /// How large.
    pub resolution: Resolution,
    /// How long, in seconds.
    pub duration_s: u32,
    /// Up to [`SEED_MAX`]. Recorded before the request and different for every request: the file carries it, and
    /// [`Client::find`](super::Client::find) knows the request by it.
    pub seed: u32,
    /// Which model; see [`GENERATION_CONFIG`].
    pub generation_config: String,
}

#[derive(Serialize)]
struct Body<'a> {
    config: Fields<'a>,
}

#[derive(Serialize)]
struct Fields<'a> {
    prompt: &'a str,
    negative_prompt: &'a str,
    width: u32,
    height: u32,
    aspect_ratio: String,
    duration: u32,
    seed: u32,
    generation_config_name: &'a str,
    frame_rate: u32,
    batch_size: u32,
    references: [(); 0],
}

impl GenerateVideo {
    pub(super) fn body(&self) -> Option<Vec<u8>> {
        let config = Fields {
            prompt: &self.prompt,
            negative_prompt: &self.negative_prompt,
            width: self.resolution.width,
            height: self.resolution.height,
            aspect_ratio: self.resolution.aspect_ratio(),
            duration: self.duration_s,
            seed: self.seed,
            generation_config_name: &self.generation_config,
            frame_rate: FRAME_RATE,
            batch_size: BATCH_SIZE,
            references: [],
        };
        serde_json::to_vec(&Body { config }).ok()
    }
}

/// The prompt is the buyer's: it has no place in a log.
impl fmt::Debug for GenerateVideo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenerateVideo")
            .field("prompt", &format_args!("[{} bytes]", self.prompt.len()))
            .field("resolution", &format_args!("{}", self.resolution))
            .field("duration_s", &self.duration_s)
            .field("seed", &self.seed)
            .field("generation_config", &self.generation_config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_resolution_has_two_sides() {
        for (text, ratio) in
            [("1280x720", "16:9"), ("720x1280", "9:16"), ("1080x1080", "1:1"), ("1x7680", "1:7680")]
        {
            let resolution: Resolution = text.parse().unwrap();
            assert_eq!((resolution.to_string().as_str(), resolution.aspect_ratio().as_str()), (text, ratio));
        }
        for bad in
            ["", "1280", "1280x", "x720", "0x720", "+1x720", "1280x720x1", "1280X720", "99999x1", "-1x1"]
        {
            assert_eq!(bad.parse::<Resolution>(), Err(InvalidResolution), "{bad}");
        }
    }

    #[test]
    fn the_body_is_as_documented_and_the_prompt_is_whole() {
        let prompt = "a \"cat\" \u{5d0}\u{200f} 😀\n".repeat(1000);
        let video = GenerateVideo {
            prompt: prompt.clone(),
            negative_prompt: String::new(),
            resolution: "1280x720".parse().unwrap(),
            duration_s: 8,
            seed: 42,
            generation_config: GENERATION_CONFIG.to_owned(),
        };
        let body: serde_json::Value = serde_json::from_slice(&video.body().unwrap()).unwrap();
        assert_eq!(
            body,
            json!({"config": {"prompt": prompt, "negative_prompt": "", "width": 1280, "height": 720,
                "aspect_ratio": "16:9", "duration": 8, "seed": 42,
                "generation_config_name": "google-cloud/veo3-text2video", "frame_rate": 30, "batch_size": 1,
                "references": []}})
        );
        assert!(!format!("{video:?}").contains("cat"));
    }
}

//! The round mini-program code, as an image.

use std::ops::RangeInclusive;

use serde::Serialize;

use crate::client::Call;
use crate::{Client, Edition, Error, TransportFault};

const CODE_IMAGE: Call = Call { name: "code_image", path: "wxa/getwxacodeunlimit" };

/// How wide a code may be, in pixels.
pub const CODE_WIDTH_PX: RangeInclusive<u32> = 280..=1280;

/// Longest scene, in characters.
const SCENE_CHARS: usize = 32;

/// What a code tells the page that it opens: 1 to 32 digits, letters and ``!#$&'()*+,/:;=?@-._~``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene(String);

/// Why a text cannot be a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadScene {
    /// Empty, or longer than 32 characters.
    #[error("a scene has 1 to 32 characters")]
    Length,
    /// A character that WeChat does not take.
    #[error("a scene has digits, letters and !#$&'()*+,/:;=?@-._~ only")]
    Character,
}

impl Scene {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`BadScene`] when it breaks a rule.
    pub fn new(text: impl Into<String>) -> Result<Self, BadScene> {
        let text = text.into();
        if !text.chars().all(is_scene_character) {
            Err(BadScene::Character)
        } else if text.is_empty() || text.len() > SCENE_CHARS {
            Err(BadScene::Length)
        } else {
            Ok(Self(text))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_scene_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$&'()*+,/:;=?@-._~".contains(character)
}

impl Edition {
    fn as_env_version(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Trial => "trial",
            Self::Develop => "develop",
        }
    }
}

impl Client {
    /// The image (JPEG or PNG) of a code that opens `page` with `scene`, `width_px` pixels wide.
    ///
    /// `page` is a path without leading slash and query, such as `pages/scan/index`; none means the home page. With
    /// `check_path` WeChat refuses a page that is not published.
    ///
    /// # Errors
    /// [`Error::BadField`] for a width outside [`CODE_WIDTH_PX`], [`Error::BadScene`], [`Error::BadPage`],
    /// [`Error::TooOften`], and the general ones.
    pub async fn code_image(
        &self,
        scene: &Scene,
        page: Option<&str>,
        check_path: bool,
        width_px: u32,
    ) -> Result<Vec<u8>, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            scene: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            page: Option<&'a str>,
            check_path: bool,
            env_version: &'static str,
            width: u32,
        }
        if !CODE_WIDTH_PX.contains(&width_px) {
            return Err(Error::BadField { detail: format!("width {width_px} is not 280 to 1280 pixels") });
        }
        let env_version = self.config.edition.as_env_version();
        let body = Body { scene: scene.as_str(), page, check_path, env_version, width: width_px };
        let image = self.post(CODE_IMAGE, &body).await?;
        if is_image(&image) { Ok(image) } else { Err(TransportFault::NotUnderstood.into()) }
    }
}

/// Whether `body` starts as a JPEG or a PNG does.
fn is_image(body: &[u8]) -> bool {
    body.starts_with(b"\xff\xd8\xff") || body.starts_with(b"\x89PNG\r\n\x1a\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_keeps_the_rules() {
        assert_eq!(Scene::new("s=7K3M-9PQX").unwrap().as_str(), "s=7K3M-9PQX");
        assert!(Scene::new("!#$&'()*+,/:;=?@-._~").is_ok());
        assert!(Scene::new("a".repeat(32)).is_ok());
        assert_eq!(Scene::new("a".repeat(33)), Err(BadScene::Length));
        assert_eq!(Scene::new(""), Err(BadScene::Length));
        for bad in ["a b", "50%", "昔阳", "a\"b", "a\\b"] {
            assert_eq!(Scene::new(bad), Err(BadScene::Character), "{bad}");
        }
    }

    #[test]
    fn images_are_known_by_their_first_bytes() {
        assert!(is_image(b"\x89PNG\r\n\x1a\nrest"));
        assert!(is_image(b"\xff\xd8\xff\xe0"));
        assert!(!is_image(b""));
        assert!(!is_image(b"<html>"));
        assert!(!is_image(br#"{"errcode":0}"#));
    }
}

//! Pictures of letters, for people to read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use captcha::Captcha;
use captcha::filters::{Dots, Noise, Wave};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use sha1::{Digest, Sha1};

use crate::forms::Media;
use crate::xml::{Element, namespaces as ns};

/// Letters and digits that are not taken for one another.
const LETTERS: &str = "abdefhkmnpqrtwxyABDEFGHKMNPQRT34678";

/// How many there are.
const LENGTH: u32 = 6;

/// The size that they are drawn in, and the one that they are shown in.
const DRAWN: (u32, u32) = (260, 110);
const SHOWN: (u32, u32) = (195, 83);

/// How good the picture is, of 100: what is embedded should have 8 KiB at most (XEP-0231 §2).
const QUALITY: u8 = 50;

/// The type of pictures: the one that every client that knows challenges can show (XEP-0158 §5.2).
pub const TYPE: &str = "image/jpeg";

/// A picture.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Picture {
    /// A JPEG.
    pub bytes: Vec<u8>,
}

impl Picture {
    /// Draws random letters, and tells which ones. Takes milliseconds.
    pub fn draw() -> Option<(String, Picture)> {
        let letters: Vec<char> = LETTERS.chars().collect();
        let mut captcha = Captcha::new();
        captcha
            .set_chars(&letters)
            .add_chars(LENGTH)
            .apply_filter(Wave::new(2.0, 10.0).horizontal())
            .apply_filter(Wave::new(2.0, 10.0).vertical())
            .view(DRAWN.0, DRAWN.1)
            .apply_filter(Noise::new(0.08))
            .apply_filter(Dots::new(10).min_radius(3).max_radius(6));
        let (answer, drawn) = captcha.as_tuple()?;
        let grey = image::load_from_memory(&drawn).ok()?.to_luma8();
        let shown = resize(&grey, SHOWN.0, SHOWN.1, FilterType::Triangle);
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&shown).ok()?;
        Some((answer, Picture { bytes }))
    }

    /// By which the picture is found within the stanza (XEP-0231 §3).
    fn content_id(&self) -> String {
        let hash: String = Sha1::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha1+{hash}@bob.xmpp.org")
    }

    /// What a field of a form says of it (XEP-0221).
    pub fn media(&self) -> Media {
        let (width, height) = SHOWN;
        Media { width, height, kind: TYPE, uri: format!("cid:{}", self.content_id()) }
    }

    /// The picture itself, within a stanza (XEP-0231). Nobody keeps it.
    pub fn to_element(&self) -> Element {
        Element::new("data", ns::BITS_OF_BINARY)
            .with_attribute("cid", &self.content_id())
            .with_attribute("type", TYPE)
            .with_attribute("max-age", "0")
            .with_text(&STANDARD.encode(&self.bytes))
    }

    /// The picture as the address of itself (RFC 2397), for a page.
    pub fn to_url(&self) -> String {
        format!("data:{TYPE};base64,{}", STANDARD.encode(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_letters_and_the_size_that_is_said() {
        for _ in 0..20 {
            let (answer, picture) = Picture::draw().unwrap();
            assert!(answer.len() == LENGTH as usize && answer.chars().all(|letter| LETTERS.contains(letter)));
            assert!(picture.bytes.len() <= 8 << 10, "{}", picture.bytes.len());
            let read = image::load_from_memory_with_format(&picture.bytes, image::ImageFormat::Jpeg).unwrap();
            assert_eq!((read.width(), read.height()), SHOWN);
            let element = picture.to_element();
            assert_eq!(picture.media().uri, format!("cid:{}", element.attribute("cid").unwrap()));
            assert_eq!(STANDARD.decode(element.text()).unwrap(), picture.bytes);
        }
    }

    #[test]
    fn no_two_are_alike() {
        let (one, other) = (Picture::draw().unwrap(), Picture::draw().unwrap());
        assert!(one.0 != other.0 && one.1 != other.1);
    }
}

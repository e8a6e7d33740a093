//! Reading the letters of a picture as a program does: after some cleaning, and right one time in eight.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::imageops::{FilterType, blur, resize};

/// The picture in a form of a stream, or in a page, as a JPEG.
pub fn picture_in(text: &str) -> Vec<u8> {
    let before = ["max-age='0'>", "src=\"data:image/jpeg;base64,"].into_iter().find(|before| text.contains(before));
    let (_, rest) = before.and_then(|before| text.split_once(before)).unwrap_or_else(|| panic!("no picture: {text}"));
    let end = rest.find(['<', '"']).unwrap();
    STANDARD.decode(&rest[..end]).unwrap()
}

/// What tesseract reads in a JPEG.
pub fn read(jpeg: &[u8]) -> String {
    let grey = image::load_from_memory_with_format(jpeg, image::ImageFormat::Jpeg).unwrap().to_luma8();
    let (width, height) = grey.dimensions();
    let mut clean = blur(&resize(&grey, width * 3, height * 3, FilterType::CatmullRom), 2.5);
    clean.pixels_mut().for_each(|pixel| pixel.0[0] = if pixel.0[0] < 130 { 0 } else { 255 });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("clean.png");
    clean.save(&path).unwrap();
    let mut command = Command::new("tesseract");
    command.arg(&path).args(["-", "--psm", "7", "-c"]);
    command.arg("tessedit_char_whitelist=abdefhkmnpqrtwxyABDEFGHKMNPQRT34678").env("OMP_THREAD_LIMIT", "1");
    let output = command.output().unwrap_or_else(|error| panic!("{error}; is it installed (.ci/setup tests)?"));
    String::from_utf8(output.stdout).unwrap().split_whitespace().collect()
}

//! A QR code drawn: as a picture for a page, as SVG, and as text for a terminal. What it says is a secret while it is
//! good, so nothing here keeps or logs it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qrcode::render::{svg, unicode};
use qrcode::{EcLevel, QrCode};

/// Light modules around the code, which scanners need (ISO/IEC 18004).
const QUIET: usize = 4;
/// Pixels of one module in a picture.
const MODULE_PIXELS: usize = 6;
/// The least width of an SVG.
const SVG_PIXELS: u32 = 264;

/// How it is to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drawing {
    /// A PNG as a data URL.
    DataUrl,
    /// A PNG's bytes.
    Png,
    /// SVG.
    Svg,
    /// Half blocks, two modules a character.
    Terminal,
}

/// The code is too long to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this code cannot be drawn")]
pub(crate) struct Undrawable;

/// Draws.
///
/// # Errors
/// [`Undrawable`] for more than a QR code holds, which WhatsApp never sends.
pub(crate) fn draw(text: &str, drawing: Drawing) -> Result<Vec<u8>, Undrawable> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| Undrawable)?;
    match drawing {
        Drawing::Png => png_of(&code),
        Drawing::DataUrl => {
            let picture = png_of(&code)?;
            Ok(format!("data:image/png;base64,{}", STANDARD.encode(picture)).into_bytes())
        }
        Drawing::Svg => {
            let svg = code.render::<svg::Color<'_>>().min_dimensions(SVG_PIXELS, SVG_PIXELS).build();
            Ok(svg.into_bytes())
        }
        Drawing::Terminal => {
            // Terminals are dark more often than not; scanners want dark on light.
            let mut drawn = code
                .render::<unicode::Dense1x2>()
                .dark_color(unicode::Dense1x2::Light)
                .light_color(unicode::Dense1x2::Dark)
                .build();
            drawn.push('\n');
            Ok(drawn.into_bytes())
        }
    }
}

/// One bit a pixel: small, and sharp at every size.
fn png_of(code: &QrCode) -> Result<Vec<u8>, Undrawable> {
    let side = (code.width() + 2 * QUIET) * MODULE_PIXELS;
    let colors = code.to_colors();
    let is_light = |x: usize, y: usize| {
        let at = |pixel: usize| (pixel / MODULE_PIXELS).checked_sub(QUIET).filter(|at| *at < code.width());
        match (at(x), at(y)) {
            (Some(column), Some(row)) => colors[row * code.width() + column] == qrcode::Color::Light,
            _ => true,
        }
    };
    let mut rows = vec![0_u8; side.div_ceil(8) * side];
    for y in 0..side {
        for x in (0..side).filter(|x| is_light(*x, y)) {
            rows[y * side.div_ceil(8) + x / 8] |= 0x80 >> (x % 8);
        }
    }
    let width = u32::try_from(side).map_err(|_| Undrawable)?;
    let mut picture = Vec::new();
    let mut encoder = png::Encoder::new(&mut picture, width, width);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().map_err(|_| Undrawable)?;
    writer.write_image_data(&rows).map_err(|_| Undrawable)?;
    writer.finish().map_err(|_| Undrawable)?;
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "2@abcdefghijklmnopqrstuvwxyz,AAAAAAAA,BBBBBBBB,CCCCCCCC";

    #[test]
    fn a_picture_is_a_png_with_a_light_border() {
        let drawn = draw(TEXT, Drawing::Png).unwrap();
        assert!(drawn.starts_with(b"\x89PNG\r\n\x1a\n"));
        let mut reader = png::Decoder::new(std::io::Cursor::new(&drawn)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.width, info.height);
        let line = info.line_size;
        assert!(pixels[..line * QUIET * MODULE_PIXELS].iter().all(|byte| *byte == 0xff || *byte >= 0x80));
        // The finder pattern: its corner is dark.
        let corner = QUIET * MODULE_PIXELS;
        assert_eq!(pixels[corner * line + corner / 8] & (0x80 >> (corner % 8)), 0);
    }

    #[test]
    fn every_way_to_draw_it_gives_something() {
        let text = |drawing| String::from_utf8(draw(TEXT, drawing).unwrap()).unwrap();
        assert!(text(Drawing::DataUrl).starts_with("data:image/png;base64,iVBOR"));
        assert!(text(Drawing::Svg).contains("<svg"));
        assert!(text(Drawing::Terminal).lines().count() > 15);
        assert_eq!(draw(&"x".repeat(5000), Drawing::Svg), Err(Undrawable));
    }
}

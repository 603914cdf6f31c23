//! Scans what this crate draws: a real rasteriser paints it, a real decoder reads it back.
//!
//! The rasteriser paints no text, so what is scanned here is the code among bands and frame; how the text looks was
//! judged by eye.

use resvg::{tiny_skia, usvg};
use xingfuma_sheets::{AddressTooLong, badge, plate, qr};

/// An address as long as real ones are.
const SIGN_URL: &str = "https://xingfuma.example.gov.cn/q/7K3MPQ9X";
const BADGE_URL: &str = "https://xingfuma.example.gov.cn/b/05-00127-X";
/// The level indicator that the symbol itself carries (ISO/IEC 18004, table 12): L is 01, Q is 11.
const LEVEL_L: u16 = 0b01;
const LEVEL_Q: u16 = 0b11;

/// What a camera gets from a symbol.
#[derive(Debug, PartialEq)]
struct Scan {
    text: String,
    level: u16,
}

fn scan(width: usize, height: usize, grey: impl FnMut(usize, usize) -> u8) -> Scan {
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(width, height, grey);
    let grids = picture.detect_grids();
    assert_eq!(grids.len(), 1, "exactly one symbol is visible");
    let (meta, text) = grids[0].decode().expect("the symbol decodes");
    Scan { text, level: meta.ecc_level }
}

fn painted(svg: &str, width_px: u32) -> tiny_skia::Pixmap {
    let tree = usvg::Tree::from_str(svg, &usvg::Options::default()).expect("a valid drawing");
    let scale = width_px as f32 / tree.size().width();
    let height_px = (tree.size().height() * scale).ceil() as u32;
    let mut picture = tiny_skia::Pixmap::new(width_px, height_px).expect("a picture of that size");
    resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut picture.as_mut());
    picture
}

/// Transparent pixels count as mid-grey ground: a page's own colour, which the drawing must not rely on.
fn grey_at(picture: &tiny_skia::Pixmap, x: usize, y: usize) -> u8 {
    let pixel = picture.pixel(x as u32, y as u32).expect("inside the picture");
    if pixel.alpha() < 255 {
        return 128;
    }
    let (r, g, b) = (u32::from(pixel.red()), u32::from(pixel.green()), u32::from(pixel.blue()));
    ((r * 299 + g * 587 + b * 114) / 1000) as u8
}

fn scan_svg(svg: &str, width_px: u32) -> Scan {
    let picture = painted(svg, width_px);
    scan(picture.width() as usize, picture.height() as usize, |x, y| grey_at(&picture, x, y))
}

fn sample_plate() -> plate::Plate<'static> {
    plate::Plate {
        hotline: "0354-4120000",
        code: "7k3mpq9x",
        grid_name: "乐平镇（样例）东街社区第二网格",
        county_name: "昔阳县",
        url: SIGN_URL,
    }
}

fn sample_badge() -> badge::Badge<'static> {
    badge::Badge {
        number: "05-00127-X",
        surname: "欧阳",
        team: "东街社区第二网格志愿服务队",
        county_name: "昔阳县",
        url: BADGE_URL,
    }
}

/// The text of every `<text>` element, in order; fails where the document is not well-formed XML.
fn texts(svg: &str) -> Vec<String> {
    let document = usvg::roxmltree::Document::parse(svg).expect("well-formed XML");
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    texts.map(|node| node.text().unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_svg_code_scans_at_level_q() {
    let svg = qr::svg(SIGN_URL).expect("fits");
    assert_eq!(scan_svg(&svg, 300), Scan { text: SIGN_URL.to_owned(), level: LEVEL_Q });
}

#[test]
fn an_svg_code_keeps_four_light_modules_on_every_side() {
    let picture = painted(&qr::svg(SIGN_URL).expect("fits"), 410); // version 4: 33 + 8 modules of 10 pixels
    let dark = |x: usize, y: usize| grey_at(&picture, x, y) < 128;
    for along in 0..410 {
        for into in 0..40 {
            for (x, y) in [(along, into), (along, 409 - into), (into, along), (409 - into, along)] {
                assert_eq!(grey_at(&picture, x, y), 255, "quiet zone at {x},{y}");
            }
        }
    }
    assert!(dark(40, 40) && dark(369, 40) && dark(40, 369), "the finder patterns stand right behind it");
}

#[test]
fn a_blotted_code_still_scans() {
    // Blot out 3 × 9 modules in the middle of the data area, about 2.5 % of the symbol and far from the finders: level
    // Q shrugs it off. (A real blot may be larger, but how large depends on where it falls.)
    let picture = painted(&qr::svg(SIGN_URL).expect("fits"), 410);
    let blotted = scan(410, 410, |x, y| {
        if (160..190).contains(&x) && (170..260).contains(&y) { 0 } else { grey_at(&picture, x, y) }
    });
    assert_eq!(blotted.text, SIGN_URL);
}

#[test]
fn a_terminal_code_scans_from_a_dark_ground() {
    for url in ["http://127.0.0.1:8080/q/7K3MPQ9X", SIGN_URL, "x"] {
        let text = qr::terminal(url).expect("fits");
        let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "every line is as wide as the first");
        // Light modules are what the text colour fills: upper and lower halves of each character.
        let light = |column: usize, row: usize| match (lines[row / 2][column], row % 2) {
            ('█', _) | ('▀', 0) | ('▄', 1) => true,
            (' ' | '▀' | '▄', _) => false,
            (other, _) => panic!("{other:?} is not a block"),
        };
        let modules = lines[0].len();
        let zoom = 6;
        let margin = 4 * zoom; // the dark terminal around it
        let side = modules * zoom + 2 * margin;
        let read = scan(side, side, |x, y| {
            let inside = |at: usize| at.checked_sub(margin).map(|at| at / zoom).filter(|&at| at < modules);
            match (inside(x), inside(y)) {
                (Some(column), Some(row)) if light(column, row) => 230,
                _ => 20,
            }
        });
        assert_eq!(read, Scan { text: url.to_owned(), level: LEVEL_L });
        for edge in 0..modules {
            for depth in 0..qr::QUIET_MODULES {
                assert!(light(edge, depth) && light(edge, modules - 1 - depth), "quiet above and below");
                assert!(light(depth, edge) && light(modules - 1 - depth, edge), "quiet left and right");
            }
        }
    }
}

#[test]
fn a_plate_scans_and_says_the_same_in_words() {
    let svg = plate::svg(&sample_plate()).expect("fits");
    // 2 pixels a millimetre is what a phone sees from across the lane.
    assert_eq!(scan_svg(&svg, 420), Scan { text: SIGN_URL.to_owned(), level: LEVEL_Q });
    let words = texts(&svg);
    for wanted in ["7K3MPQ9X", "0354-4120000", "乐平镇（样例）东街社区第二网格", "昔阳县志愿服务"]
    {
        assert!(words.iter().any(|line| line == wanted), "{wanted} is in {words:?}");
    }
    assert!(words.iter().any(|line| line.contains(SIGN_URL)), "the address can be compared by eye");
}

#[test]
fn a_plates_code_is_ten_to_twelve_centimetres_wide() {
    let longest = format!("https://xingfuma.example.gov.cn/{:0>54}", "q");
    assert_eq!(longest.len(), 86);
    for url in ["http://10.0.0.1/q/7K3MPQ9X", SIGN_URL, &longest] {
        let svg = plate::svg(&plate::Plate { url, ..sample_plate() }).expect("fits");
        let document = usvg::roxmltree::Document::parse(&svg).expect("well-formed XML");
        let root = document.root_element();
        assert_eq!((root.attribute("width"), root.attribute("height")), (Some("210mm"), Some("297mm")));
        assert_eq!(root.attribute("viewBox"), Some("0 0 210 297"));
        let pixels_per_mm = 10;
        let picture = painted(&svg, 210 * pixels_per_mm);
        let (width, middle) = (210 * pixels_per_mm as usize, 66 * pixels_per_mm as usize);
        // Between frame and frame, between grid name and instruction, the symbol alone is dark.
        let columns: Vec<usize> = (100..width - 100)
            .filter(|&x| (middle..middle + 1400).any(|y| grey_at(&picture, x, y) < 100))
            .collect();
        let (first, last) = (columns[0], columns[columns.len() - 1]);
        let wide_mm = (last + 1 - first) as f64 / f64::from(pixels_per_mm);
        assert!((100.0..=120.0).contains(&wide_mm), "{wide_mm} mm for {url}");
        assert!((first as i64 + last as i64 - width as i64).abs() <= 2, "the symbol is centred");
    }
}

#[test]
fn a_badge_scans_and_says_no_more_than_it_may() {
    let svg = badge::svg(&sample_badge()).expect("fits");
    assert_eq!(scan_svg(&svg, 450), Scan { text: BADGE_URL.to_owned(), level: LEVEL_Q });
    assert_eq!(
        texts(&svg),
        [
            "昔阳县 幸福+码",
            "志愿者号牌",
            "欧阳 · 志愿者",
            "东街社区第二网格志愿服务队",
            "05-00127-X",
            "扫码可核验本人志愿者身份"
        ]
    );
    let document = usvg::roxmltree::Document::parse(&svg).expect("well-formed XML");
    assert_eq!(document.root_element().attribute("width"), Some("90mm"));
}

#[test]
fn hostile_names_stay_text() {
    let hostile = "</text><script>alert('1')</script>&\"\0";
    let shown = "</text><script>alert('1')</script>&\"\u{fffd}";
    let sign = plate::svg(&plate::Plate {
        hotline: hostile,
        code: hostile,
        grid_name: hostile,
        county_name: hostile,
        url: hostile,
    })
    .expect("fits");
    let worn = badge::svg(&badge::Badge {
        number: hostile,
        surname: hostile,
        team: hostile,
        county_name: hostile,
        url: hostile,
    })
    .expect("fits");
    for (name, svg) in [("plate", &sign), ("badge", &worn), ("code", &qr::svg(hostile).expect("fits"))] {
        let document =
            usvg::roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{name}: {error}"));
        let foreign: Vec<_> = document
            .descendants()
            .filter(|node| node.is_element())
            .map(|node| node.tag_name().name())
            .filter(|tag| !["svg", "title", "rect", "g", "path", "text"].contains(tag))
            .collect();
        assert_eq!(foreign, Vec::<&str>::new(), "{name}");
    }
    assert!(texts(&sign).iter().filter(|line| line.contains(shown)).count() >= 4, "shown as it was entered");
    assert!(texts(&worn).iter().filter(|line| line.contains(shown)).count() >= 4, "shown as it was entered");
}

#[test]
fn an_address_beyond_the_largest_symbol_is_refused() {
    let most = "x".repeat(1663);
    assert!(qr::svg(&most).is_ok());
    let more = "x".repeat(1664);
    let refused = AddressTooLong { bytes: 1664 };
    assert_eq!(qr::svg(&more), Err(refused));
    assert_eq!(plate::svg(&plate::Plate { url: &more, ..sample_plate() }), Err(refused));
    assert_eq!(badge::svg(&badge::Badge { url: &more, ..sample_badge() }), Err(refused));
    assert_eq!(qr::terminal(&"x".repeat(2954)), Err(AddressTooLong { bytes: 2954 }));
}

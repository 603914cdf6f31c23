//! The residents whose data is looked for afterwards.

use std::sync::Arc;

/// So many phones, names and addresses there are at least.
pub(crate) const CANARIES: usize = 200;
/// Stands in every text, and is no secret: where it is found, the texts were stored.
pub(crate) const MARKER: &str = "麻雀";

const RESIDENTS: u32 = 67;

/// An invented resident. Given name and address are of characters so rare that nothing else has them side by side.
#[derive(Debug)]
pub(crate) struct Bird {
    pub(crate) number: u32,
    pub(crate) phone: String,
    pub(crate) name: String,
    pub(crate) given_name: String,
    pub(crate) address: String,
    /// The part of the address that nothing else has.
    pub(crate) lane: String,
}

fn rare(number: u32) -> char {
    char::from_u32(0x3400 + number).expect("a character of extension A")
}

/// All of them.
pub(crate) fn flock() -> Vec<Arc<Bird>> {
    (0..RESIDENTS).map(|number| Arc::new(Bird::new(number))).collect()
}

impl Bird {
    fn new(number: u32) -> Self {
        let given_name = String::from_iter([rare(number * 31), rare(0x900 + number * 17)]);
        let lane: String = (0..4).map(|place| rare(0xD00 + place * 0x200 + number * 7 % 0x1F0)).collect();
        Self {
            number,
            // A range that was never given to a carrier.
            phone: format!("154{:08}", 10_000_019 + (number * 1_299_709) % 89_000_000),
            name: format!("王{given_name}"),
            address: format!("东大街{lane}巷{}号院{}室", number + 3, number + 201),
            given_name,
            lane,
        }
    }

    /// The ways in which people type a phone.
    pub(crate) fn typed_phones(&self) -> Vec<String> {
        let (first, second, third) = (&self.phone[..3], &self.phone[3..7], &self.phone[7..]);
        let map = |zero: [char; 10]| -> String {
            self.phone.bytes().map(|digit| zero[usize::from(digit - b'0')]).collect()
        };
        vec![
            self.phone.clone(),
            format!("{first} {second} {third}"),
            format!("{first}-{second}-{third}"),
            format!("+86{}", self.phone),
            map(['０', '１', '２', '３', '４', '５', '６', '７', '８', '９']),
            map(['零', '一', '二', '三', '四', '五', '六', '七', '八', '九']),
        ]
    }

    /// A text with all three in it, each time typed in another way.
    pub(crate) fn words(&self, turn: usize) -> String {
        let phones = self.typed_phones();
        let phone = &phones[(turn + self.number as usize) % phones.len()];
        let (name, address) = (&self.name, &self.address);
        match turn % 4 {
            0 => format!("{MARKER}：我叫{name}，电话{phone}，住{address}，请来"),
            1 => format!("{MARKER}{phone}{name}{address}"),
            2 => format!("到{address}找{}（{phone}），{MARKER}", self.given_name),
            _ => format!("{MARKER}\n{name}\n{address}\n{phone}\n"),
        }
    }
}

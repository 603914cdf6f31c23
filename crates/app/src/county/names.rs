//! Invented names: of people, villages and communities.

use std::collections::BTreeSet;

use super::chance::Chance;

/// What an invented area carries in its name, so that nobody takes it for a real one.
const SAMPLE_MARK: &str = "（示例）";

/// How many of a hundred people have a given name of two characters.
const PERCENT_OF_LONG_NAMES: usize = 82;

/// Frequent surnames.
const SURNAMES: &str = "王李张刘陈杨赵黄周吴徐孙马朱郭何林高罗郑梁谢宋唐许邓韩冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金贾夏付方邹熊白孟秦邱侯江尹薛闫段雷";

/// Characters of given names.
const GIVEN: &str = "秀英芳敏静丽强磊军洋勇艳杰娟超明刚霞桂兰玉梅红建国华文志伟海燕春云飞鹏辉俊峰健婷雪琴慧欣怡晨宇浩博鑫凯龙斌波林生福贵喜庆荣光成义仁礼智信安康宁乐瑞祥吉兴旺振业永昌卫民爱莲菊竹松柏青山川";

/// First characters of villages.
const VILLAGE_SIDE: &str = "上下东西南北前后新旧青白红石龙凤云银长双";

/// Second characters of villages.
const VILLAGE_THING: &str = "柳槐松杏桃梨榆枣柏泉河溪井岩峰桥塔磨渠沙";

/// Last characters of villages.
const VILLAGE_FORM: &str = "沟庄峪岭湾窑坪铺堡洼";

/// Characters of communities.
const COMMUNITY: &str = "安福康乐和祥瑞兴宁永";

/// Gives people names of two or three characters. Names repeat, as they do in any county.
pub(super) struct People {
    surnames: Vec<char>,
    given: Vec<char>,
}

impl People {
    pub(super) fn new() -> Self {
        Self { surnames: SURNAMES.chars().collect(), given: GIVEN.chars().collect() }
    }

    /// An invented name.
    pub(super) fn name(&self, chance: &mut Chance) -> String {
        let given_characters = if chance.below(100) < PERCENT_OF_LONG_NAMES { 2 } else { 1 };
        let mut name = String::from(chance.pick(&self.surnames));
        name.extend((0..given_characters).map(|_| chance.pick(&self.given)));
        name
    }
}

/// Gives each village and community a name of its own.
#[derive(Default)]
pub(super) struct Places {
    used: BTreeSet<String>,
}

impl Places {
    /// The name of a village, without the mark.
    pub(super) fn village(&mut self, chance: &mut Chance) -> String {
        let parts =
            [VILLAGE_SIDE, VILLAGE_THING, VILLAGE_FORM].map(|text| text.chars().collect::<Vec<char>>());
        self.unused(|| parts.iter().map(|part| chance.pick(part)).chain(['村']).collect())
    }

    /// The name of a community, without the mark.
    pub(super) fn community(&mut self, chance: &mut Chance) -> String {
        let characters: Vec<char> = COMMUNITY.chars().collect();
        self.unused(|| {
            let first = chance.below(characters.len());
            let second = (first + chance.between(1, characters.len() - 1)) % characters.len();
            format!("{}{}社区", characters[first], characters[second])
        })
    }

    fn unused(&mut self, mut invent: impl FnMut() -> String) -> String {
        loop {
            let name = invent();
            if self.used.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// The name with the mark of an invented one.
pub(super) fn sample(name: &str) -> String {
    format!("{name}{SAMPLE_MARK}")
}

/// 第一, 第二 …, for the few grids of one village.
pub(super) fn ordinal(number: usize) -> String {
    const NUMERALS: [&str; 10] = ["一", "二", "三", "四", "五", "六", "七", "八", "九", "十"];
    match NUMERALS.get(number.wrapping_sub(1)) {
        Some(numeral) => format!("第{numeral}"),
        None => format!("第{number}"),
    }
}

//! What messages say: a data file of templates and topics, and the facts that are put into them.
//!
//! A message names the number of the order, its category, its area and a moment, and has a hint in fixed words. Nothing
//! that a person typed is in it, no name, no phone, no address: whoever gets it may see all of that in the order itself,
//! and whoever looks over his shoulder may not.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, Utc};
use serde::Deserialize;
use uuid::Uuid;
use xingfuma_wechat::{DATE_FORMAT, FieldFault, FieldKind, Fields};

/// The words of the default county.
const SAMPLE: &str = include_str!("../../data/messages.json");
/// Longest text of an SMS, in characters: two parts.
const SMS_LONGEST: usize = 130;
/// What a text may ask for.
const FACTS: [&str; 7] = ["order", "number", "category", "area", "at", "status", "hint"];

/// What is wrong with a file of messages.
#[derive(Debug, thiserror::Error)]
pub enum BadTexts {
    /// It is not the JSON that is expected here.
    #[error("not the JSON of messages: {0}")]
    Json(#[from] serde_json::Error),
    /// A topic names a template that is none.
    #[error("topic {topic}: there is no template {template:?}")]
    Template {
        /// The topic.
        topic: String,
        /// What it names.
        template: String,
    },
    /// A template has a field of a kind that WeChat does not know.
    #[error("template {template}: {field:?} is no field of a message")]
    Field {
        /// The template.
        template: String,
        /// The field.
        field: String,
    },
    /// A text asks for a fact that is none.
    #[error("{at}: there is no fact {{{fact}}}")]
    Fact {
        /// Where.
        at: String,
        /// What it asks for.
        fact: String,
    },
    /// A fixed word breaks the rule of the field that it is for.
    #[error("topic {topic}: {fault}")]
    Words {
        /// The topic.
        topic: String,
        /// What is wrong.
        fault: FieldFault,
    },
}

/// What messages say, by topic. A topic that is not there is told in the inbox only.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    templates: BTreeMap<String, TemplateText>,
    topics: BTreeMap<String, TopicText>,
}

/// The fields of a template, as they were entered in WeChat's console.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateText {
    page: String,
    fields: BTreeMap<String, String>,
}

/// What is told of a topic.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicText {
    template: String,
    #[serde(default)]
    status: String,
    hint: String,
    sms: Option<String>,
}

/// The facts of one message.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The order.
    pub order: Uuid,
    /// Its number, as it is read over the phone.
    pub number: i64,
    /// The name of its category.
    pub category: String,
    /// The name of its area.
    pub area: String,
    /// When it happened.
    pub at: DateTime<Utc>,
}

impl Default for Texts {
    /// Those of the default county.
    fn default() -> Texts {
        Texts::read(SAMPLE).expect("the sample's messages are good, which a test makes sure of")
    }
}

impl Texts {
    /// Reads a file of messages.
    ///
    /// # Errors
    /// [`BadTexts`] for the first thing that is wrong: better at the start than with the first message.
    pub fn read(text: &str) -> Result<Texts, BadTexts> {
        let texts: Texts = serde_json::from_str(text)?;
        for (name, template) in &texts.templates {
            check_facts(&format!("template {name}"), &template.page)?;
            for (field, value) in &template.fields {
                let unknown = || BadTexts::Field { template: name.clone(), field: field.clone() };
                FieldKind::of(field).ok_or_else(unknown)?;
                check_facts(&format!("template {name}, {field}"), value)?;
            }
        }
        for (topic, words) in &texts.topics {
            let template = words.template.clone();
            if !texts.templates.contains_key(&template) {
                return Err(BadTexts::Template { topic: topic.clone(), template });
            }
            check_facts(&format!("topic {topic}"), words.sms.as_deref().unwrap_or_default())?;
            let trial = Facts {
                order: Uuid::nil(),
                number: 1_000_000_007,
                category: "便民代办".to_owned(),
                area: "网格".to_owned(),
                at: DateTime::UNIX_EPOCH,
            };
            texts
                .fields(topic, &trial)
                .transpose()
                .map_err(|fault| BadTexts::Words { topic: topic.clone(), fault })?;
        }
        Ok(texts)
    }

    /// The template by which a topic is told.
    pub fn template_of(&self, topic: &str) -> Option<&str> {
        self.topics.get(topic).map(|words| words.template.as_str())
    }

    /// Every template.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        self.templates.keys().map(String::as_str)
    }

    /// The names of a template's fields.
    pub fn field_names(&self, template: &str) -> Vec<String> {
        self.templates.get(template).map(|one| one.fields.keys().cloned().collect()).unwrap_or_default()
    }

    /// Whether a topic is told by SMS where WeChat cannot be.
    pub fn has_sms(&self, topic: &str) -> bool {
        self.topics.get(topic).is_some_and(|words| words.sms.is_some())
    }

    /// The fields of a topic's message, each made to fit; none for a topic that is told in the inbox only.
    pub fn fields(&self, topic: &str, facts: &Facts) -> Option<Result<Fields, FieldFault>> {
        let words = self.topics.get(topic)?;
        let template = self.templates.get(&words.template)?;
        let mut fields = Fields::new();
        for (field, value) in &template.fields {
            if let Err(fault) = fields.put_fitted(field, &fill(value, words, facts)) {
                return Some(Err(fault));
            }
        }
        Some(Ok(fields))
    }

    /// Where a tap on a topic's message leads.
    pub fn page(&self, topic: &str, facts: &Facts) -> Option<String> {
        let words = self.topics.get(topic)?;
        let template = self.templates.get(&words.template)?;
        Some(fill(&template.page, words, facts))
    }

    /// A topic's text message, of at most so many characters as two parts have.
    pub fn sms(&self, topic: &str, facts: &Facts) -> Option<String> {
        let words = self.topics.get(topic)?;
        let text = fill(words.sms.as_deref()?, words, facts);
        Some(text.chars().take(SMS_LONGEST).collect())
    }
}

fn check_facts(at: &str, text: &str) -> Result<(), BadTexts> {
    for part in text.split('{').skip(1) {
        let fact = part.split('}').next().unwrap_or_default();
        if !FACTS.contains(&fact) {
            return Err(BadTexts::Fact { at: at.to_owned(), fact: fact.to_owned() });
        }
    }
    Ok(())
}

/// Puts facts in their places, in one pass: what a fact says is never read as a place.
fn fill(text: &str, words: &TopicText, facts: &Facts) -> String {
    let mut parts = text.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (fact, rest) = part.split_once('}').unwrap_or((part, ""));
        match fact {
            "order" => filled.push_str(&facts.order.to_string()),
            "number" => filled.push_str(&facts.number.to_string()),
            "category" => filled.push_str(&facts.category),
            "area" => filled.push_str(&facts.area),
            "at" => filled.push_str(&in_china(facts.at)),
            "status" => filled.push_str(&words.status),
            "hint" => filled.push_str(&words.hint),
            _ => {}
        }
        filled.push_str(rest);
    }
    filled
}

fn in_china(at: DateTime<Utc>) -> String {
    let china = FixedOffset::east_opt(8 * 3_600).expect("eight hours are an offset");
    at.with_timezone(&china).format(DATE_FORMAT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            order: Uuid::from_u128(7),
            number: 100_017,
            category: "便民代办".to_owned(),
            area: "大寨村第一网格".to_owned(),
            at: "2026-11-21T07:01:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_samples_messages_are_good() {
        let texts = Texts::default();
        for topic in texts.topics.keys() {
            let fields = texts.fields(topic, &facts()).unwrap().unwrap();
            assert!(fields.iter().count() >= 5, "{topic}");
            assert!(texts.page(topic, &facts()).unwrap().ends_with(&facts().order.to_string()));
        }
        let fields = texts.fields("accepted", &facts()).unwrap().unwrap();
        let found: Vec<(&str, &str)> = fields.iter().collect();
        let expected = [
            ("character_string1", "100017"),
            ("phrase3", "已接单"),
            ("thing2", "便民代办"),
            ("thing5", "志愿者已接单，将与您联系"),
            ("time4", "2026年11月21日 15:01"),
        ];
        assert_eq!(found, expected);
        let sms = texts.sms("offered", &facts()).unwrap();
        assert_eq!(sms, "您有新的服务单100017（便民代办，大寨村第一网格），请打开小程序接单。");
        assert!(texts.fields("rated", &facts()).is_none() && !texts.has_sms("arrived"));
    }

    #[test]
    fn names_that_are_too_long_are_cut_by_characters() {
        let long = Facts {
            area: "一个名字特别特别特别长的村民居住网格第十二".to_owned(),
            category: "类".repeat(200),
            ..facts()
        };
        let texts = Texts::default();
        let fields = texts.fields("offered", &long).unwrap().unwrap();
        for (name, value) in fields.iter().filter(|(name, _)| name.starts_with("thing")) {
            assert!(value.chars().count() <= 20, "{name}: {value}");
        }
        assert_eq!(texts.sms("offered", &long).unwrap().chars().count(), SMS_LONGEST);
    }

    #[test]
    fn a_fact_is_never_read_as_a_place() {
        let sly = Facts { area: "{category}{hint}".to_owned(), ..facts() };
        assert!(Texts::default().sms("offered", &sly).unwrap().contains("{category}{hint}"));
    }

    #[test]
    fn a_file_that_is_wrong_says_where() {
        let broken = |from: &str, to: &str| Texts::read(&SAMPLE.replace(from, to)).unwrap_err().to_string();
        assert!(broken("\"thing1\"", "\"letter1\"").contains("letter1"));
        assert!(broken("{area}", "{street}").contains("{street}"));
        assert!(broken("\"template\": \"duty\"", "\"template\": \"news\"").contains("news"));
        assert!(broken("\"协调中\"", "\"\"").contains("phrase3"));
        assert!(Texts::read("{}").is_err());
    }
}

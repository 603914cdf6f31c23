//! What an opened delivery says.
//!
//! WeChat's events look different from one day to the next: a `List` is one object when there is one entry and an
//! array when there are several, it stands at the top or inside an object named for the event, and numbers come as
//! strings. All of that is read here; what is not known is [`EventKind::Other`], never an error.

use std::fmt;

use serde_json::Value;
use sha1::{Digest, Sha1};

use super::{PushError, hex};
use crate::Suggest;

/// One event. Its `Debug` text does not show the user.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The openid of the user it is about; empty when there is none.
    pub openid: String,
    /// When WeChat made it, in seconds since 1970.
    pub created_at_seconds: i64,
    /// The same for each repetition of one delivery, different for two deliveries: keep it to do things once.
    pub delivery_key: String,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// The picture check `trace_id` is done.
    MediaChecked {
        /// Which check: what [`crate::Client::check_picture`] answered.
        trace_id: String,
        /// WeChat's advice; [`Suggest::Review`] when it could not look at the picture.
        suggest: Suggest,
        /// What it found; 100 is nothing, 0 is not known.
        label: i64,
    },
    /// The user answered the question whether we may send messages. Each acceptance is one message.
    SubscribeAnswered(Vec<SubscribeAnswer>),
    /// The user changed his mind in the settings.
    SubscribeChanged(Vec<SubscribeAnswer>),
    /// Messages were delivered, or not.
    MessagesReported(Vec<MessageReport>),
    /// Something that we do nothing about.
    Other {
        /// WeChat's name of the event, or of the kind of message.
        name: String,
    },
}

/// The user's answer for one template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeAnswer {
    /// Which template.
    pub template_id: String,
    /// Whether he wants it.
    pub accepted: bool,
}

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageReport {
    /// Which template.
    pub template_id: String,
    /// What [`crate::Client::send_message`] answered.
    pub message_id: Option<u64>,
    /// 0 when delivered.
    pub errcode: i64,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("created_at_seconds", &self.created_at_seconds)
            .field("delivery_key", &self.delivery_key)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Event {
    /// Reads a message that [`super::PushGate::open`] answered.
    ///
    /// # Errors
    /// [`PushError::NotAnEvent`] when it is not a JSON object that says what it is.
    pub fn parse(message: &[u8]) -> Result<Self, PushError> {
        let value: Value = serde_json::from_slice(message).map_err(|_| PushError::NotAnEvent)?;
        let name = text(&value, "Event").or_else(|| text(&value, "MsgType")).ok_or(PushError::NotAnEvent)?;
        Ok(Self {
            openid: text(&value, "FromUserName").unwrap_or_default(),
            created_at_seconds: number(&value, "CreateTime").unwrap_or_default(),
            delivery_key: hex(&Sha1::digest(message)),
            kind: kind(&name, &value),
        })
    }
}

fn kind(name: &str, value: &Value) -> EventKind {
    match name {
        "wxa_media_check" => media_checked(value),
        "subscribe_msg_popup_event" => EventKind::SubscribeAnswered(answers(value)),
        "subscribe_msg_change_event" => EventKind::SubscribeChanged(answers(value)),
        "subscribe_msg_sent_event" => EventKind::MessagesReported(reports(value)),
        _ => EventKind::Other { name: name.to_owned() },
    }
}

fn media_checked(value: &Value) -> EventKind {
    let looked_at = number(value, "errcode").unwrap_or(0) == 0;
    let result = &value["result"];
    let suggest = match text(result, "suggest") {
        Some(word) if looked_at => Suggest::from_word(&word),
        _ => Suggest::Review,
    };
    EventKind::MediaChecked {
        trace_id: text(value, "trace_id").unwrap_or_default(),
        suggest,
        label: number(result, "label").unwrap_or_default(),
    }
}

fn answers(value: &Value) -> Vec<SubscribeAnswer> {
    let answer = |entry: &Value| {
        let accepted = text(entry, "SubscribeStatusString").as_deref() == Some("accept");
        Some(SubscribeAnswer { template_id: text(entry, "TemplateId")?, accepted })
    };
    entries(value).into_iter().filter_map(answer).collect()
}

fn reports(value: &Value) -> Vec<MessageReport> {
    let report = |entry: &Value| {
        Some(MessageReport {
            template_id: text(entry, "TemplateId")?,
            message_id: text(entry, "MsgID").and_then(|id| id.parse().ok()),
            errcode: number(entry, "ErrorCode").unwrap_or_default(),
        })
    };
    entries(value).into_iter().filter_map(report).collect()
}

/// The entries of `List`, wherever it stands and whatever it is.
fn entries(value: &Value) -> Vec<&Value> {
    let inside = || value.as_object()?.values().find_map(|inner| inner.get("List"));
    match value.get("List").or_else(inside) {
        Some(Value::Array(entries)) => entries.iter().collect(),
        Some(entry) => vec![entry],
        None => Vec::new(),
    }
}

/// A text, or a number as text.
fn text(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A number, or a text that is one.
fn number(value: &Value, key: &str) -> Option<i64> {
    text(value, key)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(message: &str) -> EventKind {
        Event::parse(message.as_bytes()).unwrap().kind
    }

    fn answer(template_id: &str, accepted: bool) -> SubscribeAnswer {
        SubscribeAnswer { template_id: template_id.to_owned(), accepted }
    }

    #[test]
    fn a_list_is_read_as_object_and_as_array_and_inside() {
        let one = r#"{"TemplateId":"t1","SubscribeStatusString":"accept","PopupScene":"0"}"#;
        let two = r#"{"TemplateId":"t2","SubscribeStatusString":"reject","PopupScene":"0"}"#;
        let event =
            |rest: &str| format!(r#"{{"MsgType":"event","Event":"subscribe_msg_popup_event",{rest}}}"#);
        let single = EventKind::SubscribeAnswered(vec![answer("t1", true)]);
        assert_eq!(kind_of(&event(&format!(r#""List":{one}"#))), single);
        assert_eq!(kind_of(&event(&format!(r#""List":[{one}]"#))), single);
        assert_eq!(kind_of(&event(&format!(r#""SubscribeMsgPopupEvent":{{"List":{one}}}"#))), single);
        let both = EventKind::SubscribeAnswered(vec![answer("t1", true), answer("t2", false)]);
        assert_eq!(kind_of(&event(&format!(r#""List":[{one},{two}]"#))), both);
        assert_eq!(kind_of(&event(r#""List":[]"#)), EventKind::SubscribeAnswered(Vec::new()));
    }

    #[test]
    fn a_change_of_mind_is_told_from_an_answer() {
        let message = r#"{"MsgType":"event","Event":"subscribe_msg_change_event",
            "List":{"TemplateId":"t1","SubscribeStatusString":"reject"}}"#;
        assert_eq!(kind_of(message), EventKind::SubscribeChanged(vec![answer("t1", false)]));
    }

    #[test]
    fn numbers_are_read_as_strings_too() {
        let message = |id: &str, code: &str, time: &str| {
            format!(
                r#"{{"FromUserName":"o1","CreateTime":{time},"MsgType":"event","Event":"subscribe_msg_sent_event",
                "List":{{"TemplateId":"t1","MsgID":{id},"ErrorCode":{code},"ErrorStatus":"success"}}}}"#
            )
        };
        let report = |errcode| {
            let message_id = Some(1_700_827_132_819_554_304);
            EventKind::MessagesReported(vec![MessageReport {
                template_id: "t1".to_owned(),
                message_id,
                errcode,
            }])
        };
        let words = Event::parse(message(r#""1700827132819554304""#, r#""0""#, r#""1620963428""#).as_bytes())
            .unwrap();
        let numbers = Event::parse(message("1700827132819554304", "43101", "1620963428").as_bytes()).unwrap();
        assert_eq!(words.created_at_seconds, 1_620_963_428);
        assert_eq!(numbers.created_at_seconds, 1_620_963_428);
        assert_eq!((words.openid.as_str(), words.kind), ("o1", report(0)));
        assert_eq!(numbers.kind, report(43101));
    }

    #[test]
    fn a_picture_that_could_not_be_looked_at_is_for_a_person() {
        let message = |errcode: &str, result: &str| {
            format!(
                r#"{{"MsgType":"event","Event":"wxa_media_check","appid":"wx1","trace_id":"5e-1","version":2,
                "errcode":{errcode},"errmsg":"ok","result":{result}}}"#
            )
        };
        let checked =
            |suggest, label| EventKind::MediaChecked { trace_id: "5e-1".to_owned(), suggest, label };
        let risky = r#"{"suggest":"risky","label":20001}"#;
        assert_eq!(kind_of(&message("0", risky)), checked(Suggest::Risky, 20001));
        assert_eq!(
            kind_of(&message(r#""0""#, r#"{"suggest":"pass","label":"100"}"#)),
            checked(Suggest::Pass, 100)
        );
        assert_eq!(kind_of(&message("-1008", risky)), checked(Suggest::Review, 20001));
        assert_eq!(kind_of(&message("0", "{}")), checked(Suggest::Review, 0));
    }

    #[test]
    fn a_repetition_has_the_key_of_the_first_delivery() {
        let key = |message: &str| Event::parse(message.as_bytes()).unwrap().delivery_key;
        let first = r#"{"MsgType":"event","Event":"e","CreateTime":1}"#;
        assert_eq!(key(first), key(first));
        assert_ne!(key(first), key(&first.replace(":1", ":2")));
    }

    #[test]
    fn what_is_no_event_is_refused_and_what_is_unknown_is_not() {
        for bad in ["", "[]", "{}", "not json", r#"{"Event":{}}"#] {
            assert_eq!(Event::parse(bad.as_bytes()), Err(PushError::NotAnEvent), "{bad}");
        }
        assert_eq!(
            kind_of(r#"{"MsgType":"text","Content":"x"}"#),
            EventKind::Other { name: "text".to_owned() }
        );
    }

    #[test]
    fn the_user_does_not_show_himself() {
        let event = Event::parse(br#"{"FromUserName":"o-precious","MsgType":"event","Event":"e"}"#).unwrap();
        assert!(!format!("{event:?}").contains("precious"));
    }
}

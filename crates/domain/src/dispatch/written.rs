//! The members of a team as a stored question holds them: one text instead of an object each.
//!
//! A question is stored with each decision, and names all who have the skill: a hundred people, of most of whom there is
//! nothing to say. As objects they were two thirds of a decision, which is most of what a long round sends to the database.
//!
//! A member is his id in base64 (RFC 4648 §5, 22 characters), then what is to be said of him, each thing under its letter:
//! `o` open orders, `f` full, `l` on leave, `d` off duty, `q` quiet hours, `t` last told, in milliseconds since 1970, as the
//! program's clock counts, `a` offers accepted, `w` seconds waited. Members stand in their order, with a blank between two.
//! Questions that were stored as objects are read as well.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use serde::{Deserialize, Deserializer, Serializer, de};
use uuid::Uuid;

use super::MemberFacts;

/// Characters of an id.
const ID: usize = 22;

/// Writes them as one text.
///
/// # Errors
/// As the serializer.
pub(super) fn serialize<S: Serializer>(members: &[MemberFacts], serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = String::with_capacity(members.len() * (ID + 1));
    for member in members {
        if !text.is_empty() {
            text.push(' ');
        }
        write(member, &mut text);
    }
    serializer.serialize_str(&text)
}

/// Reads them, whichever way they were written.
///
/// # Errors
/// When it is neither.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<MemberFacts>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Together(String),
        Objects(Vec<MemberFacts>),
    }
    match Written::deserialize(deserializer)? {
        Written::Together(text) => text
            .split(' ')
            .map(read)
            .collect::<Option<_>>()
            .ok_or_else(|| de::Error::custom("these are no members")),
        Written::Objects(members) => Ok(members),
    }
}

fn write(member: &MemberFacts, text: &mut String) {
    let MemberFacts { person, open_orders, full, on_leave, off_duty, quiet, offered_at, history } = member;
    URL_SAFE_NO_PAD.encode_string(person.as_bytes(), text);
    let told = offered_at.map(|at| at.timestamp_millis());
    let numbers = [
        ('o', Some(*open_orders).filter(|orders| *orders != 0)),
        ('t', told),
        ('a', Some(history.accepts).filter(|accepts| *accepts != 0)),
        ('w', Some(history.waited_seconds).filter(|seconds| *seconds != 0)),
    ];
    for (letter, _) in
        [('f', full), ('l', on_leave), ('d', off_duty), ('q', quiet)].iter().filter(|one| *one.1)
    {
        text.push(*letter);
    }
    for (letter, number) in numbers {
        if let Some(number) = number {
            // A text takes whatever is written to it.
            let _ = write!(text, "{letter}{number}");
        }
    }
}

fn read(text: &str) -> Option<MemberFacts> {
    let (id, mut said) = text.split_at_checked(ID)?;
    let person = Uuid::from_slice(&URL_SAFE_NO_PAD.decode(id).ok()?).ok()?;
    let mut member = MemberFacts::of(person);
    while !said.is_empty() {
        let (letter, rest) = said.split_at_checked(1)?;
        let (number, rest) =
            rest.split_at(rest.find(|next: char| next.is_ascii_alphabetic()).unwrap_or(rest.len()));
        match letter {
            "f" | "l" | "d" | "q" if !number.is_empty() => return None,
            "f" => member.full = true,
            "l" => member.on_leave = true,
            "d" => member.off_duty = true,
            "q" => member.quiet = true,
            "o" => member.open_orders = number.parse().ok()?,
            "t" => member.offered_at = Some(DateTime::from_timestamp_millis(number.parse().ok()?)?),
            "a" => member.history.accepts = number.parse().ok()?,
            "w" => member.history.waited_seconds = number.parse().ok()?,
            _ => return None,
        }
        said = rest;
    }
    Some(member)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{from_str, json, to_string};

    use super::*;
    use crate::dispatch::{History, TeamFacts};

    fn team(members: Vec<MemberFacts>) -> TeamFacts {
        let mut team: TeamFacts = serde_json::from_value(json!({
            "team": Uuid::nil(), "name": "队", "kind": "grid", "covers": "140724104003001", "skills": [],
            "openOrders": 0, "volunteers": 1
        }))
        .expect("a team");
        team.members = members;
        team
    }

    fn members_in(text: &str) -> Result<Vec<MemberFacts>, serde_json::Error> {
        let team = to_string(&team(vec![nobody()])).expect("written");
        from_str::<TeamFacts>(&team.replace(r#""AAAAAAAAAAAAAAAAAAAAAA""#, text)).map(|team| team.members)
    }

    fn nobody() -> MemberFacts {
        MemberFacts::of(Uuid::nil())
    }

    fn any_member() -> impl Strategy<Value = MemberFacts> {
        let told = proptest::option::of(0_i64..4_102_444_800_000);
        (any::<u128>(), any::<[bool; 4]>(), any::<[i64; 3]>(), told).prop_map(|(id, is, numbers, told)| {
            MemberFacts {
                person: Uuid::from_u128(id),
                open_orders: numbers[0],
                full: is[0],
                on_leave: is[1],
                off_duty: is[2],
                quiet: is[3],
                offered_at: told.and_then(DateTime::from_timestamp_millis),
                history: History { accepts: numbers[1], waited_seconds: numbers[2] },
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(members in proptest::collection::vec(any_member(), 0..5)) {
            let team = team(members);
            let text = to_string(&team).expect("written");
            prop_assert_eq!(from_str::<TeamFacts>(&text).expect("read"), team);
        }

        #[test]
        fn anything_else_is_an_error_and_no_panic(said in "[a-z0-9 é-]{0,12}") {
            let read = members_in(&format!(r#""AAAAAAAAAAAAAAAAAAAAAA{said}""#));
            // What is read at all is read again as it is written.
            if let Ok(members) = read {
                let again = to_string(&team(members.clone())).expect("written");
                prop_assert_eq!(from_str::<TeamFacts>(&again).expect("read").members, members);
            }
        }
    }

    #[test]
    fn it_is_as_the_description_says() {
        let member = MemberFacts {
            person: Uuid::from_u128(0x01a2_05af_ee46_702d_8289_61c5_53b8_745c),
            open_orders: 2,
            full: true,
            off_duty: true,
            offered_at: DateTime::from_timestamp_millis(1_780_300_000_123),
            history: History { accepts: 3, waited_seconds: 450 },
            ..nobody()
        };
        let text = to_string(&team(vec![member.clone(), nobody()])).expect("written");
        let wanted = r#""members":"AaIFr-5GcC2CiWHFU7h0XAfdo2t1780300000123a3w450 AAAAAAAAAAAAAAAAAAAAAA"}"#;
        assert!(text.ends_with(wanted), "{text}");
        assert!(!to_string(&team(Vec::new())).expect("written").contains("members"), "nobody is left out");
    }

    #[test]
    fn objects_are_read_as_they_were_written_before() {
        let objects = r#"[{"person":"00000000-0000-0000-0000-000000000000"},
            {"person":"00000000-0000-0000-0000-000000000000","openOrders":1,"onLeave":true,
             "offeredAt":"2026-05-31T12:00:00Z","history":{"accepts":2,"waitedSeconds":60}}]"#;
        let second = MemberFacts {
            open_orders: 1,
            on_leave: true,
            offered_at: "2026-05-31T12:00:00Z".parse().ok(),
            history: History { accepts: 2, waited_seconds: 60 },
            ..nobody()
        };
        assert_eq!(members_in(objects).expect("read"), [nobody(), second]);
    }

    #[test]
    fn what_is_no_member_is_refused() {
        for said in [
            "",
            "AAAA",
            "AAAAAAAAAAAAAAAAAAAAA!",
            "AAAAAAAAAAAAAAAAAAAAAAf1",
            "AAAAAAAAAAAAAAAAAAAAAAo",
            "AAAAAAAAAAAAAAAAAAAAAAx1",
            "AAAAAAAAAAAAAAAAAAAAAA1",
            "AAAAAAAAAAAAAAAAAAAAAAt9223372036854775807",
            "AAAAAAAAAAAAAAAAAAAAAA ",
            "AAAAAAAAAAAAAAAAAAAAAA  AAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(members_in(&format!("\"{said}\"")).is_err(), "{said:?}");
        }
        assert!(members_in("7").is_err());
    }
}

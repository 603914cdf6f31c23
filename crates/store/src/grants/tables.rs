//! What the program does with each table that is not append-only: the one list of privileges.

/// What the runtime role may do with one table besides reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Used {
    name: &'static str,
    inserted: bool,
    deleted: bool,
    /// The columns that may be changed.
    updated: &'static [&'static str],
}

impl Used {
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// Each privilege by itself, with its column where it has one.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, Option<&'static str>)> + use<> {
        let whole = [("SELECT", true), ("INSERT", self.inserted), ("DELETE", self.deleted)];
        let whole = whole.into_iter().filter_map(|(privilege, has)| has.then_some((privilege, None)));
        whole.chain(self.updated.iter().map(|column| ("UPDATE", Some(*column))))
    }

    /// As `GRANT` wants them.
    pub(super) fn privileges(&self) -> String {
        let whole = self.each().filter(|(_, column)| column.is_none()).map(|(privilege, _)| privilege);
        let mut text = whole.collect::<Vec<_>>().join(", ");
        if !self.updated.is_empty() {
            text.push_str(&format!(", UPDATE ({})", self.updated.join(", ")));
        }
        text
    }

    const fn updated(self, updated: &'static [&'static str]) -> Used {
        Used { updated, ..self }
    }

    const fn deleted(self) -> Used {
        Used { deleted: true, ..self }
    }
}

/// A table that is filled in by the owner, with the county.
const fn read(name: &'static str) -> Used {
    Used { name, inserted: false, deleted: false, updated: &[] }
}

/// A table that takes new rows.
const fn filled(name: &'static str) -> Used {
    Used { name, inserted: true, deleted: false, updated: &[] }
}

/// What is decided about something that waited for it.
const DECIDED: [&str; 4] = ["status", "decided_by", "decided_at", "decision"];
/// The same, and the words that the erasure of a person empties.
const DECIDED_WITH_REASON: [&str; 5] = ["status", "decided_by", "decided_at", "decision", "reason"];

/// The functions that statements call. Everybody may call a function by default; not everywhere is that left so.
pub(super) const CALLED: [&str; 2] = ["insist(boolean)", "would_hold_too_many(uuid, uuid, bigint)"];

/// Every table that is not append-only. Rows go away where they are somebody's own and he is erased, or where they only say
/// what is still to be done; else nothing is deleted. What identifies a row, whose it is and when it came is never updated.
pub(super) const USED: &[Used] = &[
    // Wrong passwords are counted.
    read("account").updated(&["failed_count", "locked_until"]).deleted(),
    filled("activity").updated(&["joined", "noticed_at"]),
    filled("answer_history").updated(&["accepts", "waited_seconds", "offered_at"]),
    read("area"),
    filled("attendance").updated(&["checked_in_at", "feedback_at", "feedback", "minutes"]).deleted(),
    // The end of the audit log's chain, which moves on with each seal.
    filled("audit_head").updated(&["seq", "hash"]),
    // The next number of each connection's rows: the trigger of `audit` counts there with the rights of whoever writes.
    filled("audit_slot").updated(&["n"]),
    // Filled by the same trigger, emptied by sealing. A row that is taken out leaves a gap in the numbers.
    filled("audit_unsealed").deleted(),
    filled("badge").updated(&["status"]),
    read("category"),
    // Written in full when it is signed, which a trigger lets happen once; afterwards only what became of it.
    filled("certificate").updated(&[
        "status",
        "number",
        "content",
        "seal",
        "private",
        "signed_by",
        "signed_at",
        "ended_by",
        "ended_at",
        "reason",
    ]),
    // The last word of the append-only `consent`.
    filled("consent_standing").updated(&["version", "given", "given_by", "at"]).deleted(),
    filled("counter").updated(&["value"]),
    // Nothing updates it: its row is the lock under which daily roots and rounds of stars are taken one after the other,
    // and PostgreSQL locks rows only for those who may update some column.
    read("county").updated(&["seeded_at"]),
    filled("delivery")
        .updated(&["status", "leased_until", "attempts", "outcome", "send_at", "ended_at"])
        .deleted(),
    read("department"),
    // Why this team: never changed, though no trigger says so.
    filled("dispatch_decision"),
    filled("due")
        .updated(&[
            "kind",
            "wake_at",
            "epoch",
            "team_id",
            "volunteer_id",
            "leased_until",
            "failures",
            "dead",
            "dead_at",
        ])
        .deleted(),
    filled("engagement"),
    filled("hazard").updated(&["cause", "measure", "answered_by", "answered_at"]),
    filled("heartbeat").updated(&["at"]).deleted(),
    filled("idempotency").deleted(),
    filled("inbox").updated(&["read_at"]).deleted(),
    filled("media")
        .updated(&[
            "stored_at",
            "order_id",
            "post_id",
            "claim_id",
            "purpose",
            "check_state",
            "check_trace",
            "attached_at",
            "erased_at",
            "look",
        ])
        .deleted(),
    filled("media_check_result"),
    filled("media_look").deleted(),
    filled("notification").updated(&["expanded_at"]),
    filled("on_leave").updated(&["ended_at"]),
    // The fold of its events, and the words that the erasure of a person empties.
    filled("orders").updated(&["status", "version", "epoch", "snapshot", "description"]),
    filled("patrol").updated(&["ended_at", "minutes", "summary"]),
    filled("patrol_note").updated(&["place", "note"]),
    // His phone and name, the change of the data key, and his erasure.
    filled("person").updated(&["surname", "data_key", "private", "phone_index", "erased_at"]),
    filled("preference").updated(&["wechat", "sms", "quiet_from", "quiet_to", "updated_at"]).deleted(),
    filled("rated_pair").updated(&["low_ms", "high_ms"]),
    filled("role_grant").updated(&["revoked_at"]),
    // The balance and the head of the chain, which move on with each entry; the check adds both up again.
    filled("score_account").updated(&["balance", "seq", "head"]),
    filled("score_appeal").updated(&DECIDED_WITH_REASON),
    // What counts against a month's cap so far.
    filled("score_cap").updated(&["points", "granted"]),
    filled("score_claim").updated(&[
        "status",
        "points",
        "decided_by",
        "decided_at",
        "decision",
        "transaction_id",
        "evidence",
    ]),
    filled("score_hold").updated(&DECIDED),
    filled("score_objection").updated(&DECIDED_WITH_REASON),
    // From the closing of a month to its seal. That is a hash over what it seals, behind the one before.
    filled("score_period").updated(&[
        "status",
        "cursor_id",
        "line_count",
        "points",
        "published_at",
        "notice_ends_at",
        "list_hash",
        "sealed_at",
        "seal",
    ]),
    // An objection that is upheld takes a line's entries out, and a later month counts them.
    filled("score_period_entry").deleted(),
    filled("score_period_line").updated(&["status", "corrected"]),
    read("seaql_migrations"),
    filled("served").updated(&["reason"]),
    filled("served_count").updated(&["services"]),
    filled("session").updated(&["revoked_at", "proved", "previous_hash", "refresh_hash", "rotated_at"]),
    filled("shop"),
    filled("shop_donation"),
    // The stock is the sum of the append-only movements, and no statement takes it below zero.
    filled("shop_goods").updated(&["name", "price", "active", "stock"]),
    filled("shop_redemption").updated(&["status", "ended_at", "ended_by", "reason"]),
    filled("showcase_post").updated(&[
        "status",
        "version",
        "resident_consent_at",
        "volunteer_consent_at",
        "moderated_by",
        "published_at",
        "withdrawn_by",
        "featured_at",
        "reason",
        "text",
    ]),
    filled("sign").updated(&["status", "revoked_at"]),
    filled("sign_report").updated(&["closed_at", "closed_by", "outcome"]),
    filled("star_line").updated(&["status"]),
    filled("star_objection").updated(&DECIDED_WITH_REASON),
    filled("star_round").updated(&["status", "conferred_by", "conferred_at"]),
    filled("subscription").updated(&["remaining", "updated_at"]).deleted(),
    // Who leads leaves.
    read("team").updated(&["leader_id"]),
    read("team_area"),
    filled("team_roster").updated(&["roster", "updated_by", "updated_at"]),
    filled("totp").updated(&["secret", "created_at", "last_step", "confirmed_at"]).deleted(),
    // Taken back once; what was recorded stays as it is, as a trigger says too.
    filled("training").updated(&["voided_by", "voided_at", "void_reason"]),
    filled("transfer").updated(&["reason", "ended_at", "handed_on"]),
    read("volunteer").updated(&["status"]),
    filled("wechat_identity").deleted(),
    filled("whistle"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Statements that name no table of their own, that belong to the triggers, or that only lock.
    const UNSEEN: [(&str, &[&str]); 6] = [
        ("audit_slot", &["n"]),
        ("county", &["seeded_at"]),
        ("rated_pair", &["low_ms", "high_ms"]),
        ("score_appeal", &DECIDED),
        ("score_objection", &DECIDED),
        ("star_objection", &DECIDED),
    ];

    /// The statements of this crate, each on one line, but for those of migrations and of tests.
    fn sources() -> String {
        fn read(directory: &Path, all: &mut String) {
            for entry in std::fs::read_dir(directory).expect("the sources") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
                if path.is_dir() {
                    if name != "grants" {
                        read(&path, all);
                    }
                } else if name != "sealing.rs" {
                    let text = std::fs::read_to_string(&path).expect("a source");
                    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
                    // A backslash at the end of a line takes the next line's indentation away.
                    let mut lines = text.split("\\\n");
                    all.push_str(lines.next().unwrap_or_default());
                    lines.for_each(|line| all.push_str(line.trim_start()));
                }
            }
        }
        let mut all = String::new();
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
        all
    }

    fn word(text: &str) -> &str {
        text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next().unwrap_or_default()
    }

    /// The columns that are assigned at the beginning of a text, up to the end of the assignments.
    fn assigned(text: &str) -> Vec<&str> {
        let (mut depth, mut columns, mut at) = (0_i32, Vec::new(), 0);
        let ends = [" WHERE ", " FROM ", " RETURNING ", "\"", "\n"];
        for (here, letter) in text.char_indices() {
            match letter {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            let over = depth < 0 || depth == 0 && ends.iter().any(|end| text[here..].starts_with(end));
            if over || depth == 0 && letter == ',' {
                columns.push(word(text[at..here].trim_start()));
                at = here + 1;
            }
            if over {
                break;
            }
        }
        columns
    }

    #[test]
    fn what_is_assigned_is_found() {
        let text =
            "status = $3, points = (SELECT coalesce(sum(a), 0), 1 FROM b WHERE c), at = now() WHERE id = $1";
        assert_eq!(assigned(text), ["status", "points", "at"]);
        assert_eq!(assigned("balance = excluded.balance), next AS ("), ["balance"]);
    }

    #[test]
    fn the_list_is_what_the_statements_do() {
        let sources = sources();
        let mut updates: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (at, _) in sources.match_indices("UPDATE ") {
            let rest = &sources[at + "UPDATE ".len()..];
            let table = word(rest);
            if let Some(set) = rest.strip_prefix(table).and_then(|rest| rest.strip_prefix(" SET ")) {
                updates.extend(assigned(set).into_iter().map(|column| (table, column)));
            }
        }
        let upserts: BTreeSet<&str> = sources
            .match_indices("DO UPDATE SET ")
            .flat_map(|(at, found)| assigned(&sources[at + found.len()..]))
            .collect();
        let mut deletes: BTreeSet<&str> = sources
            .match_indices("DELETE FROM ")
            .map(|(at, found)| word(&sources[at + found.len()..]))
            .collect();
        let together = ".delete(\"";
        deletes.extend(sources.match_indices(together).map(|(at, found)| word(&sources[at + found.len()..])));
        // Names that are put in when the statement is made.
        updates.retain(|(table, _)| !table.is_empty());
        deletes.retain(|table| !table.is_empty());
        assert!(
            updates.len() > 100 && upserts.len() > 20,
            "the statements are found: {updates:?}, {upserts:?}"
        );

        let listed: BTreeSet<(&str, &str)> =
            USED.iter().flat_map(|table| table.updated.iter().map(|column| (table.name, *column))).collect();
        let forgotten: Vec<_> = updates.difference(&listed).collect();
        assert!(forgotten.is_empty(), "updated and not granted: {forgotten:?}");
        let unseen = |table: &str, column: &str| {
            UNSEEN.iter().any(|(name, columns)| *name == table && columns.contains(&column))
        };
        let idle: Vec<_> = listed
            .difference(&updates)
            .filter(|(table, column)| !upserts.contains(column) && !unseen(table, column))
            .collect();
        assert!(idle.is_empty(), "granted and never updated: {idle:?}");
        let emptied: BTreeSet<&str> = USED.iter().filter(|table| table.deleted).map(Used::name).collect();
        assert_eq!(deletes, emptied, "rows are deleted from what is granted, and from nothing else");
    }

    #[test]
    fn each_table_stands_once_and_in_order() {
        let names: Vec<&str> = USED.iter().map(Used::name).collect();
        assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
    }

    #[test]
    fn privileges_are_written_as_grant_wants_them() {
        assert_eq!(read("a").privileges(), "SELECT");
        assert_eq!(filled("a").deleted().privileges(), "SELECT, INSERT, DELETE");
        assert_eq!(filled("a").updated(&["b", "c"]).privileges(), "SELECT, INSERT, UPDATE (b, c)");
    }
}

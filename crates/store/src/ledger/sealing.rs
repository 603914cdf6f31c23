//! Numbers and seals the entries that were written before there were chains. Part of one step of the schema, which
//! takes the trigger away for its duration; nothing else ever writes to an entry that stands.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use uuid::Uuid;
use xingfuma_domain::scoring::chain::{self, Chain};

use super::reading;
use crate::sql;
use crate::{StoreError, unreadable};

/// Seals every entry of an account that belongs to somebody, in the order of transactions, and sets the heads.
pub(crate) async fn seal_existing(conn: &impl ConnectionTrait) -> Result<(), StoreError> {
    let mut chains: BTreeMap<(String, Uuid, String, String), Chain> = BTreeMap::new();
    let mut after = None;
    loop {
        let piece = reading::after(conn, after).await?;
        let Some(last) = piece.transactions.last().map(|whole| whole.id) else { break };
        for whole in &piece.transactions {
            let entries = whole.entries();
            let digest = entries.as_ref().and_then(|entries| whole.digest(entries));
            let (Some(entries), Some(digest)) = (entries, digest) else {
                return Err(unreadable(format!("transaction {}", whole.id)));
            };
            for content in entries.iter().map(|line| line.content) {
                let Some(owner) = content.owner else { continue };
                let account =
                    (content.county.to_owned(), owner, content.kind.to_owned(), content.purse.to_owned());
                let chain = chains.entry(account).or_default();
                *chain = chain.next(&chain::leaf(&digest, content.id));
                let text = "UPDATE score_entry SET seq = $2, hash = $3 WHERE id = $1";
                let values = vec![content.id.into(), chain.seq.into(), chain.head.to_vec().into()];
                sql::run(conn, text, values).await?;
            }
        }
        after = Some(last);
    }
    for ((county, owner, kind, purse), chain) in chains {
        let text = "UPDATE score_account SET seq = $5, head = $6 \
                    WHERE county = $1 AND owner_id = $2 AND kind = $3 AND purse = $4";
        let values = vec![
            county.into(),
            owner.into(),
            kind.into(),
            purse.into(),
            chain.seq.into(),
            chain.head.to_vec().into(),
        ];
        sql::run(conn, text, values).await?;
    }
    Ok(())
}

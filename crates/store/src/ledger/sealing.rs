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
        let (mut links, mut left_out) = (Vec::new(), None);
        let unread = piece.each(|whole| match whole.digest().zip(whole.entries()) {
            Some((digest, entries)) => {
                for content in entries.iter().map(|line| line.content) {
                    let Some(owner) = content.owner else { continue };
                    let account =
                        (content.county.to_owned(), owner, content.kind.to_owned(), content.purse.to_owned());
                    let chain = chains.entry(account).or_default();
                    *chain = chain.next(&chain::leaf(&digest, content.id));
                    links.push((content.id, *chain));
                }
            }
            None => left_out = Some(whole.id),
        });
        if let Some(id) = left_out {
            return Err(unreadable(format!("transaction {id}")));
        }
        if unread > 0 {
            return Err(unreadable(format!("{unread} transactions")));
        }
        for (id, chain) in links {
            let text = "UPDATE score_entry SET seq = $2, hash = $3 WHERE id = $1";
            sql::run(conn, text, vec![id.into(), chain.seq.into(), chain.head.to_vec().into()]).await?;
        }
        let Some(last) = piece.last else { break };
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

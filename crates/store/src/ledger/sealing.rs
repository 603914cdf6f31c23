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
        let transactions = reading::transactions(conn, after).await?;
        let Some(last) = transactions.rows.last().map(|row| row.id) else { break };
        let entries = reading::entries(conn, after, Some(last)).await?;
        if transactions.unreadable + entries.unreadable > 0 {
            return Err(unreadable("entries that stand there already"));
        }
        for transaction in &transactions.rows {
            let first = entries.rows.partition_point(|entry| entry.transaction_id < transaction.id);
            let end = entries.rows.partition_point(|entry| entry.transaction_id <= transaction.id);
            let of_it = &entries.rows[first..end];
            let digest = reading::digest(transaction, of_it);
            for entry in of_it {
                let Some(owner) = entry.owner_id else { continue };
                let account = (entry.county.clone(), owner, entry.kind.clone(), entry.purse.clone());
                let chain = chains.entry(account).or_default();
                *chain = chain.next(&chain::leaf(&digest, entry.id));
                let text = "UPDATE score_entry SET seq = $2, hash = $3 WHERE id = $1";
                sql::run(conn, text, vec![entry.id.into(), chain.seq.into(), chain.head.to_vec().into()])
                    .await?;
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

//! Messages into a folder, for the demo and for tests: one file each, readable by nobody else.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{Sms, SmsError, SmsSender};

/// Writes each message into a folder of its own, as `{id}.json`: `{"phone", "text"}`. A message that is there is not
/// written again.
#[derive(Clone, Debug)]
pub struct FolderSms {
    folder: PathBuf,
}

impl FolderSms {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(folder: impl Into<PathBuf>) -> std::io::Result<FolderSms> {
        let folder = folder.into();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(FolderSms { folder })
    }

    /// Where the messages lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn write(&self, sms: &Sms) -> std::io::Result<()> {
        let (path, draft) =
            (self.folder.join(format!("{}.json", sms.id)), self.folder.join(format!(".{}", sms.id)));
        if path.exists() {
            return Ok(());
        }
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(json!({ "phone": sms.phone, "text": sms.text }).to_string().as_bytes())?;
        file.sync_all()?;
        // In one step: whoever looks into the folder sees a whole message or none.
        fs::rename(draft, path)
    }
}

#[async_trait::async_trait]
impl SmsSender for FolderSms {
    async fn send(&self, sms: &Sms) -> Result<(), SmsError> {
        let (folder, sms) = (self.clone(), sms.clone());
        let written = tokio::task::spawn_blocking(move || folder.write(&sms)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a text message was not written");
                Err(SmsError::NotSent("folder"))
            }
            Err(_) => Err(SmsError::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_message_is_written_once_and_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let sender = FolderSms::new(home.path().join("sms")).unwrap();
        let sms =
            Sms { id: Uuid::from_u128(7), phone: "15400001234".to_owned(), text: "已接单".to_owned() };
        for text in ["已接单", "不该出现"] {
            sender.send(&Sms { text: text.to_owned(), ..sms.clone() }).await.unwrap();
        }
        let path = sender.folder().join(format!("{}.json", sms.id));
        let written: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(written, json!({ "phone": "15400001234", "text": "已接单" }));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(sender.folder()).unwrap().count(), 1, "no draft is left");
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_sends_nothing_and_may_be_tried_again() {
        let home = tempfile::tempdir().unwrap();
        let sender = FolderSms::new(home.path().join("sms")).unwrap();
        fs::remove_dir(sender.folder()).unwrap();
        let sms =
            Sms { id: Uuid::from_u128(7), phone: "15400001234".to_owned(), text: "已接单".to_owned() };
        assert_eq!(sender.send(&sms).await, Err(SmsError::NotSent("folder")));
        assert!(!format!("{sms:?}").contains("1540000"));
    }
}

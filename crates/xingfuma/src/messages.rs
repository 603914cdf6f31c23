//! What the program is told about messages: their words, WeChat's templates, who sends text messages; and what makes a
//! hazard.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use xingfuma_app::hazard::sample_thresholds;
use xingfuma_app::message::texts::Texts;
use xingfuma_app::message::{Outside, Template};
use xingfuma_domain::hazard::Threshold;
use xingfuma_sms::{FolderSms, GatewayConfig, HttpSms, SmsSender};
use xingfuma_wechat::sandbox;

use crate::configuration::{Configuration, StartError};

/// How messages go out.
pub(crate) fn outside(configuration: &Configuration) -> Result<Outside, StartError> {
    let texts = match &configuration.messages {
        None => Texts::default(),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| StartError::file(path, &error))?;
            Texts::read(&text).map_err(|error| StartError::Other(format!("{}: {error}", path.display())))?
        }
    };
    let templates = configuration.wechat.templates.clone();
    if let Some(unknown) =
        templates.keys().find(|name| !texts.templates().any(|known| known == name.as_str()))
    {
        let message = format!("XINGFUMA_WECHAT__TEMPLATES: no message uses a template {unknown:?}");
        return Err(StartError::Other(message));
    }
    Ok(Outside { texts, templates, sms: sms(configuration)? })
}

fn sms(configuration: &Configuration) -> Result<Option<Arc<dyn SmsSender>>, StartError> {
    let sms = &configuration.sms;
    Ok(match (&sms.url, &sms.folder) {
        (Some(_), Some(_)) => {
            let message = "XINGFUMA_SMS__URL and XINGFUMA_SMS__FOLDER exclude each other";
            return Err(StartError::Other(message.to_owned()));
        }
        (Some(url), None) => {
            let config = GatewayConfig { url: url.clone(), secret: sms.secret.clone() };
            let sender = HttpSms::new(&config)
                .map_err(|error| StartError::Other(format!("XINGFUMA_SMS__URL: {error}")))?;
            Some(Arc::new(sender))
        }
        (None, Some(folder)) => {
            let sender = FolderSms::new(folder).map_err(|error| StartError::file(folder, &error))?;
            Some(Arc::new(sender))
        }
        (None, None) => None,
    })
}

/// What makes a hazard.
pub(crate) fn hazards(configuration: &Configuration) -> Result<Vec<Threshold>, StartError> {
    let Some(path) = &configuration.hazards else { return Ok(sample_thresholds()) };
    let text = fs::read_to_string(path).map_err(|error| StartError::file(path, &error))?;
    Threshold::read_all(&text).map_err(|error| StartError::Other(format!("{}: {error}", path.display())))
}

/// The templates of the demo, under ids of their own.
pub(crate) fn demo_templates() -> BTreeMap<String, Template> {
    let template = |name: &str| Template { id: format!("demo-{name}"), long_term: name == "duty" };
    Texts::default().templates().map(|name| (name.to_owned(), template(name))).collect()
}

/// The same, as the stand-in of WeChat knows them.
pub(crate) fn sandbox_templates() -> BTreeMap<String, sandbox::Template> {
    let texts = Texts::default();
    let template = |name: &str, long_term| sandbox::Template { keys: texts.field_names(name), long_term };
    demo_templates().into_iter().map(|(name, ours)| (ours.id, template(&name, ours.long_term))).collect()
}

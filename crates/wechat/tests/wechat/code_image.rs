//! The mini-program code.

use serde_json::json;
use xingfuma_wechat::{Error, Scene};

use crate::stage::Stage;

const PATH: &str = "/wxa/getwxacodeunlimit";

#[tokio::test]
async fn a_code_is_an_image_of_the_wished_width() {
    let stage = Stage::new().await;
    let scene = Scene::new("s=7K3M9PQX").unwrap();
    for width in [280, 1280] {
        let image = stage.client.code_image(&scene, Some("pages/scan/index"), true, width).await.unwrap();
        assert_eq!(&image[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(image[16..20], width.to_be_bytes());
    }
    let home = stage.client.code_image(&scene, None, true, 280).await.unwrap();
    let other = stage.client.code_image(&Scene::new("s=2").unwrap(), None, true, 280).await.unwrap();
    assert_ne!(home, other);
}

#[tokio::test]
async fn a_page_that_is_not_published_is_refused_unless_unchecked() {
    let stage = Stage::new().await;
    let scene = Scene::new("a").unwrap();
    let image = |page, check| stage.client.code_image(&scene, Some(page), check, 430);
    assert_eq!(image("pages/none/index", true).await, Err(Error::BadPage));
    assert!(image("pages/none/index", false).await.is_ok());
    assert_eq!(image("/pages/scan/index", false).await, Err(Error::BadPage));
    assert_eq!(image("pages/scan/index?a=1", false).await, Err(Error::BadPage));
}

#[tokio::test]
async fn a_width_out_of_bounds_is_refused_before_it_is_sent() {
    let stage = Stage::new().await;
    for width in [0, 279, 1281] {
        let refused = stage.client.code_image(&Scene::new("a").unwrap(), None, true, width).await;
        assert!(matches!(refused, Err(Error::BadField { .. })), "{refused:?}");
    }
    assert_eq!(stage.sandbox.token_requests(), 0);
}

#[tokio::test]
async fn the_sandbox_keeps_the_rules_that_our_types_keep() {
    let stage = Stage::new().await;
    assert_eq!(stage.errcode(PATH, &json!({"scene": "a".repeat(33)})).await, 40169);
    assert_eq!(stage.errcode(PATH, &json!({"scene": ""})).await, 40169);
    assert_eq!(stage.errcode(PATH, &json!({"scene": "昔阳"})).await, 40129);
    assert_eq!(stage.errcode(PATH, &json!({"scene": "a", "width": 279})).await, 40097);
    assert_eq!(stage.errcode(PATH, &json!({"scene": "a", "env_version": "beta"})).await, 40097);
}

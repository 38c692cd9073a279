//! The videos themselves.

use reqwest::StatusCode;
use serde_json::Value;

use crate::world::World;

#[tokio::test]
async fn every_file_is_another_video_and_is_served_in_ranges() {
    let world = World::start().await;
    let (one, two) = (world.generate("1").await, world.generate("2").await);
    let early = format!("{}/media/{one}.webm", world.sandbox.superduperai_url());
    let early = world.http.get(early).send().await.unwrap().status();
    world.rendered().await;
    assert_eq!(early, StatusCode::NOT_FOUND, "the video was there before it was rendered");
    let url = async |id: &str| -> String {
        let file: Value = world.got(&format!("file/{id}")).await;
        file["url"].as_str().unwrap().to_owned()
    };
    let (one, two) = (url(&one).await, url(&two).await);
    let whole = world.http.get(&one).send().await.unwrap();
    assert_eq!(
        (&whole.headers()["content-type"], &whole.headers()["accept-ranges"]),
        (&"video/webm".parse().unwrap(), &"bytes".parse().unwrap())
    );
    let whole = whole.bytes().await.unwrap();
    assert!(whole.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) && whole.len() < 10_000);
    assert_ne!(whole, world.http.get(&two).send().await.unwrap().bytes().await.unwrap());
    let part = world.http.get(&one).header("range", "bytes=4-9").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], format!("bytes 4-9/{}", whole.len()));
    assert_eq!(part.bytes().await.unwrap(), whole.slice(4..10));
    let beyond = world.http.get(&one).header("range", "bytes=999999-").send().await.unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let picture = world.http.get(one.replace(".webm", ".svg")).send().await.unwrap();
    assert_eq!(picture.headers()["content-type"], "image/svg+xml");
}

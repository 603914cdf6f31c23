//! Many at once, and a shelf that is gone.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use image::ImageFormat;
use xingfuma_tests::client::Client;

use crate::Place;
use crate::files::{encoded, jpeg, scene};

const UPLOADS: usize = 64;
/// Two decodes, twelve files of 8 MiB, and what goes with them.
const GROWS_AT_MOST_MIB: u64 = 500;

pub(crate) fn all(place: &Place<'_>) {
    sixty_four_at_once(place);
}

/// What `/metrics` says of photos under work at this moment.
fn decoding(client: &Client) -> u64 {
    let text = client.get_outside("/metrics").expect("an answer").text();
    let line = text.lines().find(|line| line.starts_with("xingfuma_media_decoding "));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("it is counted")
}

fn sixty_four_at_once(place: &Place<'_>) {
    let residents: Vec<Client> = ["resident", "volunteer", "grid_leader"]
        .into_iter()
        .flat_map(|role| place.accounts.all(role))
        .map(|account| Client::log_in(&place.base, account))
        .collect();
    // 12 million pixels, as a phone makes them.
    let file = encoded(scene(90, 4_000, 3_000), ImageFormat::Jpeg);
    let (before, over) = (place.resident_mib(), AtomicBool::new(false));
    let begun = Instant::now();
    let (statuses, most, peak) = scope(|threads| {
        let watch = threads.spawn(|| {
            let anonymous = Client::anonymous(&place.base);
            let (mut most, mut peak) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                most = most.max(decoding(&anonymous));
                peak = peak.max(place.resident_mib());
                sleep(Duration::from_millis(5));
            }
            (most, peak)
        });
        let (residents, file) = (&residents, &file);
        let sent: Vec<_> = (0..UPLOADS)
            .map(|number| threads.spawn(move || residents[number % residents.len()].upload(file)))
            .collect();
        let answers: Vec<_> = sent.into_iter().map(|one| one.join().expect("an answer")).collect();
        over.store(true, Ordering::Relaxed);
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            assert!([429, 503].contains(&answer.status), "{}", answer.text());
            let again: u64 = answer.header("retry-after").expect("when").parse().expect("seconds");
            assert!(again > 0, "{again}");
        }
        let (most, peak) = watch.join().expect("watched");
        (answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), most, peak)
    });
    let taken = statuses.iter().filter(|status| **status == 201).count();
    println!(
        "{UPLOADS} uploads of 12 million pixels at once: {taken} taken in {:?}, at most {most} decoded at once, {before} \
         MiB before, {peak} MiB at most",
        begun.elapsed()
    );
    assert!(taken > 0, "{statuses:?}");
    assert!((1..=2).contains(&most), "{most} at once");
    assert!(peak < before + GROWS_AT_MOST_MIB, "{before} MiB before, {peak} MiB at most");
}

/// Without its folder the county goes on, and photos are told to be out of reach, at once.
pub(crate) fn the_folder_is_gone(place: &Place<'_>) {
    let resident = Client::log_in(&place.base, place.accounts.one("resident"));
    let photo = resident.upload(&jpeg(95)).expect(201)["id"].as_str().expect("an id").to_owned();
    let aside = place.shelf.with_extension("aside");
    fs::rename(&place.shelf, &aside).expect("it is moved");
    let begun = Instant::now();
    let got = resident.get(&format!("/media/{photo}"));
    assert_eq!(got.problem(503), "unavailable");
    assert!(got.header("retry-after").is_some());
    assert_eq!(resident.upload(&jpeg(96)).problem(503), "unavailable");
    assert!(!place.shelf.exists(), "it is not made anew, empty");
    assert_eq!(resident.get("/me").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    fs::rename(&aside, &place.shelf).expect("it is moved back");
    assert_eq!(resident.get(&format!("/media/{photo}")).status, 200);
    resident.upload(&jpeg(96)).expect(201);
    // A picture that the shelf has lost is not "no such picture".
    let lost = place.shelf.join(&photo[photo.len() - 2..]).join(&photo);
    fs::remove_file(lost).expect("it lies there");
    assert_eq!(resident.get(&format!("/media/{photo}")).problem(503), "unavailable");
}

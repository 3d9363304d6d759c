//! Memory and disk together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;

/// A moment.
pub(super) const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// The configuration in force.
pub(super) const CONFIG: Digest = Digest::from_bytes([7; 32]);

const HOUR: Duration = Duration::from_hours(1);
const BOUNDS: CacheBounds = CacheBounds { memory: 64 << 10, disk: 1 << 20 };
/// Keeps everything on the disk only.
const DISK_ONLY: CacheBounds = CacheBounds { memory: 0, ..BOUNDS };

pub(super) fn place(name: &str, ttl: Duration) -> Place {
    Place { key: Key(Digest::of(name.as_bytes())), config: CONFIG, ttl, on_disk: true }
}

pub(super) fn answer(name: &str, body: &'static [u8], ttl: Duration) -> Answer {
    Answer::new(&place(name, ttl), Bytes::from_static(body), START)
}

fn limits() -> Limits {
    Limits { model_cache_free_bytes: 0, ..Limits::default() }
}

async fn cache(data: &Path) -> Cache {
    let cache = Cache::default();
    cache.keep_under(data, &limits(), START);
    cache.looked().await;
    cache
}

fn files(data: &Path) -> usize {
    std::fs::read_dir(data.join(FOLDER)).map_or(0, Iterator::count)
}

/// Puts an answer there and waits until it has its file.
async fn put(cache: &Cache, data: &Path, name: &str, body: &'static [u8], bounds: CacheBounds) {
    let path = data.join(FOLDER).join(place(name, HOUR).key.0.to_string());
    cache.put(&place(name, HOUR), Bytes::from_static(body), START, bounds);
    while !path.exists() || !cache.disk.get().unwrap().has(&place(name, HOUR)) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn get(cache: &Cache, name: &str) -> Option<Bytes> {
    cache.get(&place(name, HOUR), START, BOUNDS).await
}

#[tokio::test]
async fn what_memory_has_no_room_for_is_read_from_the_disk_and_stands_in_memory_then() {
    let data = tempfile::tempdir().unwrap();
    let cache = cache(data.path()).await;
    put(&cache, data.path(), "one", b"said", DISK_ONLY).await;
    assert_eq!(cache.memory.get(&place("one", HOUR), START), None);
    assert_eq!(get(&cache, "one").await, Some(Bytes::from_static(b"said")));
    assert!(cache.memory.get(&place("one", HOUR), START).is_some());
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart_until_its_time_is_over() {
    let data = tempfile::tempdir().unwrap();
    put(&cache(data.path()).await, data.path(), "one", b"said", BOUNDS).await;
    let again = cache(data.path()).await;
    assert_eq!(get(&again, "one").await, Some(Bytes::from_static(b"said")));
    assert_eq!(get(&again, "two").await, None);
    let late = Cache::default();
    late.keep_under(data.path(), &limits(), START.after(HOUR));
    late.looked().await;
    assert_eq!((get(&late, "one").await, files(data.path())), (None, 0));
}

#[tokio::test]
async fn what_may_not_stand_on_the_disk_is_kept_in_memory_only() {
    let data = tempfile::tempdir().unwrap();
    let cache = cache(data.path()).await;
    let volatile = Place { on_disk: false, ..place("volatile", HOUR) };
    cache.put(&volatile, Bytes::from_static(b"said"), START, BOUNDS);
    cache.put(&place("off", HOUR), Bytes::from_static(b"said"), START, CacheBounds { disk: 0, ..BOUNDS });
    // Those before it in the queue are done when this one is.
    put(&cache, data.path(), "last", b"said", BOUNDS).await;
    assert_eq!(files(data.path()), 1);
    assert!(cache.get(&volatile, START, BOUNDS).await.is_some() && get(&cache, "off").await.is_some());
}

#[tokio::test]
async fn what_is_over_goes_from_memory_and_disk() {
    let data = tempfile::tempdir().unwrap();
    let cache = cache(data.path()).await;
    for name in ["one", "two"] {
        put(&cache, data.path(), name, b"said", BOUNDS).await;
    }
    cache.sweep(START, CONFIG, BOUNDS);
    put(&cache, data.path(), "three", b"said", BOUNDS).await;
    assert_eq!(files(data.path()), 3, "nothing is over yet");
    cache.sweep(START, Digest::of(b"another"), BOUNDS);
    while files(data.path()) > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(get(&cache, "one").await, None);
}

#[tokio::test]
async fn many_who_ask_for_the_same_at_once_all_get_it() {
    let data = tempfile::tempdir().unwrap();
    let cache = cache(data.path()).await;
    put(&cache, data.path(), "one", b"said", DISK_ONLY).await;
    let cache = Arc::new(cache);
    let asking = (0..100).map(|_| {
        let cache = Arc::clone(&cache);
        async move { get(&cache, "one").await }
    });
    let all = asking.collect::<tokio::task::JoinSet<_>>().join_all().await;
    assert_eq!(all, vec![Some(Bytes::from_static(b"said")); 100]);
}

#[tokio::test]
async fn without_a_data_folder_memory_is_all_there_is() {
    let cache = Cache::default();
    cache.looked().await;
    cache.put(&place("one", HOUR), Bytes::from_static(b"said"), START, BOUNDS);
    assert!(get(&cache, "one").await.is_some());
    cache.sweep(START, CONFIG, CacheBounds { memory: 0, disk: 0 });
    assert_eq!(get(&cache, "one").await, None);
}

#[test]
fn nothing_that_was_said_shows_in_debug_output() {
    assert!(!format!("{:?}", answer("one", b"secret", HOUR)).contains("secret"));
}

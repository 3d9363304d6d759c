//! Archives that somebody made who wants to be outside of the folder.

use super::*;

/// Writes a record.
type Record<'a> = &'a dyn Fn(&mut Vec<u8>);

/// An archive of these records.
fn archive(records: &[Record<'_>], names: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for record in records {
        record(&mut bytes);
    }
    Tag::End.write(&mut bytes).unwrap();
    bytes.extend(names.to_be_bytes());
    bytes
}

#[test]
fn no_archive_makes_anything_outside_of_its_folder() {
    let scene = Scene::new();
    let about = About { mode: 0o755, seconds: 0, nanoseconds: 0 };
    let enter = |name: &'static str| {
        move |out: &mut Vec<u8>| {
            Tag::Enter.write(out).unwrap();
            write_name(out, name.as_bytes()).unwrap();
            about.write(out).unwrap();
        }
    };
    let file = |name: &'static str, length: u64, extents: &'static [(u64, &'static [u8])]| {
        move |out: &mut Vec<u8>| {
            Tag::File.write(out).unwrap();
            write_name(out, name.as_bytes()).unwrap();
            about.write(out).unwrap();
            out.write_all(&length.to_be_bytes()).unwrap();
            for (offset, data) in extents {
                let length = u32::try_from(data.len()).unwrap();
                Extent { offset: *offset, length }.write(out).unwrap();
                out.write_all(data).unwrap();
            }
            Extent::END.write(out).unwrap();
        }
    };
    let named = |tag: Tag, name: &'static str, other: &'static str| {
        move |out: &mut Vec<u8>| {
            tag.write(out).unwrap();
            write_name(out, name.as_bytes()).unwrap();
            write_name(out, other.as_bytes()).unwrap();
        }
    };
    let leave = |out: &mut Vec<u8>| Tag::Leave.write(out).unwrap();
    let outside = scene.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    let hostile: Vec<Vec<u8>> = vec![
        archive(&[&file("../outside/x", 0, &[])], 1),
        archive(&[&file("..", 0, &[])], 1),
        archive(&[&file("", 0, &[])], 1),
        archive(&[&enter(".."), &file("x", 0, &[]), &leave], 2),
        archive(&[&named(Tag::Link, "link", "../outside"), &enter("link"), &file("x", 0, &[]), &leave], 3),
        archive(&[&named(Tag::Link, "x", "../outside/x"), &file("x", 0, &[])], 2),
        archive(&[&named(Tag::Again, "x", "../outside/secret")], 1),
        archive(&[&named(Tag::Again, "x", "/etc/passwd")], 1),
        archive(&[&named(Tag::Link, "link", "../outside"), &named(Tag::Again, "x", "link/secret")], 2),
        archive(&[&leave, &file("x", 0, &[])], 1),
        archive(&[&enter("a")], 1),
        archive(&[&file("x", 1, &[(0, b"long")])], 1),
        archive(&[&file("x", 9, &[(u64::MAX - 1, b"far")])], 1),
        archive(&[&file("x", 0, &[])], 7),
        archive(&[&file("x", 0, &[]), &file("x", 0, &[])], 2),
        MAGIC.to_vec(),
        b"something else".to_vec(),
    ];
    for (index, bytes) in hostile.iter().enumerate() {
        let into = scene.path(&format!("into-{index}"));
        fs::create_dir(&into).unwrap();
        assert!(unpack(&root(&into), &mut bytes.as_slice()).is_err(), "archive {index}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "archive {index}");
        assert_eq!(fs::metadata(outside.join("secret")).unwrap().nlink(), 1, "archive {index}");
    }
    let fine =
        archive(&[&enter("a"), &file("x", 3, &[(1, b"y")]), &leave, &named(Tag::Again, "z", "a/x")], 3);
    let into = scene.path("fine");
    fs::create_dir(&into).unwrap();
    unpack(&root(&into), &mut fine.as_slice()).unwrap();
    assert_eq!(fs::read(into.join("z")).unwrap(), b"\0y\0");
}

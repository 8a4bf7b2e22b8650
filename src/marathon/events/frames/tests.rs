use proptest::prelude::*;

use super::{Data, Frame, Frames};

const MOST: usize = 40;

/// A frame that outlives the bytes it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    kind: String,
    data: String,
}

fn owned(frame: Frame<'_>) -> Owned {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Owned {
        kind: text(frame.kind),
        data: match frame.data {
            Data::Whole(data) => format!("={}", text(data)),
            Data::TooLarge => "too large".to_owned(),
            Data::Garbled => "garbled".to_owned(),
        },
    }
}

fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
    let mut frames = Frames::new(MOST);
    let mut found = Vec::new();
    for piece in pieces {
        frames.push(piece, |frame| found.push(owned(frame)));
    }
    found
}

fn shown(text: &str) -> Vec<String> {
    frames([text.as_bytes()])
        .into_iter()
        .map(|Owned { kind, data }| format!("{kind} {data}"))
        .collect()
}

#[test]
fn frames_are_read_as_the_standard_says() {
    for (text, want) in [
        ("event: a\r\ndata: {}\r\n\r\n", vec!["a ={}"]),
        ("event:a\ndata:{}\n\n", vec!["a ={}"]),
        ("event: a\rdata: {}\r\r", vec!["a ={}"]),
        // Only one blank belongs to the form.
        ("data:  x\n\n", vec![" = x"]),
        (
            "event: a\rdata: 1\n\r\nevent: b\r\ndata: 2\n\n",
            vec!["a =1", "b =2"],
        ),
        ("\u{feff}data: x\n\n", vec![" =x"]),
        ("\u{feff}\n\u{feff}data: x\n\n", vec![" garbled"]),
        ("data: 1\ndata: 2\ndata\ndata:3\n\n", vec![" =1\n2\n\n3"]),
        ("event: a\nevent: b\ndata: 1\n\n", vec!["b =1"]),
        // Heartbeats and comments.
        ("\r\n\r\n\n\n", vec![]),
        (": beat\n\n:\n\ndata: 1\n: beat\n\n", vec![" =1"]),
        ("id: 7\nretry: 3\n\n", vec![]),
        ("id: 7\ndata: 1\n\n", vec![" =1"]),
        // A type alone tells that something of its kind happened.
        ("event: a\n\n", vec!["a ="]),
        // What has not ended is nothing yet.
        ("data: 1\n", vec![]),
        ("data: 1", vec![]),
        ("<html>\n\n", vec![" garbled"]),
        (
            "event: a\nda\ndata: 1\n\ndata: 2\n\n",
            vec!["a garbled", " =2"],
        ),
    ] {
        assert_eq!(shown(text), want, "{text:?}");
    }
}

#[test]
fn what_is_larger_than_the_limit_costs_only_itself() {
    let long = "x".repeat(MOST + 1);
    let half = "x".repeat(MOST / 2 + 1);
    let fits = "x".repeat(MOST - 6);
    for (text, want) in [
        (
            format!("event: a\ndata: {long}\n\ndata: 1\n\n"),
            vec!["a too large", " =1"],
        ),
        (
            format!("data: {half}\ndata: {half}\ndata: 1\n\n"),
            vec![" too large"],
        ),
        (format!("data: {fits}\n\n"), vec![&*format!(" ={fits}")]),
        // A comment says nothing, however long it is.
        (format!(":{long}\n\n:{long}\ndata: 1\n\n"), vec![" =1"]),
        (format!("{long}\n\ndata: 1\n\n"), vec![" too large", " =1"]),
    ] {
        assert_eq!(shown(&text), want, "{text:?}");
    }
}

#[test]
fn an_endless_event_holds_no_memory() {
    let mut frames = Frames::new(MOST);
    frames.push(b"event: a\ndata: ", |_| panic!("it has not ended"));
    for _ in 0..1000 {
        frames.push(&[b'x'; 4096], |_| panic!("it has not ended"));
        assert!(frames.line.capacity() <= 2 * MOST);
        assert!(frames.event.data.capacity() <= 2 * MOST);
        assert!(frames.is_within_event());
    }
    let mut found = Vec::new();
    frames.push(b"\n\n", |frame| found.push(owned(frame)));
    assert_eq!(found[0].data, "too large");
    assert!(!frames.is_within_event());
}

#[test]
fn the_end_of_an_event_is_awaited_from_its_first_byte_on() {
    let mut frames = Frames::new(MOST);
    for (bytes, within) in [
        ("", false),
        ("\r\n", false),
        ("d", true),
        ("ata: 1\r\n", true),
        ("\r", false),
        ("\n", false),
        (": comment\n", false),
        ("event: a\n", true),
        ("\n", false),
    ] {
        frames.push(bytes.as_bytes(), |_| ());
        assert_eq!(frames.is_within_event(), within, "{bytes:?}");
    }
}

/// Pieces of which streams are made: right ones, wrong ones, and the ends of lines.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop_oneof![Just("\n"), Just("\r"), Just("\r\n")].prop_map(|end| end.as_bytes().to_vec()),
        3 => prop_oneof![
            Just("event: "), Just("data: "), Just("data:"), Just(":"), Just("id: 1"), Just("\u{feff}"),
        ].prop_map(|field| field.as_bytes().to_vec()),
        2 => proptest::collection::vec(any::<u8>(), 0..50),
        1 => "[a-z{}\": ]{0,60}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// The same, read as a whole and by other means.
fn plainly(bytes: &[u8]) -> Vec<Owned> {
    let bytes: Vec<u8> = {
        let mut even = Vec::new();
        let mut rest = bytes.iter().copied().peekable();
        while let Some(byte) = rest.next() {
            if byte == b'\r' {
                rest.next_if_eq(&b'\n');
                even.push(b'\n');
            } else {
                even.push(byte);
            }
        }
        even
    };
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    // The last one has not ended.
    lines.pop();
    let mut found = Vec::new();
    let mut event: Vec<&[u8]> = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        let line = match line.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) if index == 0 && line.len() <= MOST => rest,
            _ => line,
        };
        if line.is_empty() {
            found.extend(one(&event));
            event.clear();
        } else if !line.starts_with(b":") {
            event.push(line);
        }
    }
    found
}

fn one(lines: &[&[u8]]) -> Option<Owned> {
    let mut kind = String::new();
    let mut data = Vec::new();
    let (mut garbled, mut too_large) = (false, false);
    for line in lines {
        if line.len() > MOST {
            too_large = true;
            continue;
        }
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => kind = String::from_utf8_lossy(value).into_owned(),
            b"data" => data.push(value),
            b"id" | b"retry" => (),
            _ => garbled = true,
        }
    }
    let has_data = !data.is_empty();
    let data = data.join(&b'\n');
    let data = if garbled {
        "garbled".to_owned()
    } else if too_large || data.len() > MOST {
        "too large".to_owned()
    } else if has_data || !kind.is_empty() {
        format!("={}", String::from_utf8_lossy(&data))
    } else {
        return None;
    };
    Some(Owned { kind, data })
}

proptest! {
    #[test]
    fn any_cut_of_the_bytes_gives_the_same_frames(
        stream in stream(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let whole = frames([&*stream]);
        prop_assert_eq!(&whole, &plainly(&stream));
        let bytes = stream.chunks(1);
        prop_assert_eq!(&whole, &frames(bytes));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        prop_assert_eq!(&whole, &frames(pieces));
    }
}

//! Each fault as the client meets it.

use super::*;

/// Long enough for all that comes to have come.
const SILENCE: Duration = Duration::from_millis(500);

fn well() -> Marathon {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    marathon.deploy(web());
    marathon
}

async fn with(fault: Fault) -> Raw {
    let marathon = well();
    marathon.inject(fault);
    raw(&marathon, "/v2/apps", "").await
}

#[tokio::test]
async fn wrong_answers_in_good_form() {
    let html = Some("text/html; charset=ISO-8859-1");
    let json = Some("application/json");
    for (fault, status, content_type) in [
        (Fault::Status(500), "500", json),
        (Fault::Html(503), "503", html),
        (Fault::Garbage, "200", json),
        (Fault::Empty, "200", json),
        (Fault::WrongContentType, "200", Some("text/html")),
        (Fault::Unauthorized, "401", json),
    ] {
        let answer = with(fault.clone()).await;
        assert_eq!(answer.status(), status, "{fault:?}");
        assert_eq!(answer.header("content-type"), content_type, "{fault:?}");
        assert_eq!(answer.body.is_empty(), fault == Fault::Empty, "{fault:?}");
        let is_json = serde_json::from_slice::<Value>(&answer.body).is_ok();
        let expected = matches!(
            fault,
            Fault::Status(_) | Fault::WrongContentType | Fault::Unauthorized
        );
        assert_eq!(is_json, expected, "{fault:?}");
        assert_eq!(answer.end, End::Closed, "{fault:?}");
    }
}

#[tokio::test]
async fn a_redirect_names_its_target() {
    let answer = with(Fault::Redirect("http://127.0.0.1:1/x".to_owned())).await;
    assert_eq!(answer.status(), "302");
    assert_eq!(answer.header("location"), Some("http://127.0.0.1:1/x"));
}

#[tokio::test]
async fn a_truncated_answer_shows_in_its_length_or_its_chunks_or_not_at_all() {
    let whole = raw(&well(), "/v2/apps", "").await.body.len();
    let truncated = |ending| {
        with(Fault::Truncated {
            at_bytes: 20,
            ending,
        })
    };
    let answer = truncated(Ending::ShortOfLength).await;
    assert_eq!(answer.header("content-length"), Some(&*whole.to_string()));
    assert_eq!(answer.body.len(), 20);
    assert_eq!(answer.end, End::Closed);

    let answer = truncated(Ending::ShortOfLastChunk).await;
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert!(
        answer.text().starts_with("14\r\n{\"apps\":"),
        "{}",
        answer.text()
    );
    assert!(!answer.text().ends_with("0\r\n\r\n"));

    let answer = truncated(Ending::Unnoticed).await;
    assert!(
        answer.text().ends_with("\r\n0\r\n\r\n"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn silence_before_the_answer_or_within() {
    let with = async |fault: Fault| {
        let marathon = well();
        marathon.inject(fault);
        raw_until_silent(&marathon, "/v2/apps", "", SILENCE).await
    };
    let answer = with(Fault::Hang).await;
    assert_eq!((answer.head.as_str(), answer.end), ("", End::Silent));
    let answer = with(Fault::HangInBody { after_bytes: 20 }).await;
    assert_eq!(answer.status(), "200");
    assert_eq!((answer.body.len(), answer.end), (20, End::Silent));
    let answer = with(Fault::HangInBody { after_bytes: 0 }).await;
    assert_eq!((answer.body.len(), answer.end), (0, End::Silent));
}

#[tokio::test]
async fn a_slow_answer_is_whole_in_the_end() {
    let began = std::time::Instant::now();
    let answer = with(Fault::Slow {
        bytes_per_chunk: 200,
        pause: Duration::from_millis(10),
    })
    .await;
    assert_eq!(answer.json()["apps"][0]["id"], "/web");
    let pauses = u32::try_from(answer.body.len().div_ceil(200)).unwrap();
    assert!(pauses > 1);
    assert!(began.elapsed() >= Duration::from_millis(10) * pauses);
}

#[tokio::test]
async fn a_huge_answer_is_made_while_it_is_read() {
    const BYTES: u64 = 8 * 1024 * 1024;
    let marathon = well();
    marathon.inject(Fault::Huge { bytes: BYTES });
    let client = reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("{}/v2/apps", marathon.url());
    let answer = client.get(&url).send().await.unwrap();
    let text = answer.text().await.unwrap();
    assert_eq!(text.len() as u64, BYTES);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["apps"].as_array().unwrap().len(), 0);
    assert_eq!(marathon.bytes("/v2/apps"), BYTES);
    // Who reads nothing makes it send no more than the buffers of two sockets hold.
    marathon.clear_faults();
    marathon.inject(Fault::Huge { bytes: 1 << 40 });
    drop(client.get(&url).send().await.unwrap());
    assert!(marathon.bytes("/v2/apps") < 1 << 30);
}

#[tokio::test]
async fn a_reset_is_no_mere_close() {
    let answer = with(Fault::Reset).await;
    assert_eq!((answer.head.as_str(), answer.end), ("", End::Reset));
}

#[tokio::test]
async fn faults_come_in_their_order_and_end_after_their_times() {
    let marathon = well();
    marathon.inject(Fault::Status(500).on("/v2/apps").times(2));
    marathon.inject(Fault::Status(501).times(1));
    marathon.inject(Fault::Status(502).on("/ping"));
    let mut statuses = Vec::new();
    for path in [
        "/v2/apps",
        "/v2/apps?x",
        "/v2/apps",
        "/v2/apps",
        "/ping",
        "/ping",
    ] {
        statuses.push(raw(&marathon, path, "").await.status().to_owned());
    }
    assert_eq!(statuses, ["500", "500", "501", "200", "502", "502"]);
    marathon.clear_faults();
    assert_eq!(raw(&marathon, "/ping", "").await.status(), "200");
}

#[tokio::test]
async fn a_stream_of_events_can_break_off_or_fall_silent() {
    let accept = "Accept: text/event-stream\r\n";
    let marathon = well();
    marathon.inject(Fault::HangInBody { after_bytes: 0 }.on("/v2/events"));
    let stream = raw_until_silent(&marathon, "/v2/events", accept, SILENCE).await;
    assert_eq!((stream.status(), stream.end), ("200", End::Silent));
    marathon.clear_faults();
    let fault = Fault::Truncated {
        at_bytes: 5,
        ending: Ending::ShortOfLastChunk,
    };
    marathon.inject(fault.on("/v2/events"));
    let stream = raw(&marathon, "/v2/events", accept).await;
    assert_eq!(stream.text(), "5\r\nevent\r\n");
    assert_eq!(stream.end, End::Closed);
}

#[tokio::test]
async fn a_huge_event_comes_before_the_right_ones() {
    let accept = "Accept: text/event-stream\r\n";
    let marathon = well();
    marathon.inject(Fault::HugeEvent { bytes: 100_000 });
    let stream = raw_until_silent(&marathon, "/v2/events", accept, SILENCE).await;
    let text = stream.text();
    let (huge, rest) = text.split_once("event: event_stream_attached\r\n").unwrap();
    assert!(
        huge.contains("event: deployment_info\r\n"),
        "{}",
        &huge[..100]
    );
    assert!((100_000..101_000).contains(&huge.len()), "{}", huge.len());
    assert!(rest.contains("data: {"), "{rest}");
}

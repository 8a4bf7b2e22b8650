use std::future::{pending, ready};

use super::*;

fn files(label: &str, servers: usize) -> FileSet {
    let lines = (0..servers).map(|number| format!("  server w{number} 10.0.0.1:{number}\n"));
    let servers: String = lines.collect();
    let cfg = format!("backend web\n  mode http\n  # {label}\n{servers}");
    FileSet {
        cfg,
        ..FileSet::default()
    }
}

fn accepted() -> Verdict {
    Verdict::Accepted {
        warnings: Vec::new(),
    }
}

fn without_end() -> Verdict {
    Verdict::Rejected {
        messages: vec![CheckMessage::of_a_wait(Duration::from_secs(60))],
        output: String::new(),
    }
}

fn refused() -> Verdict {
    Verdict::Rejected {
        messages: Vec::new(),
        output: String::new(),
    }
}

fn at_once(verdict: Verdict) -> impl FnOnce(Rc<FileSet>) -> Check {
    |_| Box::pin(ready(Ok(verdict)))
}

fn never(_: Rc<FileSet>) -> Check {
    Box::pin(pending())
}

/// `None` where it goes on.
fn is_accepted(said: Result<Verdict, CheckError>) -> Option<bool> {
    match said {
        Ok(verdict) => Some(matches!(verdict, Verdict::Accepted { .. })),
        Err(CheckError::GoesOn) => None,
        Err(error) => panic!("{error}"),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as it is asked")]
fn tries(what: &str) -> Option<Digest> {
    Some(Digest::of(what.as_bytes()))
}

/// The first question of a turn, about files whose check would never end.
async fn ask(beside: &Beside, files: &FileSet) -> Option<bool> {
    beside.begins();
    is_accepted(beside.check(files, None, never).await)
}

/// A check that ends as `verdict` after the turn that asked for it.
async fn put_off(beside: &Beside, files: &FileSet, tries: Option<Digest>, verdict: Verdict) {
    let (end, ended) = tokio::sync::oneshot::channel();
    let begin = |_| -> Check {
        Box::pin(async move {
            ended.await.unwrap();
            Ok(verdict)
        })
    };
    beside.begins();
    assert_eq!(is_accepted(beside.check(files, tries, begin).await), None);
    end.send(()).unwrap();
    beside.ends().await;
}

#[tokio::test(start_paused = true)]
async fn what_ends_in_time_is_said_at_once() {
    let beside = Beside::default();
    for (label, verdict) in [("a", accepted()), ("b", without_end())] {
        let expected = matches!(verdict, Verdict::Accepted { .. });
        let wanted = files(label, 1);
        let said = beside.check(&wanted, None, at_once(verdict)).await;
        assert_eq!(is_accepted(said), Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_goes_on_and_is_known_until_something_is_decided() {
    let beside = Beside::default();
    let wanted = files("a", 1);
    assert_eq!(ask(&beside, &wanted).await, None);
    // Whoever comes meanwhile is put off without another check, and at once.
    let began = Instant::now();
    for other in [&wanted, &files("b", 1)] {
        assert_eq!(ask(&beside, other).await, None);
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    beside.forget();

    put_off(&beside, &wanted, None, accepted()).await;
    for _ in 0..2 {
        assert_eq!(ask(&beside, &wanted).await, Some(true));
    }
    beside.forget();
    assert_eq!(ask(&beside, &wanted).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_turn_waits_a_few_seconds_for_all_of_its_checks_together() {
    let beside = Beside::default();
    let takes = |seconds| {
        move |_| -> Check {
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(refused())
            })
        }
    };
    beside.begins();
    let began = Instant::now();
    let first = beside.check(&files("a", 1), None, takes(2)).await;
    assert_eq!(is_accepted(first), Some(false));
    let second = beside.check(&files("b", 1), tries("b"), takes(2)).await;
    assert_eq!(is_accepted(second), None);
    assert_eq!(began.elapsed(), PATIENCE);
    // And the next turn knows both.
    beside.ends().await;
    beside.begins();
    for (label, of) in [("a", None), ("b", tries("b"))] {
        let said = beside.check(&files(label, 1), of, never).await;
        assert_eq!(is_accepted(said), Some(false), "{label}");
    }
}

#[tokio::test(start_paused = true)]
async fn servers_make_no_difference_to_what_has_no_end() {
    let beside = Beside::default();
    put_off(&beside, &files("a", 1), None, without_end()).await;
    assert_eq!(ask(&beside, &files("a", 2)).await, Some(false));
    assert_eq!(ask(&beside, &files("b", 1)).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_try_is_known_by_what_is_tried_and_stands_for_nothing_that_is_wanted() {
    let beside = Beside::default();
    put_off(&beside, &files("a", 1), tries("a"), accepted()).await;
    let said = beside.check(&files("b", 2), tries("a"), never).await;
    assert_eq!(is_accepted(said), Some(true));
    let wanted = files("a", 1);
    let others = beside.check(&wanted, tries("b"), at_once(refused())).await;
    assert_eq!(is_accepted(others), Some(false));
    // But for just these files.
    beside.begins();
    assert_eq!(ask(&beside, &files("a", 1)).await, Some(true));
    let wanted = files("a", 2);
    let said = beside.check(&wanted, None, at_once(refused())).await;
    assert_eq!(is_accepted(said), Some(false));
}

#[tokio::test(start_paused = true)]
async fn after_enough_that_do_not_end_no_further_one_is_begun() {
    let beside = Beside::default();
    for label in 0..ENOUGH_WAITS {
        let others = files(&label.to_string(), 1);
        let began = Instant::now();
        put_off(&beside, &others, None, without_end()).await;
        // Whoever has other files waits no longer for that.
        assert_eq!(began.elapsed(), PATIENCE);
    }
    assert_eq!(ask(&beside, &files("a", 1)).await, Some(false));
    beside.forget();
    assert_eq!(ask(&beside, &files("a", 1)).await, None);
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_asked_once_more_by_a_try() {
    let beside = Beside::default();
    let wanted = files("a", 1);
    put_off(&beside, &wanted, None, refused()).await;
    beside.begins();
    let again = beside
        .check(&wanted, tries("all"), at_once(accepted()))
        .await;
    assert_eq!(is_accepted(again), Some(true));
}

#[tokio::test(start_paused = true)]
async fn who_was_overtaken_waits_longer_each_time() {
    let beside = Beside::default();
    put_off(&beside, &files("0", 1), None, accepted()).await;
    let mut waited = Duration::ZERO;
    for label in 1..7 {
        let began = Instant::now();
        let others = files(&label.to_string(), 1);
        put_off(&beside, &others, None, accepted()).await;
        assert!(waited < began.elapsed() || waited == MOST_PATIENCE);
        waited = began.elapsed();
    }
    assert_eq!(waited, MOST_PATIENCE);
    beside.forget();
    let began = Instant::now();
    put_off(&beside, &files("a", 1), None, accepted()).await;
    assert_eq!(began.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn who_is_tried_again_keeps_no_check_waiting_and_only_an_end_is_told() {
    let beside = Beside::default();
    let place = |app: &str| (AppId::new(app), 0);
    let ends = |verdict| -> Check {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Ok(verdict)
        })
    };
    beside.retry(place("/a"), ends(without_end()));
    beside.retry(place("/b"), Box::pin(pending()));
    beside.retry(place("/b"), ends(accepted()));
    let wanted = files("a", 1);
    let said = beside.check(&wanted, None, at_once(accepted())).await;
    assert_eq!(is_accepted(said), Some(true));
    // What a turn decides is no word on them.
    beside.forget();
    let soon = timeout(Duration::from_secs(60), beside.retried()).await;
    assert_eq!(soon.unwrap(), place("/b"));
    let later = timeout(Duration::from_secs(3600), beside.retried()).await;
    assert!(later.is_err());
}

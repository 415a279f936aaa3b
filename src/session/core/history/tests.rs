use serde_json::{Value, json};

use super::*;

fn item(value: Value) -> Item {
    serde_json::from_value(value).unwrap()
}

fn user(id: &str, text: &str) -> Item {
    item(
        json!({"id": id, "type": "message", "role": "user", "status": "completed",
        "content": [{"type": "input_text", "text": text}]}),
    )
}

fn assistant(id: &str, content: Value) -> Item {
    item(
        json!({"id": id, "type": "message", "role": "assistant", "status": "in_progress", "content": content}),
    )
}

fn order(history: &History) -> Vec<&str> {
    history.iter().map(|item| item.id().as_str()).collect()
}

#[test]
fn items_go_after_the_one_named_else_to_the_end() {
    let mut history = History::default();
    let root = Id::from("a");
    assert!(matches!(
        history.upsert(user("a", "1"), None, true),
        Change::Added(_)
    ));
    history.upsert(user("c", "3"), Some(&root), true);
    history.upsert(user("b", "2"), Some(&root), true);
    history.upsert(user("d", "4"), Some(&Id::from("gone")), true);
    history.upsert(user("e", "5"), Some(&Id::from("")), true);
    assert_eq!(order(&history), ["a", "b", "c", "d", "e"]);
}

#[test]
fn an_item_that_is_known_stays_where_it_is() {
    let mut history = History::default();
    history.upsert(user("a", "1"), None, false);
    history.upsert(user("b", "2"), None, false);
    assert_eq!(
        history.upsert(user("a", "1"), None, true),
        Change::None,
        "a done that says nothing new"
    );
    assert_eq!(order(&history), ["a", "b"]);
}

#[test]
fn removed_items_leave_the_others_linked() {
    let mut history = History::default();
    for id in ["a", "b", "c"] {
        history.upsert(user(id, id), None, true);
    }
    assert!(history.remove("b") && !history.remove("b"));
    assert_eq!(order(&history), ["a", "c"]);
    assert!(history.remove("c") && history.remove("a"));
    history.upsert(user("d", "4"), Some(&Id::from("c")), true);
    assert_eq!(order(&history), ["d"]);
}

#[test]
fn deltas_grow_an_answer_and_empty_words_never_shrink_it() {
    let mut history = History::default();
    history.upsert(assistant("a", json!([])), None, false);
    history.append("a", 0, "Hel", true);
    history.append("a", 0, "lo", true);
    let done = assistant("a", json!([{"type": "output_audio", "transcript": null}]));
    history.upsert(done, None, true);
    let said: Vec<_> = history.iter().map(HistoryItem::text).collect();
    assert_eq!(said, ["Hello"]);
    let HistoryItem::Message { status, .. } = history.iter().next().unwrap() else {
        panic!("not a message")
    };
    assert_eq!(*status, ItemStatus::Completed, "done counts as completed");
}

#[test]
fn deltas_for_an_item_never_announced_make_one() {
    let mut history = History::default();
    assert_eq!(history.append("a", 0, "lost", false), None);
    history.begin_answer("a");
    history.append("a", 0, "hi", false);
    history.append("a", 7, "far beyond", false);
    assert_eq!(history.iter().map(HistoryItem::text).collect::<Vec<_>>(), ["hi"]);
}

#[test]
fn pictures_stay_when_a_later_event_leaves_them_out() {
    let mut history = History::default();
    let picture = json!({"type": "input_image", "image_url": "data:image/png;base64,AA"});
    let text = json!({"type": "input_text", "text": "what is this?"});
    let message =
        |content: Value| item(json!({"id": "u", "type": "message", "role": "user", "content": content}));
    history.upsert(message(json!([picture, text])), None, false);
    history.upsert(message(json!([text])), None, true);
    let HistoryItem::Message { content, .. } = history.iter().next().unwrap() else {
        panic!("not a message")
    };
    assert_eq!(content.len(), 2);
}

#[test]
fn a_transcript_may_come_before_its_item() {
    let mut history = History::default();
    let id = Id::from("u");
    assert!(matches!(
        history.set_input_transcript(&id, 0, "hello"),
        Change::Added(_)
    ));
    let late = item(json!({"id": "u", "type": "message", "role": "user",
        "content": [{"type": "input_audio", "transcript": null}]}));
    history.upsert(late, None, false);
    assert_eq!(
        history.iter().map(HistoryItem::text).collect::<Vec<_>>(),
        ["hello"]
    );
}

#[test]
fn a_call_is_one_entry_with_its_output() {
    let mut history = History::default();
    let call =
        json!({"id": "c", "type": "function_call", "name": "f", "call_id": "call_1", "arguments": "{}"});
    history.upsert(item(call), None, true);
    assert!(matches!(history.set_output("c", "sunny"), Change::Updated(_)));
    history.upsert(user("u", "late"), None, true);
    let output = json!({"id": "o", "type": "function_call_output", "call_id": "call_1", "output": "sunny"});
    assert_eq!(history.upsert(item(output), None, true), Change::None);
    history.upsert(user("n", "next"), Some(&Id::from("o")), true);
    assert_eq!(order(&history), ["c", "n", "u"]);
    assert!(!history.remove("o"));
}

#[test]
fn a_cut_answer_keeps_its_words_and_stays_cut() {
    let mut history = History::default();
    history.begin_answer("a");
    history.append("a", 0, "all of it", true);
    history.truncate("a");
    history.upsert(assistant("a", json!([{"type": "output_audio"}])), None, true);
    let HistoryItem::Message { status, .. } = history.iter().next().unwrap() else {
        panic!("not a message")
    };
    assert_eq!(
        (*status, history.iter().next().unwrap().text().as_str()),
        (ItemStatus::Incomplete, "all of it")
    );
}

//! What one session of the simulator does besides plain turns: cutting off, items, other responses, other sessions.

mod simulator_client;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use realtime_run::simulator::{Brain, Limits, Options, Output, Pace, Prompt, Reply};
use simulator_client::{Client, find, order, outputs, simulator, simulator_with, weather_tool, words};

/// More sound than any socket buffer holds, so that the answer cannot be done before the client has read of it.
fn long() -> String {
    "word ".repeat(3_000)
}

async fn begin_long(client: &mut Client, until: &str) -> Vec<Value> {
    client.say(&long()).await;
    client.respond().await;
    client.until(until).await
}

#[tokio::test]
async fn a_cancelled_answer_closes_in_order() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    begin_long(&mut client, "response.output_audio.delta").await;
    client.send(json!({"type": "response.cancel"})).await;
    let mut events = client.until("rate_limits.updated").await;
    let first_done = events
        .iter()
        .position(|event| event["type"] == "response.output_audio.done")
        .expect("its end");
    let closing = events.split_off(first_done);
    assert_eq!(
        order(&closing),
        [
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
    );
    let response = &find(&closing, "response.done")["response"];
    assert_eq!(response["status"], "cancelled");
    assert_eq!(
        response["status_details"],
        json!({"type": "cancelled", "reason": "client_cancelled"})
    );
    assert_eq!(response["output"][0]["status"], "incomplete");
    assert!(
        response["usage"]["output_tokens"]
            .as_u64()
            .is_some_and(|tokens| tokens > 0)
    );
    let said = words(&closing);
    assert!(
        said.starts_with("You said:") && said.len() < long().len(),
        "a part of it was said, not: {said}"
    );
    assert_eq!(
        words(&client.turn("Hello").await),
        "You said: Hello",
        "and the session goes on"
    );
}

#[tokio::test]
async fn a_cancelled_call_is_not_a_whole_call() {
    let options = Options {
        pace: Pace::Every(Duration::from_millis(5)),
        ..Options::default()
    };
    let simulator = simulator_with(options).await;
    let mut client = Client::open(&simulator).await;
    client.update(json!({"tools": [weather_tool()]})).await;
    client.say("What is the weather in Rome?").await;
    client.respond().await;
    client.next("response.function_call_arguments.delta").await;
    client.send(json!({"type": "response.cancel"})).await;
    let events = client.until("response.done").await;
    assert_eq!(
        find(&events, "response.output_item.done")["item"]["status"],
        "incomplete"
    );
}

#[tokio::test]
async fn items_can_be_made_while_an_answer_runs() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    begin_long(&mut client, "response.output_audio.delta").await;
    client.say("One more thing").await;
    let events = client.until("conversation.item.done").await;
    assert_eq!(
        events.last().expect("the item")["item"]["content"][0]["text"],
        "One more thing"
    );
    client.send(json!({"type": "response.cancel"})).await;
    client.next("rate_limits.updated").await;
    client.respond().await;
    assert_eq!(
        words(&client.until("response.done").await),
        "You said: One more thing"
    );
}

#[tokio::test]
async fn a_truncated_item_keeps_what_was_heard_and_loses_its_words() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    let item = outputs(&client.turn("One two three").await)[0]["id"].clone();
    let retrieve = json!({"type": "conversation.item.retrieve", "item_id": item});
    client.send(retrieve.clone()).await;
    let whole = client.next("conversation.item.retrieved").await;
    client
        .send(json!({"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": 450}))
        .await;
    client.send(retrieve).await;
    let cut = client.next("conversation.item.retrieved").await;

    let part = |event: &Value| event["item"]["content"][0].clone();
    let audio = |event: &Value| {
        BASE64_STANDARD
            .decode(part(event)["audio"].as_str().expect("base64"))
            .expect("base64")
    };
    assert_eq!(part(&whole)["transcript"], "You said: One two three");
    assert_eq!(part(&cut)["transcript"], Value::Null);
    assert_eq!((audio(&whole).len(), audio(&cut).len()), (5 * 9_600, 450 * 48));
    assert_eq!(audio(&cut), audio(&whole)[..450 * 48]);
    assert_eq!(cut["item"]["object"], "realtime.item");
}

#[tokio::test]
async fn a_truncation_while_the_item_is_made_stays() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    let delta = begin_long(&mut client, "response.output_audio.delta")
        .await
        .pop()
        .expect("a delta");
    let item = &delta["item_id"];
    client
        .send(json!({"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": 100}))
        .await;
    client.next("conversation.item.truncated").await;
    // What is made after it must not lengthen the item again.
    client.next("response.output_audio.delta").await;
    client.send(json!({"type": "response.cancel"})).await;
    client.next("rate_limits.updated").await;
    client
        .send(json!({"type": "conversation.item.retrieve", "item_id": item}))
        .await;
    let part = client.next("conversation.item.retrieved").await["item"]["content"][0].take();
    assert_eq!(part["transcript"], Value::Null);
    assert_eq!(
        BASE64_STANDARD
            .decode(part["audio"].as_str().expect("base64"))
            .expect("base64")
            .len(),
        100 * 48
    );
}

#[tokio::test]
async fn items_go_where_they_are_put() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    let mut put = async |id: &str, previous: Option<&str>| {
        let item = json!({
            "type": "message", "id": id, "role": "user", "content": [{"type": "input_text", "text": id}],
        });
        let mut event = json!({"type": "conversation.item.create", "item": item});
        if let Some(previous) = previous {
            event["previous_item_id"] = previous.into();
        }
        client.send(event).await;
        let added = client.next("conversation.item.added").await;
        let done = client.next("conversation.item.done").await;
        assert_eq!(added["item"], done["item"]);
        assert_eq!(
            (&added["item"]["id"], &added["item"]["status"]),
            (&json!(id), &json!("completed"))
        );
        added["previous_item_id"].clone()
    };
    assert_eq!(put("first", None).await, Value::Null);
    assert_eq!(put("second", None).await, "first");
    assert_eq!(put("between", Some("first")).await, "first");
    assert_eq!(put("front", Some("root")).await, Value::Null);
    assert_eq!(put("last", Some("")).await, "second");
    assert_eq!(
        put("last", None).await,
        "last",
        "an id may come twice, as with the service"
    );

    client
        .send(json!({"type": "conversation.item.delete", "item_id": "first"}))
        .await;
    assert_eq!(client.next("conversation.item.deleted").await["item_id"], "first");
    client
        .send(json!({"type": "conversation.item.retrieve", "item_id": "first"}))
        .await;
    assert_eq!(
        client.next("error").await["error"]["code"],
        "item_retrieve_invalid_item_id"
    );
}

#[tokio::test]
async fn a_response_out_of_band_leaves_the_conversation_alone() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    begin_long(&mut client, "response.output_audio.delta").await;
    client
        .send(json!({"type": "response.create", "response": {
            "conversation": "none",
            "output_modalities": ["text"],
            "metadata": {"topic": "aside"},
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Aside"}]}],
        }}))
        .await;
    let mut aside = Vec::new();
    let mut id = Value::Null;
    while aside
        .last()
        .is_none_or(|event: &Value| event["type"] != "response.done")
    {
        let event = client.event().await;
        if event["type"] == "response.created" {
            id = event["response"]["id"].clone();
        }
        let is_aside = !id.is_null() && (event["response_id"] == id || event["response"]["id"] == id);
        assert!(
            !event["type"]
                .as_str()
                .is_some_and(|kind| kind.starts_with("conversation.")),
            "{event}"
        );
        if is_aside {
            aside.push(event);
        }
    }
    let response = &find(&aside, "response.done")["response"];
    assert_eq!(response["conversation_id"], Value::Null);
    assert_eq!(response["metadata"], json!({"topic": "aside"}));
    assert_eq!(words(&aside), "You said: Aside");

    client.send(json!({"type": "response.cancel"})).await;
    let main = client.until("response.done").await;
    assert_ne!(
        find(&main, "response.done")["response"]["id"],
        id,
        "the conversation's own answer ran on"
    );
}

#[tokio::test]
async fn a_response_may_differ_from_its_session() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    client
        .update(json!({"tools": [weather_tool()], "output_modalities": ["text"]}))
        .await;
    client.say("What is the weather in Rome?").await;
    let with = |response: Value| json!({"type": "response.create", "response": response});
    client
        .send(with(
            json!({"tool_choice": "none", "output_modalities": ["audio"]}),
        ))
        .await;
    let events = client.until("rate_limits.updated").await;
    assert_eq!(words(&events), "You said: What is the weather in Rome?");
    assert!(
        order(&events)
            .iter()
            .any(|kind| kind == "response.output_audio.delta")
    );

    let item = find(&events, "conversation.item.added")["item"]["id"].clone();
    client
        .send(with(
            json!({"input": [{"type": "item_reference", "id": item}], "tools": []}),
        ))
        .await;
    let events = client.until("rate_limits.updated").await;
    assert_eq!(words(&events), "You said: What is the weather in Rome?");
    let session = client.update(json!({})).await;
    assert_eq!(
        (&session["tool_choice"], &session["output_modalities"]),
        (&json!("auto"), &json!(["text"]))
    );
}

#[tokio::test]
async fn an_answer_ends_at_its_limit() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    client
        .update(json!({"max_output_tokens": 5, "output_modalities": ["text"]}))
        .await;
    let events = client.turn("one two three four five six seven").await;
    let response = &find(&events, "response.done")["response"];
    assert_eq!(response["status"], "incomplete");
    assert_eq!(
        response["status_details"],
        json!({"type": "incomplete", "reason": "max_output_tokens"})
    );
    assert_eq!(
        (words(&events).as_str(), &response["usage"]["output_tokens"]),
        ("You said: one two", &json!(5))
    );
    assert_eq!(response["output"][0]["status"], "incomplete");
}

#[tokio::test]
async fn a_handoff_shows_the_new_agent() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    let handoff = json!({
        "type": "function", "name": "transfer_to_refunds", "parameters": {"type": "object", "properties": {}},
        "description": "Handoff to the Refunds agent to handle the request.",
    });
    client
        .update(json!({"instructions": "Sort them.", "tools": [handoff, weather_tool()]}))
        .await;
    let call = simulator_client::call(&client.turn("I want a refund").await);
    assert_eq!(
        (&call["name"], &call["arguments"]),
        (&json!("transfer_to_refunds"), &json!("{}"))
    );
    client
        .update(json!({"instructions": "Refund gladly.", "tools": []}))
        .await;
    let events = client.answer_call(&call, r#"{"assistant":"Refunds"}"#).await;
    let said = words(&events);
    assert!(
        said.contains("Refunds") && said.contains("Refund gladly.") && !said.contains("get_weather"),
        "{said}"
    );
}

#[tokio::test]
async fn sessions_do_not_know_of_each_other() {
    let simulator = simulator().await;
    let talk = async |n: usize| {
        let mut client = Client::open(&simulator).await;
        client
            .update(json!({"instructions": format!("I am {n}."), "output_modalities": ["text"]}))
            .await;
        for turn in 0..5 {
            let events = client.turn(&format!("Session {n}, turn {turn}")).await;
            assert_eq!(words(&events), format!("You said: Session {n}, turn {turn}"));
        }
        client.update(json!({})).await["instructions"].clone()
    };
    let (one, two, three) = tokio::join!(talk(1), talk(2), talk(3));
    assert_eq!([one, two, three], ["I am 1.", "I am 2.", "I am 3."]);
}

/// Makes two calls and a remark, whatever it is told.
struct Busy;

impl Brain for Busy {
    fn answer(&mut self, prompt: &Prompt<'_>) -> Reply {
        let call = |name: &str| Output::Call {
            name: name.into(),
            arguments: "{}".into(),
        };
        let seen = prompt.items().count();
        vec![
            Output::Say(format!("I have seen {seen} items.")),
            call("one"),
            call("two"),
        ]
        .into()
    }
}

#[tokio::test]
async fn another_brain_can_answer_with_several_outputs() {
    let options = Options {
        brain: Arc::new(|| Box::new(Busy)),
        ..Options::default()
    };
    let simulator = simulator_with(options).await;
    let mut client = Client::open(&simulator).await;
    let events = client.turn("Hello").await;
    let outputs = outputs(&events);
    assert_eq!(outputs.len(), 3);
    assert_eq!(
        (words(&events).as_str(), &outputs[2]["name"]),
        ("I have seen 1 items.", &json!("two"))
    );
    let indexes = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.added");
    assert_eq!(
        indexes
            .map(|event| event["output_index"].clone())
            .collect::<Vec<_>>(),
        [0, 1, 2]
    );
}

#[tokio::test]
async fn user_audio_never_breaks_a_session() {
    let simulator = simulator().await;
    let mut client = Client::open(&simulator).await;
    // Not whole samples, nothing at all, and a lot of it; with the default turn detection on.
    for bytes in [1, 0, 3, 48_000, 200_000] {
        let audio = BASE64_STANDARD.encode(vec![7; bytes]);
        client
            .send(json!({"type": "input_audio_buffer.append", "audio": audio}))
            .await;
    }
    client.send(json!({"type": "input_audio_buffer.commit"})).await;
    let added = client.next("conversation.item.added").await;
    assert_eq!(
        added["item"]["content"],
        json!([{"type": "input_audio", "transcript": null}])
    );
    client
        .send(json!({"type": "conversation.item.retrieve", "item_id": added["item"]["id"]}))
        .await;
    let part = client.next("conversation.item.retrieved").await["item"]["content"][0].take();
    let audio = BASE64_STANDARD
        .decode(part["audio"].as_str().expect("base64"))
        .expect("base64");
    assert_eq!(audio.len(), 248_004);
    client.respond().await;
    client.until("response.done").await;
}

#[tokio::test]
async fn a_conversation_has_a_greatest_size() {
    let limits = Limits {
        max_conversation_bytes: 10_000,
        ..Limits::default()
    };
    let simulator = simulator_with(Options {
        limits,
        ..Options::default()
    })
    .await;
    let mut client = Client::open(&simulator).await;
    client.say(&"x".repeat(5_000)).await;
    let item = client.next("conversation.item.done").await["item"]["id"].clone();
    client.say(&"x".repeat(5_000)).await;
    assert_eq!(
        client.next("error").await["error"]["code"],
        "conversation_too_large"
    );
    client
        .send(json!({"type": "conversation.item.delete", "item_id": item}))
        .await;
    client.say(&"x".repeat(5_000)).await;
    client.next("conversation.item.done").await;
}

/// Says something before it calls.
struct Commentator;

impl Brain for Commentator {
    fn answer(&mut self, prompt: &Prompt<'_>) -> Reply {
        let call = |city: &str| Output::Call {
            name: "get_weather".into(),
            arguments: json!({"city": city}).to_string(),
        };
        match prompt.items().count() {
            1 => vec![Output::Say("Let me see.".into()), call("Oslo"), call("Rome")].into(),
            _ => vec![Output::Say("Done.".into())].into(),
        }
    }
}

#[tokio::test]
async fn a_call_begins_before_the_words_before_it_are_told_to_be_over() {
    let simulator = simulator_with(Options {
        brain: Arc::new(|| Box::new(Commentator)),
        ..Options::default()
    })
    .await;
    let mut client = Client::open(&simulator).await;
    client
        .update(json!({"output_modalities": ["text"], "tools": [weather_tool()]}))
        .await;
    let events = client.turn("Compare the weather in Oslo and Rome").await;
    assert_eq!(
        order(&events)[2..],
        [
            "response.created",
            // The words are output 0 …
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_text.delta",
            // … the first call is output 1, and has begun …
            "response.output_item.added",
            "conversation.item.added",
            "response.function_call_arguments.delta",
            // … when the words are done.
            "response.output_text.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.output_item.added",
            "conversation.item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
    );
    let indices = |kind: &str| {
        let of_kind = events.iter().filter(|event| event["type"] == kind);
        of_kind
            .map(|event| event["output_index"].as_u64())
            .collect::<Vec<_>>()
    };
    for kind in ["response.output_item.added", "response.output_item.done"] {
        assert_eq!(indices(kind), [Some(0), Some(1), Some(2)], "{kind}");
    }
    let kinds: Vec<_> = outputs(&events).iter().map(|item| item["type"].clone()).collect();
    assert_eq!(kinds, ["message", "function_call", "function_call"]);
}

#[tokio::test]
async fn a_response_out_of_band_runs_beside_the_one_in_the_conversation() {
    let options = Options {
        pace: Pace::Every(Duration::from_millis(2)),
        ..Options::default()
    };
    let simulator = simulator_with(options).await;
    let mut client = Client::open(&simulator).await;
    client.say(&"and on ".repeat(100)).await;
    client.respond().await;
    let running = client.next("response.created").await["response"]["id"].clone();
    client
        .send(json!({"type": "response.create", "response": {
            "conversation": "none", "output_modalities": ["text"], "metadata": {"topic": "side"},
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Aside"}]}],
        }}))
        .await;
    let events = client.until("response.done").await;
    let done = &events.last().expect("the end")["response"];
    assert_ne!(done["id"], running, "the short one ends first");
    assert_eq!(
        (&done["metadata"]["topic"], &done["conversation_id"]),
        (&json!("side"), &Value::Null)
    );
    assert_eq!(words(&events), "You said: Aside");
    let its_item = done["output"][0]["id"].clone();
    assert!(
        !events
            .iter()
            .any(|event| event["type"] == "conversation.item.added" && event["item"]["id"] == its_item),
        "the conversation is not told of it"
    );
    assert_eq!(client.next("response.done").await["response"]["id"], running);
}

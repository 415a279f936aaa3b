use std::collections::HashMap;

use serde_json::{Map, Value};

/// The ids that this client made where the recorded one made others, so that it hears its own.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// By recorded event; null if the client gave none.
    events: HashMap<String, Value>,
    /// By recorded item.
    items: HashMap<String, String>,
}

impl Ids {
    /// Learns from an event and its recorded counterpart.
    pub(super) fn learn(&mut self, recorded: &Map<String, Value>, sent: &Map<String, Value>) {
        if let Some(Value::String(id)) = recorded.get("event_id") {
            let own = sent.get("event_id").cloned().unwrap_or_default();
            self.events.insert(id.clone(), own);
        }
        let item_id = |event: &Map<String, Value>| Some(event.get("item")?.get("id")?.as_str()?.to_owned());
        if let (Some(id), Some(own)) = (item_id(recorded), item_id(sent))
            && id != own
        {
            self.items.insert(id, own);
        }
    }

    /// Puts the client's ids in place of the recorded ones.
    pub(super) fn put_into(&self, event: &mut Map<String, Value>) {
        if let Some(id) = event.get_mut("error").and_then(|error| error.get_mut("event_id"))
            && let Some(own) = id.as_str().and_then(|id| self.events.get(id))
        {
            *id = own.clone();
        }
        if !self.items.is_empty() {
            self.put_items_into(event);
        }
    }

    fn put_items_into(&self, fields: &mut Map<String, Value>) {
        for (name, value) in fields {
            match value {
                Value::String(id) if matches!(name.as_str(), "id" | "item_id" | "previous_item_id") => {
                    if let Some(own) = self.items.get(id) {
                        id.clone_from(own);
                    }
                }
                Value::Object(fields) => self.put_items_into(fields),
                Value::Array(values) => values
                    .iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|fields| self.put_items_into(fields)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(fields) => fields,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_client_hears_its_own_ids() {
        let mut ids = Ids::default();
        let recorded = object(json!({"event_id": "e1", "item": {"id": "i1"}}));
        ids.learn(
            &recorded,
            &object(json!({"event_id": "mine", "item": {"id": "own"}})),
        );
        ids.learn(&object(json!({"event_id": "e2"})), &object(json!({})));
        let cases = [
            (
                json!({"item": {"id": "i1"}, "previous_item_id": "i0", "delta": "i1"}),
                json!({"item": {"id": "own"}, "previous_item_id": "i0", "delta": "i1"}),
            ),
            (
                json!({"response": {"output": [{"id": "i1"}]}, "event_id": "e1"}),
                json!({"response": {"output": [{"id": "own"}]}, "event_id": "e1"}),
            ),
            (
                json!({"error": {"event_id": "e1"}}),
                json!({"error": {"event_id": "mine"}}),
            ),
            (
                json!({"error": {"event_id": "e2"}}),
                json!({"error": {"event_id": null}}),
            ),
        ];
        for (event, expected) in cases {
            let mut event = object(event);
            ids.put_into(&mut event);
            assert_eq!(Value::Object(event), expected);
        }
    }
}

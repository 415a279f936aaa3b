use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value};

/// What one session knows: an object that templates and conditions read, and that tools may change while it runs.
/// Clones share it.
#[derive(Clone)]
pub struct RunContext {
    /// Replaced as a whole, so that readers keep what they took.
    values: Arc<RwLock<Arc<Value>>>,
}

impl RunContext {
    /// A context that starts with these values, an object.
    pub fn new(values: Value) -> Self {
        Self {
            values: Arc::new(RwLock::new(Arc::new(values))),
        }
    }

    /// The values as they are now; later changes are not seen in them.
    pub fn values(&self) -> Arc<Value> {
        Arc::clone(&self.values.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes values: objects are merged key by key, `null` removes a key, and anything else replaces what was
    /// there (RFC 7396).
    pub fn merge(&self, patch: Value) {
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        merge(Arc::make_mut(&mut values), patch);
    }
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.shift_remove(&key)),
            value => merge(target.entry(key).or_insert(Value::Null), value),
        }
    }
}

impl Default for RunContext {
    fn default() -> Self {
        Self::new(Value::Object(Map::new()))
    }
}

/// Two contexts are equal if they hold the same values.
impl PartialEq for RunContext {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.values, &other.values) || self.values() == other.values()
    }
}

/// Shows no values: they are the user's, and may come from the environment.
impl fmt::Debug for RunContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunContext").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_merged_and_what_was_taken_stays() {
        let context =
            RunContext::new(json!({"user": {"name": "Ada", "tier": "gold"}, "list": [1, 2], "old": 1}));
        let before = context.values();
        context.clone().merge(
            json!({"user": {"tier": "silver", "age": {"years": 36, "days": null}}, "list": [3], "old": null}),
        );
        assert_eq!(
            *context.values(),
            json!({"user": {"name": "Ada", "tier": "silver", "age": {"years": 36}}, "list": [3]})
        );
        assert_eq!(before["user"]["tier"], "gold");
    }

    #[test]
    fn values_show_in_no_debug_output() {
        let context = RunContext::new(json!({"key": "s3cret"}));
        assert!(!format!("{context:?}").contains("s3cret"));
    }
}

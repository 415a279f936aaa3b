//! Arguments for a function, from its schema and the user's words.

use std::ops::Range;

use serde_json::{Map, Number, Value, json};

/// How deep schemas are followed.
const DEPTH: usize = 6;
/// The most characters of a text argument.
const LONGEST: usize = 500;

/// What a required text is when the words do not say.
const UNKNOWN: &str = "unknown";

/// Words before a name: "in Rome", "for Ada".
const LEADS: &[&str] = &[
    "in", "for", "at", "to", "from", "of", "about", "named", "called", "with", "near", "by", "is",
];
/// Words that end a name written in small letters.
const ENDS: &[&str] = &[
    "and", "or", "please", "today", "tomorrow", "now", "right", "the", "a", "an", "my", "me", "you", "i",
    "it", "that", "this", "so", "but", "because", "if", "will", "can", "have", "be", "are", "was",
];
const DAYS: &[&str] = &[
    "today",
    "tomorrow",
    "tonight",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
const NUMBERS: &[&str] = &[
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
];

/// The arguments as an object: required ones always, others where the words hold them.
pub(super) fn fill(schema: &Value, words: &str) -> Value {
    let words: Vec<_> = words.split_whitespace().collect();
    let used = vec![false; words.len()];
    let mut filler = Filler {
        root: schema,
        words,
        used,
    };
    match filler.object(schema, DEPTH) {
        Some(object) => object,
        None => json!({}),
    }
}

/// Hands out the words of the user, each for one argument only.
struct Filler<'a> {
    root: &'a Value,
    words: Vec<&'a str>,
    used: Vec<bool>,
}

impl Filler<'_> {
    fn object(&mut self, schema: &Value, depth: usize) -> Option<Value> {
        let properties = schema["properties"].as_object()?;
        let required = schema["required"].as_array();
        let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|other| other == name));
        let mut object = Map::new();
        for (name, schema) in properties {
            let schema = self.resolve(schema);
            let value = self.find(name, &schema, depth);
            if let Some(value) = value.or_else(|| is_required(name).then(|| default(&schema))) {
                object.insert(name.clone(), value);
            }
        }
        Some(Value::Object(object))
    }

    /// Follows one reference, and takes the first of several possible schemas that is not null.
    fn resolve(&self, schema: &Value) -> Value {
        let target = schema["$ref"]
            .as_str()
            .and_then(|path| self.root.pointer(path.strip_prefix('#')?));
        let schema = target.unwrap_or(schema);
        let choices = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
        let first = choices.and_then(|choices| choices.iter().find(|choice| choice["type"] != "null"));
        first.unwrap_or(schema).clone()
    }

    /// A value that the words hold.
    fn find(&mut self, name: &str, schema: &Value, depth: usize) -> Option<Value> {
        if let Some(value) = schema.get("const") {
            return Some(value.clone());
        }
        if let Some(choices) = schema["enum"].as_array() {
            return choices.iter().find(|choice| self.mentions(choice)).cloned();
        }
        match kind(schema) {
            "integer" => self.number(schema, true),
            "number" => self.number(schema, false),
            "boolean" => self.truth(name),
            "array" => self.list(name, schema, depth),
            "object" if depth > 0 => self.object(schema, depth - 1),
            "string" => self.text(name, schema).map(Value::String),
            _ => None,
        }
    }

    /// Whether all words of a choice are among the user's.
    fn mentions(&self, choice: &Value) -> bool {
        let choice = choice
            .as_str()
            .map_or_else(|| choice.to_string(), str::to_lowercase);
        let mut parts = choice
            .split(|c: char| !c.is_alphanumeric())
            .filter(|part| !part.is_empty())
            .peekable();
        parts.peek().is_some() && parts.all(|part| self.words.iter().any(|word| small(word) == part))
    }

    fn number(&mut self, schema: &Value, whole: bool) -> Option<Value> {
        let unused = (0..self.words.len()).filter(|at| !self.used[*at]);
        let (at, number) = unused
            .filter_map(|at| read_number(self.words[at]).map(|number| (at, number)))
            .find(|(_, number)| !whole || number.fract() == 0.0)?;
        self.used[at] = true;
        Some(in_bounds(number, schema, whole))
    }

    /// True when the name of the argument is mentioned and not denied.
    fn truth(&self, name: &str) -> Option<Value> {
        let mut parts = name.split(['_', '-']).filter(|part| part.len() > 2);
        let at = parts.find_map(|part| self.words.iter().position(|word| small(word) == part))?;
        let is_denied = self.words[..at].iter().any(|word| {
            let word = small(word);
            matches!(word.as_str(), "not" | "no" | "without" | "never") || word.ends_with("n't")
        });
        Some((!is_denied).into())
    }

    fn list(&mut self, name: &str, schema: &Value, depth: usize) -> Option<Value> {
        let items = self.resolve(&schema["items"]);
        if let Some(choices) = items["enum"].as_array() {
            let chosen: Vec<_> = choices
                .iter()
                .filter(|choice| self.mentions(choice))
                .cloned()
                .collect();
            return (!chosen.is_empty()).then(|| chosen.into());
        }
        let most = schema["maxItems"]
            .as_u64()
            .and_then(|most| usize::try_from(most).ok())
            .unwrap_or(usize::MAX);
        // Numbers are as many as there are; anything else is one, since nothing shows where the next begins.
        let most = if matches!(kind(&items), "integer" | "number") {
            most
        } else {
            most.min(1)
        };
        let mut values = Vec::new();
        while values.len() < most && depth > 0 {
            let Some(value) = self.find(name, &items, depth - 1) else {
                break;
            };
            values.push(value);
        }
        (!values.is_empty()).then(|| values.into())
    }

    fn text(&mut self, name: &str, schema: &Value) -> Option<String> {
        let name = name.to_lowercase();
        let named = |hints: &[&str]| name.split(['_', '-']).any(|part| hints.contains(&part));
        let format = schema["format"].as_str().unwrap_or_default();
        let found = if format == "email" || named(&["email", "mail"]) {
            self.one(|word| word.contains('@'))
        } else if format.starts_with("date") || named(&["date", "day", "when", "time"]) {
            self.one(|word| {
                DAYS.contains(&small(word).as_str()) || word.contains(|c: char| c.is_ascii_digit())
            })
        } else if named(&[
            "query", "question", "text", "message", "reason", "content", "prompt", "summary", "note",
        ]) {
            Some(self.words.join(" "))
        } else if named(&[
            "id",
            "number",
            "code",
            "order",
            "invoice",
            "account",
            "ticket",
            "reference",
            "phone",
            "zip",
        ]) {
            self.one(|word| word.contains(|c: char| c.is_ascii_digit()))
        } else {
            let lead = match () {
                () if named(&["from", "origin", "source", "departure", "start"]) => Some("from"),
                () if named(&["to", "destination", "target", "arrival", "recipient"]) => Some("to"),
                () => None,
            };
            self.name(lead)
        };
        found
            .filter(|text| !text.is_empty())
            .map(|text| text.chars().take(LONGEST).collect())
    }

    /// The first unused word that is of a kind.
    fn one(&mut self, is_meant: impl Fn(&str) -> bool) -> Option<String> {
        let at = (0..self.words.len()).find(|at| !self.used[*at] && is_meant(self.words[*at]))?;
        self.used[at] = true;
        Some(bare(self.words[at]).to_owned())
    }

    /// What looks most like a name: in quotes; capitalised after a leading word; capitalised anywhere but at the
    /// start; in small letters after a leading word.
    fn name(&mut self, lead: Option<&str>) -> Option<String> {
        let led: Vec<_> = (1..self.words.len())
            .filter(|at| self.is_led(*at, lead))
            .collect();
        let anywhere = if lead.is_none() { 1..self.words.len() } else { 0..0 };
        let span = self
            .quoted()
            .or_else(|| led.iter().find_map(|at| self.run(*at, is_capital)))
            .or_else(|| anywhere.into_iter().find_map(|at| self.run(at, is_capital)))
            .or_else(|| led.iter().find_map(|at| self.run(*at, is_plain)))?;
        self.used[span.clone()].fill(true);
        Some(bare(&self.words[span].join(" ")).to_owned())
    }

    /// Whether a word follows one that leads to names, or the one lead that is asked for.
    fn is_led(&self, at: usize, lead: Option<&str>) -> bool {
        let before = self.words[at - 1];
        let is_lead = match lead {
            Some(lead) => small(before) == lead,
            None => LEADS.contains(&small(before).as_str()),
        };
        is_lead && !ends_phrase(before)
    }

    fn quoted(&self) -> Option<Range<usize>> {
        const QUOTES: [char; 3] = ['"', '“', '”'];
        let from = (0..self.words.len()).find(|at| !self.used[*at] && self.words[*at].starts_with(QUOTES))?;
        let closes = |word: &str| word.char_indices().skip(1).any(|(_, c)| QUOTES.contains(&c));
        let to = (from..self.words.len()).find(|at| closes(self.words[*at]))?;
        Some(from..to + 1)
    }

    /// The unused words of a kind from one place on, to the end of the phrase.
    fn run(&self, from: usize, is_part: fn(&str) -> bool) -> Option<Range<usize>> {
        const MOST: usize = 4;
        let mut to = from;
        while to < self.words.len().min(from + MOST) && !self.used[to] && is_part(self.words[to]) {
            to += 1;
            if ends_phrase(self.words[to - 1]) {
                break;
            }
        }
        (to > from).then_some(from..to)
    }
}

/// What a required argument is when the words do not say.
fn default(schema: &Value) -> Value {
    if let Some(value) = schema
        .get("default")
        .or_else(|| schema["examples"].get(0))
        .or_else(|| schema["enum"].get(0))
    {
        return value.clone();
    }
    match kind(schema) {
        "integer" => in_bounds(0.0, schema, true),
        "number" => in_bounds(0.0, schema, false),
        "boolean" => false.into(),
        "array" => json!([]),
        "object" => json!({}),
        "null" => Value::Null,
        _ => UNKNOWN.into(),
    }
}

/// The type of a schema: the first that is not null, and text where it does not say.
fn kind(schema: &Value) -> &str {
    let first = |kinds: &'_ Vec<Value>| kinds.iter().position(|kind| kind != "null");
    let kind = match &schema["type"] {
        Value::Array(kinds) => first(kinds).and_then(|at| kinds[at].as_str()),
        kind => kind.as_str(),
    };
    kind.unwrap_or(if schema.get("properties").is_some() {
        "object"
    } else {
        "string"
    })
}

fn in_bounds(number: f64, schema: &Value, whole: bool) -> Value {
    let bound = |key: &str| schema[key].as_f64();
    let step = if whole { 1.0 } else { f64::EPSILON };
    let least = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|least| least + step));
    let most = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|most| most - step));
    let number = number
        .max(least.unwrap_or(f64::MIN))
        .min(most.unwrap_or(f64::MAX));
    if whole {
        return (number as i64).into();
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// A number in digits, perhaps with a currency or thousands separators, or in words.
fn read_number(word: &str) -> Option<f64> {
    let small = small(word);
    if let Some(number) = NUMBERS.iter().position(|name| *name == small) {
        return Some(number as f64);
    }
    let is_part = |c: char| c.is_ascii_digit() || c == '-' || c == '.';
    let digits = word
        .trim_matches(|c: char| !is_part(c))
        .trim_end_matches(['.', '-'])
        .replace(',', "");
    let has_digits = digits.contains(|c: char| c.is_ascii_digit());
    digits
        .parse()
        .ok()
        .filter(|number: &f64| has_digits && number.is_finite())
}

/// A word without what surrounds it.
fn bare(word: &str) -> &str {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    word.strip_suffix("'s")
        .or_else(|| word.strip_suffix("’s"))
        .unwrap_or(word)
}

fn small(word: &str) -> String {
    bare(word).to_lowercase()
}

fn ends_phrase(word: &str) -> bool {
    word.ends_with(['.', ',', ';', ':', '!', '?', ')'])
}

fn is_capital(word: &str) -> bool {
    let word = bare(word);
    word.starts_with(char::is_uppercase) && !matches!(word, "I" | "I'm" | "I'd" | "I'll" | "I've")
}

fn is_plain(word: &str) -> bool {
    let word = small(word);
    !word.is_empty() && !ENDS.contains(&word.as_str()) && !LEADS.contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(properties: Value, required: &[&str]) -> Value {
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    fn city(words: &str) -> Value {
        fill(&schema(json!({"city": {"type": "string"}}), &["city"]), words)["city"].clone()
    }

    #[test]
    fn names_are_found_in_the_words() {
        assert_eq!(city("What is the weather in Rome?"), "Rome");
        assert_eq!(city("Weather for New York City, please"), "New York City");
        assert_eq!(city("Is it raining in Paris right now?"), "Paris");
        assert_eq!(city("what's the weather in new york please"), "new york");
        assert_eq!(city("Will Berlin's weather hold?"), "Berlin");
        assert_eq!(city("the weather in \"são paulo\" today"), "são paulo");
        assert_eq!(city("How is the weather?"), UNKNOWN);
        assert_eq!(city(""), UNKNOWN);
    }

    #[test]
    fn each_word_serves_one_argument() {
        let text = json!({"type": "string"});
        let route = schema(
            json!({"to": text, "from": text, "passenger": text}),
            &["to", "from", "passenger"],
        );
        assert_eq!(
            fill(&route, "Fly from Rome to New York for Ada"),
            json!({"to": "New York", "from": "Rome", "passenger": "Ada"})
        );
        let sum = schema(
            json!({"a": {"type": "number"}, "b": {"type": "number"}}),
            &["a", "b"],
        );
        assert_eq!(
            fill(&sum, "What is 2.5 plus 1,000?"),
            json!({"a": 2.5, "b": 1000.0})
        );
    }

    #[test]
    fn numbers_keep_to_their_bounds() {
        let count = |words, extra: Value| {
            let mut count = json!({"type": "integer"});
            count
                .as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            fill(&schema(json!({"count": count}), &["count"]), words)["count"].clone()
        };
        assert_eq!(count("Give me three tickets", json!({})), 3);
        assert_eq!(count("Give me $40 worth", json!({"maximum": 10})), 10);
        assert_eq!(count("Some", json!({"minimum": 1})), 1);
        assert_eq!(count("Some", json!({"default": 7})), 7);
        assert_eq!(count("2.5 or 4", json!({})), 4);
    }

    #[test]
    fn choices_codes_days_and_truths_are_found() {
        let all = schema(
            json!({
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "order_id": {"type": "string"},
                "date": {"type": "string", "format": "date"},
                "email": {"type": "string"},
                "express": {"type": "boolean"},
                "gift": {"type": "boolean"},
                "tags": {"type": "array", "items": {"enum": ["red", "blue", "green"]}},
                "question": {"type": "string"},
            }),
            &["unit", "order_id"],
        );
        let words =
            "Send A-1234 express, without gift, tomorrow to ada@example.com in fahrenheit, blue and red.";
        assert_eq!(
            fill(&all, words),
            json!({
                "unit": "fahrenheit", "order_id": "A-1234", "date": "tomorrow", "email": "ada@example.com",
                "express": true, "gift": false, "tags": ["red", "blue"], "question": words,
            })
        );
        assert_eq!(fill(&all, "")["unit"], "celsius");
    }

    #[test]
    fn optional_arguments_need_words() {
        let optional = schema(
            json!({"city": {"type": "string"}, "days": {"type": "integer"}}),
            &[],
        );
        assert_eq!(fill(&optional, "hello there"), json!({}));
        assert_eq!(fill(&optional, "in Rome"), json!({"city": "Rome"}));
    }

    /// Whatever the schema, the arguments fit it, or the schema is nonsense and nothing breaks.
    #[test]
    fn arguments_fit_their_schema() {
        let words = [
            "",
            "What is 12 in Rome for Ada on Monday with A-1?",
            "no",
            "\" \" . , - 1e999 -",
        ];
        let schemas = [
            schema(
                json!({"a": {"type": "array", "items": {"type": "integer"}, "maxItems": 2}}),
                &["a"],
            ),
            schema(
                json!({"a": {"type": ["string", "null"]}, "b": {"anyOf": [{"type": "null"}, {"type": "number"}]}}),
                &["a", "b"],
            ),
            schema(
                json!({"o": schema(json!({"x": {"type": "string"}, "n": {"type": "integer", "minimum": 3}}), &["x", "n"])}),
                &["o"],
            ),
            schema(json!({"c": {"const": 5}, "n": {"type": "null"}}), &["c", "n"]),
            json!({
                "type": "object", "properties": {"p": {"$ref": "#/$defs/place"}}, "required": ["p"],
                "$defs": {"place": schema(json!({"city": {"type": "string"}}), &["city"])},
            }),
        ];
        for schema in &schemas {
            for words in words {
                let arguments = fill(schema, words);
                assert!(
                    jsonschema::is_valid(schema, &arguments),
                    "{arguments} for {schema}"
                );
            }
        }
        let recursive = json!({
            "type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"],
        });
        for nonsense in [
            json!(null),
            json!([]),
            json!({"properties": 3}),
            json!({"properties": {"a": 1}}),
            recursive,
        ] {
            assert!(fill(&nonsense, "Rome 3").is_object());
        }
    }
}

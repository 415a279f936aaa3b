use serde_json::{Map, Value};

use super::{Tool, ToolCall, ToolError, ToolFuture, ToolOutput, ToolSpec};
use crate::context::{Template, TemplateError, Variables};

/// A tool that has its answer ready, for demonstrations and tests, or made from what the run knows.
#[derive(Debug, Clone)]
pub struct OutputTool {
    spec: ToolSpec,
    answer: Answer,
}

#[derive(Debug, Clone)]
enum Answer {
    Fixed(ToolOutput),
    Text(Template),
    Json(Filled),
}

/// A value whose texts are templates.
#[derive(Debug, Clone)]
enum Filled {
    Value(Value),
    Text(Template),
    Array(Vec<Filled>),
    Object(Vec<(String, Filled)>),
}

impl OutputTool {
    /// A tool that answers `output` whatever it is asked.
    pub fn new(spec: ToolSpec, output: impl Into<ToolOutput>) -> Self {
        let answer = Answer::Fixed(output.into());
        Self { spec, answer }
    }

    /// A tool whose answer is filled in at each call: every text in `output` is a template that knows the call's
    /// arguments as `args`, and the context. A text answers as it is, anything else as JSON.
    ///
    /// # Errors
    /// When one of the texts is no template.
    pub fn template(spec: ToolSpec, output: Value) -> Result<Self, TemplateError> {
        let answer = match output {
            Value::String(text) => Answer::Text(Template::new(text)?),
            value => Answer::Json(Filled::new(value)?),
        };
        Ok(Self { spec, answer })
    }
}

impl Answer {
    fn fill(&self, call: &ToolCall) -> Result<ToolOutput, TemplateError> {
        let variables = || Variables::of(&call.context.values()).with("args", &call.arguments);
        Ok(match self {
            Self::Fixed(output) => output.clone(),
            Self::Text(text) => ToolOutput::Text(text.render(&variables())?),
            Self::Json(value) => ToolOutput::Json(value.fill(&variables())?),
        })
    }
}

impl Filled {
    fn new(value: Value) -> Result<Self, TemplateError> {
        Ok(match value {
            Value::String(text) => Self::Text(Template::new(text)?),
            Value::Array(items) => Self::Array(items.into_iter().map(Self::new).collect::<Result<_, _>>()?),
            Value::Object(entries) => {
                let entry = |(key, value)| Ok((key, Self::new(value)?));
                Self::Object(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
            }
            value => Self::Value(value),
        })
    }

    fn fill(&self, variables: &Variables) -> Result<Value, TemplateError> {
        Ok(match self {
            Self::Value(value) => value.clone(),
            Self::Text(text) => Value::String(text.render(variables)?),
            Self::Array(items) => items
                .iter()
                .map(|item| item.fill(variables))
                .collect::<Result<_, _>>()?,
            Self::Object(entries) => {
                let entry = |(key, value): &(String, Self)| Ok((key.clone(), value.fill(variables)?));
                Value::Object(entries.iter().map(entry).collect::<Result<Map<_, _>, _>>()?)
            }
        })
    }
}

impl Tool for OutputTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, call: ToolCall) -> ToolFuture {
        let unfilled = |error| ToolError::new(format!("its answer can't be worked out: {error}"));
        let answer = self.answer.fill(&call).map_err(unfilled);
        Box::pin(async { answer })
    }
}

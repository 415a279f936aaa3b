use std::fmt;
use std::sync::Arc;

use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::{
    Approval, Guardrail, ReplaceTool, Tool, ToolCall, ToolError, ToolFuture, ToolGuardrails, ToolOutput,
    ToolSpec, limit, replaced,
};
use crate::context::{Condition, RunContext, Template, TemplateError, Variables};

/// Mistakes in one call's arguments that the model is told of.
const MISTAKES: usize = 5;
/// Of one mistake, the most characters.
const MISTAKE_LENGTH: usize = 200;

/// A tool of any kind with what holds for all kinds around it: the condition it is enabled by, the validation of
/// arguments before it runs, whether it needs approval, guardrails, updates of the context from its answer, a limit on how much it
/// may answer, and the words for its failures and refusals.
#[derive(Clone)]
pub struct ManagedTool {
    inner: Arc<dyn Tool>,
    /// Made once, since making it costs more than using it. None for a schema that is of no use.
    validator: Option<Arc<Validator>>,
    when: Option<Condition>,
    /// None leaves it to the tool itself.
    approval: Option<Approval>,
    guardrails: ToolGuardrails,
    updates_context: bool,
    error_message: Option<Template>,
    refusal_message: Option<Template>,
}

impl ManagedTool {
    /// Puts validation and the limit around `tool`.
    pub fn new(tool: Arc<dyn Tool>) -> Self {
        let spec = tool.spec();
        let validator = jsonschema::validator_for(&spec.parameters)
            .inspect_err(|_| {
                tracing::warn!(
                    tool = spec.name,
                    "its JSON schema is of no use; arguments are not validated"
                )
            })
            .ok()
            .map(Arc::new);
        Self {
            guardrails: tool.guardrails(),
            inner: tool,
            validator,
            when: None,
            approval: None,
            updates_context: false,
            error_message: None,
            refusal_message: None,
        }
    }

    /// Sets when an agent that takes charge has it.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.when = Some(condition);
        self
    }

    /// Sets which calls have to be approved before they run, instead of what the tool itself says.
    #[must_use]
    pub fn approval(mut self, approval: impl Into<Approval>) -> Self {
        self.approval = Some(approval.into());
        self
    }

    /// Adds what watches over its calls, before they are made.
    #[must_use]
    pub fn input_guardrail(mut self, guardrail: impl Guardrail) -> Self {
        self.guardrails.input.push(Arc::new(guardrail));
        self
    }

    /// Adds what watches over its answers, before the model sees them.
    #[must_use]
    pub fn output_guardrail(mut self, guardrail: impl Guardrail) -> Self {
        self.guardrails.output.push(Arc::new(guardrail));
        self
    }

    /// Adds what watches over it.
    #[must_use]
    pub fn watched_by(mut self, guardrails: &ToolGuardrails) -> Self {
        self.guardrails = self.guardrails.and(guardrails);
        self
    }

    /// Lets its answers change the context: of one that is a JSON object with `context`, that is merged into the
    /// context ([`RunContext::merge`]), and only its `output` reaches the model. The next agent to take charge sees it.
    #[must_use]
    pub fn updates_context(mut self) -> Self {
        self.updates_context = true;
        self
    }

    /// Sets what the model is told when it fails: a template that knows the tool's name as `tool` and what happened
    /// as `error`.
    #[must_use]
    pub fn error_message(mut self, template: Template) -> Self {
        self.error_message = Some(template);
        self
    }

    /// Sets what the model is told when a call was not approved: a template that knows the tool's name as `tool`.
    #[must_use]
    pub fn refusal_message(mut self, template: Template) -> Self {
        self.refusal_message = Some(template);
        self
    }

    /// What is wrong with the arguments of a call.
    fn validate(&self, arguments: &Value) -> Result<(), ToolError> {
        let Some(validator) = &self.validator else {
            return Ok(());
        };
        let mistakes: Vec<String> = validator
            .iter_errors(arguments)
            .take(MISTAKES)
            .map(|error| explain(&error))
            .collect();
        match mistakes.as_slice() {
            [] => Ok(()),
            mistakes => Err(ToolError::new(format!(
                "invalid arguments: {}",
                mistakes.join("; ")
            ))),
        }
    }
}

/// One mistake, as `days: value is less than the minimum of 1`.
fn explain(error: &ValidationError<'_>) -> String {
    let place = error
        .instance_path()
        .as_str()
        .trim_start_matches('/')
        .replace('/', ".");
    // Masked: the error also goes where no content may go.
    let mut what = error.masked().to_string();
    if what.len() > MISTAKE_LENGTH {
        what.truncate(what.floor_char_boundary(MISTAKE_LENGTH));
        what.push('…');
    }
    match place.as_str() {
        "" => what,
        place => format!("{place}: {what}"),
    }
}

/// Takes a change of the context out of an answer.
fn update(context: &RunContext, output: ToolOutput) -> Result<ToolOutput, ToolError> {
    let parsed = match &output {
        ToolOutput::Json(value) => Some(value.clone()),
        ToolOutput::Text(text) => serde_json::from_str(text).ok(),
        ToolOutput::EndSession(_) => None,
    };
    let Some(Value::Object(mut answer)) = parsed.filter(|answer| answer.get("context").is_some()) else {
        return Ok(output);
    };
    match answer.remove("context") {
        Some(change @ Value::Object(_)) => context.merge(change),
        _ => {
            return Err(ToolError::new(
                "the `context` of its answer is no object, so the context stays as it was",
            ));
        }
    }
    Ok(match answer.remove("output") {
        Some(Value::String(text)) => ToolOutput::Text(text),
        Some(value) => ToolOutput::Json(value),
        None => ToolOutput::Text("done".to_owned()),
    })
}

/// Cuts what is too long for a model.
fn cut(output: ToolOutput) -> ToolOutput {
    match output {
        ToolOutput::EndSession(text) => ToolOutput::EndSession(limit::cut(text)),
        output => ToolOutput::Text(limit::cut(output.into_text())),
    }
}

impl Tool for ManagedTool {
    fn spec(&self) -> &ToolSpec {
        self.inner.spec()
    }

    fn call(&self, call: ToolCall) -> ToolFuture {
        if let Err(error) = self.validate(&call.arguments) {
            return Box::pin(async { Err(error) });
        }
        let (context, updates_context) = (call.context.clone(), self.updates_context);
        let running = self.inner.call(call);
        Box::pin(async move {
            let output = running.await?;
            let output = if updates_context {
                update(&context, output)?
            } else {
                output
            };
            Ok(cut(output))
        })
    }

    fn is_enabled(&self, context: &Variables) -> Result<bool, TemplateError> {
        match &self.when {
            Some(when) => when.holds(context),
            None => self.inner.is_enabled(context),
        }
    }

    /// Nobody is asked about arguments that will not do.
    fn needs_approval(&self, call: &ToolCall) -> Result<bool, ToolError> {
        let needed = match &self.approval {
            Some(approval) => approval.is_needed(call),
            None => self.inner.needs_approval(call),
        };
        if needed != Ok(false) {
            self.validate(&call.arguments)?;
        }
        needed
    }

    fn guardrails(&self) -> ToolGuardrails {
        self.guardrails.clone()
    }

    fn tell_failure(&self, error: &str) -> Option<String> {
        match &self.error_message {
            Some(template) => tell_failure(template, &self.spec().name, error),
            None => self.inner.tell_failure(error),
        }
    }

    fn tell_refusal(&self) -> Option<String> {
        match &self.refusal_message {
            Some(template) => tell_refusal(template, &self.spec().name),
            None => self.inner.tell_refusal(),
        }
    }

    fn mcp_server(&self) -> Option<&str> {
        self.inner.mcp_server()
    }

    fn rewrap(&self, replace: &ReplaceTool) -> Option<Arc<dyn Tool>> {
        Some(Arc::new(Self {
            inner: replaced(&self.inner, replace),
            ..self.clone()
        }))
    }
}

/// The words for a failure of `tool`, unless the template is of no use.
pub(crate) fn tell_failure(template: &Template, tool: &str, error: &str) -> Option<String> {
    let variables = Variables::none()
        .with("tool", &tool.into())
        .with("error", &error.into());
    template.render(&variables).ok()
}

/// The words for a call of `tool` that was not approved, unless the template is of no use.
pub(crate) fn tell_refusal(template: &Template, tool: &str) -> Option<String> {
    let variables = Variables::none().with("tool", &tool.into());
    template.render(&variables).ok()
}

impl fmt::Debug for ManagedTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedTool")
            .field("spec", self.spec())
            .field("when", &self.when)
            .field("approval", &self.approval)
            .field("guardrails", &self.guardrails)
            .field("updates_context", &self.updates_context)
            .finish_non_exhaustive()
    }
}

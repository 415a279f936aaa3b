//! What a run knows, and the templates and conditions that speak of it.
//!
//! In: the context, a JSON object from an agent file or the command line, and the source of templates and conditions.
//! Out: text and yes or no, for agents and tools alike, which is why this room lies below both. A session has one
//! [`RunContext`]; tools may change it while the session runs.
//!
//! Templates and conditions are written as in Jinja. Names that are not defined are errors, never empty text.

mod run;
mod template;

pub use run::RunContext;
pub(crate) use template::render_encoded;
pub use template::{Condition, Template, TemplateError, Variables};

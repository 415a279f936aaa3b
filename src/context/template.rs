use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;
use std::ops::Range;
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, merge_maps};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, context};
use serde_json::Value;

/// What one template may cost, in steps of the engine: far beyond any that is meant to be read.
const FUEL: u64 = 100_000;

static PLAIN: LazyLock<Environment<'static>> = LazyLock::new(environment);
static ENCODED: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = environment();
    environment.set_formatter(|out, _, value| {
        let text = value.to_string();
        for byte in text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    out.write_char(byte.into())
                }
                _ => write!(out, "%{byte:02X}"),
            }
            .map_err(Error::from)?;
        }
        Ok(())
    });
    environment
});

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    // Names what is not defined.
    environment.set_debug(true);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
}

/// The names that a template or a condition can speak of: those of the context, the context as a whole under
/// `context`, and what was added.
#[derive(Debug, Clone)]
pub struct Variables(minijinja::Value);

impl Variables {
    /// The values of a run's context.
    pub fn of(context: &Value) -> Self {
        let own = minijinja::Value::from(Serde(context));
        let whole = context! { context => own.clone() };
        Self(merge_maps([whole, own]))
    }

    /// Without a context.
    pub fn none() -> Self {
        Self(context! {})
    }

    /// Adds a value under `name`; it comes before one of the context with the same name.
    #[must_use]
    pub fn with(self, name: &str, value: &Value) -> Self {
        let added = minijinja::Value::from_pairs([(name, minijinja::Value::from(Serde(value)))]);
        Self(merge_maps([added, self.0]))
    }
}

/// Text with places that are filled in from the context, as in `Hello {{ user.name }}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    source: String,
    /// Plain text needs no engine.
    is_plain: bool,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with its syntax.
    pub fn new(source: impl Into<String>) -> Result<Self, TemplateError> {
        let source = source.into();
        PLAIN
            .template_from_str(&source)
            .map_err(|error| TemplateError::of(&error))?;
        let is_plain = !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark));
        Ok(Self { source, is_plain })
    }

    /// Text that is taken as it is, whatever it looks like.
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            source: text.into(),
            is_plain: true,
        }
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Fills it in.
    ///
    /// # Errors
    /// When it speaks of what is not defined, or does with a value what can't be done.
    pub fn render(&self, variables: &Variables) -> Result<String, TemplateError> {
        self.render_in(&PLAIN, variables)
    }

    fn render_in(
        &self,
        environment: &Environment<'_>,
        variables: &Variables,
    ) -> Result<String, TemplateError> {
        if self.is_plain {
            return Ok(self.source.clone());
        }
        environment
            .render_str(&self.source, variables.0.clone())
            .map_err(|error| TemplateError::of(&error))
    }

    /// The names that it takes from outside, in order.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        match PLAIN.template_from_str(&self.source) {
            Ok(template) if !self.is_plain => from_outside(template.undeclared_variables(false)),
            _ => BTreeSet::new(),
        }
    }
}

/// Fills in an address: what comes out of values is percent-encoded, so that no value can be more than one part of it.
pub(crate) fn render_encoded(template: &Template, variables: &Variables) -> Result<String, TemplateError> {
    template.render_in(&ENCODED, variables)
}

/// A question about the context that is answered with yes or no, as in `user.tier == 'gold'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    source: String,
}

impl Condition {
    /// Reads a condition: an expression as it stands between `{%` `if` and `%}` in a template.
    ///
    /// # Errors
    /// What is wrong with its syntax.
    pub fn new(source: impl Into<String>) -> Result<Self, TemplateError> {
        let source = source.into();
        PLAIN
            .compile_expression(&source)
            .map_err(|error| TemplateError::of(&error))?;
        Ok(Self { source })
    }

    /// The condition as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it holds. As in templates, nothing, zero and what is empty count as no.
    ///
    /// # Errors
    /// When it speaks of what is not defined, or does with a value what can't be done.
    pub fn holds(&self, variables: &Variables) -> Result<bool, TemplateError> {
        let value = PLAIN
            .compile_expression(&self.source)
            .and_then(|condition| condition.eval(variables.0.clone()))
            .map_err(|error| TemplateError::of(&error))?;
        match value.is_undefined() {
            true => Err(TemplateError {
                message: format!("`{}` is undefined", self.source.trim()),
                is_syntax: false,
                range: None,
            }),
            false => Ok(value.is_true()),
        }
    }

    /// The names that it takes from outside, in order.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let names = PLAIN
            .compile_expression(&self.source)
            .map(|condition| condition.undeclared_variables(false));
        from_outside(names.unwrap_or_default())
    }
}

/// The names without those of the engine's own functions.
fn from_outside(mut names: HashSet<String>) -> BTreeSet<String> {
    for (own, _) in PLAIN.globals() {
        names.remove(own);
    }
    names.into_iter().collect()
}

/// What is wrong with a template or a condition. It never quotes a value of the context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    message: String,
    /// Whether the syntax is wrong, rather than what came of it.
    pub(crate) is_syntax: bool,
    /// The bytes of the source that are wrong, where that is known.
    pub(crate) range: Option<Range<usize>>,
}

impl TemplateError {
    fn of(error: &Error) -> Self {
        let is_syntax = error.kind() == ErrorKind::SyntaxError;
        let message = match error.kind() {
            ErrorKind::OutOfFuel => "it takes too long".to_owned(),
            // Of these it is known that a detail quotes the source, not a value.
            ErrorKind::SyntaxError
            | ErrorKind::UndefinedError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction => error.detail().unwrap_or("it can't be read").to_owned(),
            kind => kind.to_string(),
        };
        Self {
            message,
            is_syntax,
            range: error.range(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ada() -> Variables {
        Variables::of(&json!({"user": {"name": "Ada & Co", "tier": "gold", "age": 36}, "orders": []}))
    }

    fn render(source: &str) -> Result<String, TemplateError> {
        Template::new(source).and_then(|template| template.render(&ada()))
    }

    fn holds(source: &str) -> Result<bool, TemplateError> {
        Condition::new(source).and_then(|condition| condition.holds(&ada()))
    }

    #[test]
    fn values_are_put_in_as_they_are() {
        assert_eq!(render("Hi {{ user.name }}!\n"), Ok("Hi Ada & Co!\n".into()));
        assert_eq!(render("{{ context.user.age + 1 }}"), Ok("37".into()));
        assert_eq!(
            render("{{ user | tojson }}").unwrap(),
            r#"{"name": "Ada \u0026 Co", "tier": "gold", "age": 36}"#
        );
        assert_eq!(render("no { places } $here"), Ok("no { places } $here".into()));
        assert_eq!(Template::plain("{{ x").render(&ada()), Ok("{{ x".into()));
    }

    #[test]
    fn what_is_not_defined_is_an_error_with_its_place() {
        for (source, wrong) in [
            ("Hi {{ usr.name }}", "usr.name"),
            ("Hi {{ usr }}", "usr"),
            ("Hi {{ user.nam }}", "user.nam"),
            ("{% if user.vip %}x{% endif %}", "user.vip"),
        ] {
            let error = render(source).unwrap_err();
            assert!(!error.is_syntax);
            assert_eq!(&source[error.range.clone().unwrap()], wrong);
            assert!(error.to_string().ends_with(" is undefined"), "{error}");
        }
        assert_eq!(render("{{ user.nick | default('you') }}"), Ok("you".into()));
        assert_eq!(
            render("{% if user.nick is defined %}x{% endif %}"),
            Ok(String::new())
        );
    }

    #[test]
    fn conditions_are_answered() {
        assert_eq!(holds("user.tier == 'gold' and user.age > 30"), Ok(true));
        assert_eq!(holds("orders"), Ok(false));
        assert_eq!(holds("not orders"), Ok(true));
        for source in ["user.vip", "vip", "user.vip == 1", "vip.x", "not vip"] {
            let error = holds(source).unwrap_err();
            assert!(
                !error.is_syntax && error.to_string().ends_with(" is undefined"),
                "{source}: {error}"
            );
        }
    }

    #[test]
    fn bad_syntax_is_found_when_read() {
        for source in ["Hi {{ user.name }", "{% if %}", "{{ 1 + }}", "{% include 'x' %}"] {
            assert!(Template::new(source).unwrap_err().is_syntax, "{source}");
        }
        for source in ["user.tier =", "", "a b", "{{ a }}"] {
            assert!(Condition::new(source).unwrap_err().is_syntax, "{source}");
        }
        assert_eq!(
            render("{{ user | nosuch }}").unwrap_err().to_string(),
            "filter nosuch is unknown"
        );
    }

    #[test]
    fn errors_quote_no_value() {
        let secret = Variables::of(&json!({"key": "s3cret"}));
        for source in [
            "{{ key + 1 }}",
            "{{ key | int }}",
            "{{ key.x.y }}",
            "{{ key() }}",
            "{{ key | abs }}",
            "{{ [][key] }}",
        ] {
            let error = Template::new(source).unwrap().render(&secret).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn a_template_cannot_run_for_ever() {
        let error = render("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}")
            .unwrap_err();
        assert_eq!(error.to_string(), "it takes too long");
    }

    #[test]
    fn what_goes_into_an_address_is_one_part_of_it() {
        let template = Template::new("https://x/{{ city }}?q={{ n }}").unwrap();
        let variables = Variables::none()
            .with("city", &json!("a/b?c#d é%&@:"))
            .with("n", &json!(1.5));
        assert_eq!(
            render_encoded(&template, &variables).unwrap(),
            "https://x/a%2Fb%3Fc%23d%20%C3%A9%25%26%40%3A?q=1.5"
        );
        assert!(render_encoded(&Template::new("https://x/{{ missing }}").unwrap(), &variables).is_err());
    }

    #[test]
    fn names_from_outside_are_told() {
        let template =
            Template::new("{% set a = b %}{{ a }}{% for i in c.d %}{{ i }}{{ range(2) }}{% endfor %}")
                .unwrap();
        assert_eq!(template.names().into_iter().collect::<Vec<_>>(), ["b", "c"]);
        let condition = Condition::new("x.y == z and 'gold'").unwrap();
        assert_eq!(condition.names().into_iter().collect::<Vec<_>>(), ["x", "z"]);
    }
}

//! The names that people and models see.

/// Whether a model provider takes `name` for a function: 1 to 64 ASCII letters, digits, `_` or `-`.
pub(super) fn is_function_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_names_have_the_api_s_alphabet_and_length() {
        assert!(is_function_name("get_weather-2"));
        assert!(is_function_name(&"x".repeat(64)));
        assert!(!is_function_name(&"x".repeat(65)));
        assert!(!is_function_name(""));
        assert!(!is_function_name("get weather"));
        assert!(!is_function_name("wetter_für"));
    }
}

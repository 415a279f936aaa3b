//! The names that people and models see.

/// Whether a model provider takes `name` for a function: 1 to 64 ASCII letters, digits, `_` or `-`.
pub(super) fn is_function_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The tool that hands over to `agent`, unless the handoff names it otherwise: as the Python SDK forms it, all
/// but ASCII letters and digits become `_`, one for one, in lower case (protocol.md section 6.5, rule 7).
pub(super) fn transfer_tool(agent: &str) -> String {
    let in_function_style = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    format!(
        "transfer_to_{}",
        agent.chars().map(in_function_style).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_tools_are_named_as_the_python_sdk_names_them() {
        assert_eq!(transfer_tool("Billing"), "transfer_to_billing");
        assert_eq!(
            transfer_tool("Refunds & Returns"),
            "transfer_to_refunds___returns"
        );
        assert_eq!(transfer_tool("Café-2"), "transfer_to_caf__2");
    }

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

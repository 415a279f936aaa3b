//! The name of handoffs on the wire.

/// The tool that hands over to `agent`, unless the handoff names it otherwise: as the Python SDK forms it, all
/// but ASCII letters and digits become `_`, one for one, in lower case (protocol.md section 6.5, rule 7).
pub(crate) fn transfer_tool(agent: &str) -> String {
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
}

//! Agents: definitions, agent files with their diagnostics, and what a session gets of them.

use realtime_run::trace::TraceTree;
pub fn page(_tree: &TraceTree) -> serde_json::Result<String> {
    Ok(String::new())
}

//! Traces, spans, and how they reach a back end.

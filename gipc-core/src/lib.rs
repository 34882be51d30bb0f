//! Cooperative child processes and message pipes on tokio.

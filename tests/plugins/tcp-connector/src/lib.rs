//! tcp-connector

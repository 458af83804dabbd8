//! cluster-host

//! strategy-gossip

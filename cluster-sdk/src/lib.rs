//! cluster-sdk
pub mod abi { 
    //! abi
    pub mod handshake; }

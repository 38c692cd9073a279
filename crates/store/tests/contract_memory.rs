//! The contract suite against memory.

use sessile_store::contract::TestStore;
use sessile_store::memory::MemoryLogins;
use sessile_store::{Choice, LoginOptions};
use std::sync::Arc;

async fn memory() -> TestStore {
    let options = LoginOptions { events: Choice::Yes, ..LoginOptions::default() };
    TestStore::new(Arc::new(MemoryLogins::new(options)))
}

sessile_store::contract!(memory);

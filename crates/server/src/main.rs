//! `sessile`: see `sessile --help`.

use std::process::ExitCode;

/// Requests are many small allocations, freed on other threads than they were made on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(sessile_server::run()).into(),
        Err(error) => {
            eprintln!("sessile: no threads could be started ({error}); raise the limit on threads");
            sessile_server::Exit::Failed.into()
        }
    }
}

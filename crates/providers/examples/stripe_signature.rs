//! Signs and verifies Stripe webhooks from the command line, for comparing with Stripe's own SDKs.
//!
//! The body comes in on standard input; several secrets are separated by commas.
//!
//! ```text
//! stripe_signature sign   whsec_new,whsec_old 1700000000          < body    prints the header
//! stripe_signature verify whsec_new,whsec_old 1700000000 "t=…"    < body    says nothing, or why not (exit 1)
//! ```

use secrecy::SecretString;
use sessile_providers::stripe::{sign, verify};
use std::error::Error;
use std::io::Read;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sign", secrets, time_s] => println!("{}", sign(&body, &list(secrets), time_s.parse()?)),
        ["verify", secrets, now_s, header] => verify(header, &body, &list(secrets), now_s.parse()?)?,
        _ => return Err("usage: stripe_signature sign|verify SECRETS UNIX_SECONDS [HEADER] < BODY".into()),
    }
    Ok(())
}

fn list(secrets: &str) -> Vec<SecretString> {
    secrets.split(',').map(SecretString::from).collect()
}

//! What is sent: Stripe's messages, every one another event with a signature of its own, and questions for a status.
//!
//! Messages are signed before the measurement begins. What differs between them (three names and the signature) is
//! written into one request just before it goes, so that a million of them need little memory and no time.

use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Context, Result};
use bench_load::{Answer, Work};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sessile_core::{Clock as _, SystemClock};
use sha2::Sha256;

use crate::jobs::{JOBS, own_name, stripe_name};

/// What messages are signed with. Not a secret: it lives as long as the run.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_benchmark_benchmark_benchmark";
const EVENT: &str = include_str!("event.json");
const EVENT_DIGITS: usize = 23;
const HEX: &[u8; 16] = b"0123456789abcdef";

type Signature = [u8; 64];

/// Stripe's messages, ready to go.
pub(crate) struct Webhooks {
    request: Vec<u8>,
    places: Places,
    signatures: Vec<Signature>,
    next: usize,
}

/// Where a request differs from the others.
struct Places {
    event: Range<usize>,
    session: Range<usize>,
    job: Range<usize>,
    signature: Range<usize>,
    body: Range<usize>,
}

impl Webhooks {
    /// Signs so many, as of now.
    pub(crate) fn prepare(server: SocketAddr, count: usize) -> Result<Self> {
        let time = SystemClock.now().unix_seconds().to_string();
        let body = EVENT
            .replace("{event}", &"0".repeat(EVENT_DIGITS))
            .replace("{session}", &stripe_name(0))
            .replace("{job}", &own_name(0));
        let head = format!(
            "POST /api/webhooks/stripe HTTP/1.1\r\nHost: {server}\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n\
             Accept: */*; q=0.5, application/xml\r\nCache-Control: no-cache\r\nContent-Type: application/json; charset=utf-8\r\n\
             Content-Length: {}\r\nStripe-Signature: t={time},v1={}\r\n\r\n",
            body.len(),
            "0".repeat(64)
        );
        let request = format!("{head}{body}").into_bytes();
        let place = |before: &str, length: usize| -> Result<Range<usize>> {
            let text = std::str::from_utf8(&request)?;
            let start = text.find(before).context("the message has changed its shape")? + before.len();
            Ok(start..start + length)
        };
        let places = Places {
            event: place("\"id\": \"evt_1", EVENT_DIGITS)?,
            session: place("\"id\": \"cs_test_a1", 58)?,
            job: place("\"client_reference_id\": \"gen_bench", 20)?,
            signature: place(",v1=", 64)?,
            body: head.len()..request.len(),
        };
        let mut webhooks = Self { request, places, signatures: Vec::with_capacity(count), next: 0 };
        let mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes())?;
        for number in 0..count {
            webhooks.write_names(number);
            let mut mac = mac.clone();
            mac.update(time.as_bytes());
            mac.update(b".");
            mac.update(&webhooks.request[webhooks.places.body.clone()]);
            let mut signature = [0; 64];
            for (pair, byte) in signature.chunks_exact_mut(2).zip(mac.finalize().into_bytes()) {
                pair[0] = HEX[usize::from(byte >> 4)];
                pair[1] = HEX[usize::from(byte & 15)];
            }
            webhooks.signatures.push(signature);
        }
        Ok(webhooks)
    }

    /// How many were sent.
    pub(crate) fn sent(&self) -> usize {
        self.next
    }

    /// Whether there were too few for the time.
    pub(crate) fn ran_out(&self) -> bool {
        self.next == self.signatures.len()
    }

    fn write_names(&mut self, number: usize) {
        write_digits(&mut self.request[self.places.event.clone()], number);
        let job = number % JOBS as usize;
        write_digits(&mut self.request[self.places.session.clone()], job);
        write_digits(&mut self.request[self.places.job.clone()], job);
    }
}

fn write_digits(place: &mut [u8], mut number: usize) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

impl Work for Webhooks {
    fn next(&mut self) -> Option<(u32, &[u8])> {
        let signature = *self.signatures.get(self.next)?;
        self.write_names(self.next);
        self.request[self.places.signature.clone()].copy_from_slice(&signature);
        self.next += 1;
        Some((u32::try_from(self.next).ok()?, &self.request))
    }

    fn accept(&mut self, _: u32, answer: &Answer<'_>) -> bool {
        answer.body() == br#"{"received":true}"#
    }
}

/// Questions for the status of every job, round and round.
pub(crate) struct Questions {
    requests: Vec<Vec<u8>>,
    expected: Vec<String>,
    next: usize,
}

impl Questions {
    pub(crate) fn prepare(server: SocketAddr) -> Self {
        let request = |number: u32| {
            let name = stripe_name(number);
            format!("GET /api/webhook-status/{name} HTTP/1.1\r\nHost: {server}\r\nAccept: application/json\r\n\r\n")
                .into_bytes()
        };
        let expected = |number: u32| format!("\"fileId\":\"00000000-0000-4000-8000-{number:012}\"");
        Self {
            requests: (0..JOBS).map(request).collect(),
            expected: (0..JOBS).map(expected).collect(),
            next: 0,
        }
    }
}

impl Work for Questions {
    fn next(&mut self) -> Option<(u32, &[u8])> {
        // A prime step: neighbours in time are no neighbours in the store.
        self.next = (self.next + 997) % self.requests.len();
        Some((u32::try_from(self.next).ok()?, self.requests.get(self.next)?))
    }

    fn accept(&mut self, request: u32, answer: &Answer<'_>) -> bool {
        let Some(expected) = usize::try_from(request).ok().and_then(|at| self.expected.get(at)) else {
            return false;
        };
        contains(answer.body(), b"\"status\":\"completed\"") && contains(answer.body(), expected.as_bytes())
    }
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

//! An API that says what it is told to, and remembers what it was asked. It speaks bytes on plain sockets, so that it can
//! also hang up, fall silent and stop in the middle of a sentence.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One answer.
#[derive(Clone)]
pub(crate) enum Says {
    /// Status, further headers, body.
    Answer(u16, &'static [(&'static str, &'static str)], String),
    /// The beginning of an answer, and then the end of the connection.
    Part(String),
    /// Headers of an event stream and these bytes; then silence.
    Stream(String),
    /// Nothing, for as long as the test runs.
    Silence,
    /// The connection ends without a word.
    HangUp,
    /// The same, and nobody listens any more.
    Vanish,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// A header's value; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Says>,
    asked: Vec<Asked>,
    silent: Vec<TcpStream>,
}

pub(crate) struct Stub {
    pub(crate) base: String,
    state: Arc<Mutex<State>>,
}

/// A JSON answer.
pub(crate) fn json(status: u16, body: &str) -> Says {
    Says::Answer(status, &[], body.to_owned())
}

impl Stub {
    /// Gives these answers, the last one again and again.
    pub(crate) fn saying(script: impl IntoIterator<Item = Says>) -> Self {
        let state = Arc::new(Mutex::new(State { script: script.into_iter().collect(), ..State::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if serve(stream, &shared).is_none() {
                    return;
                }
            }
        });
        Self { base, state }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

/// An address at which nobody listens.
pub(crate) fn nowhere() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

/// Everything an error says to anybody who prints it with its sources.
pub(crate) fn spoken(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| (*error).source());
    sources.map(|error| format!("{error} {error:?}; ")).collect()
}

/// One request on a connection of its own; `None` is the end of listening.
fn serve(mut stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    // A client that connects and says nothing has changed its mind.
    let Some(asked) = read(&mut stream) else { return Some(()) };
    let mut state = state.lock().unwrap();
    state.asked.push(asked);
    let says =
        if state.script.len() > 1 { state.script.pop_front().unwrap() } else { state.script[0].clone() };
    let said = match says {
        Says::Answer(status, headers, body) => {
            let length = body.len();
            let mut answer =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n");
            headers.iter().for_each(|(name, value)| write!(answer, "{name}: {value}\r\n").unwrap());
            answer + "\r\n" + &body
        }
        Says::Part(body) => {
            format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len() + 1)
        }
        Says::Stream(events) => {
            format!("HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}")
        }
        Says::HangUp => return Some(()),
        Says::Vanish => return None,
        Says::Silence => {
            state.silent.push(stream);
            return Some(());
        }
    };
    let stays = said.contains("text/event-stream");
    // The client may have heard enough and gone.
    let _ = stream.write_all(said.as_bytes());
    if stays && !said.ends_with("END") {
        state.silent.push(stream);
    }
    Some(())
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    let (mut bytes, mut portion) = (Vec::new(), [0; 64 * 1024]);
    loop {
        let taken = stream.read(&mut portion).ok().filter(|taken| *taken > 0)?;
        bytes.extend_from_slice(&portion[..taken]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let (line, _) = head.split_once("\r\n").unwrap();
        let asked = Asked {
            line: line.trim_end_matches(" HTTP/1.1").to_owned(),
            head: head.clone(),
            body: Vec::new(),
        };
        let length: usize = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
        if bytes.len() >= end + 4 + length {
            return Some(Asked { body: bytes[end + 4..].to_vec(), ..asked });
        }
    }
}

//! One keep-alive connection with at most one request under way.
//!
//! Owned by the drive loop. A request is small and the socket is empty when it is sent, so a short write is an error
//! and not a state to keep.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use memchr::memmem;
use mio::net::TcpStream;

use crate::answer::{Parsed, parse};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The contract's answers are a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 4096;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    /// Which request is under way, if any.
    pub(crate) under_way: Option<u32>,
    pub(crate) sent_at: Instant,
}

impl Connection {
    pub(crate) fn open(server: SocketAddr) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect_timeout(&server, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            buffer: vec![0; ANSWER_BYTES_MAX],
            filled: 0,
            under_way: None,
            sent_at: Instant::now(),
        })
    }

    pub(crate) fn send(&mut self, request: u32, bytes: &[u8], now: Instant) -> io::Result<()> {
        self.under_way = Some(request);
        self.filled = 0;
        self.sent_at = now;
        if self.stream.write(bytes)? == bytes.len() {
            Ok(())
        } else {
            Err(io::Error::new(ErrorKind::WriteZero, "a request of a few hundred bytes was not taken whole"))
        }
    }

    /// Reads what is there. The readiness is edge triggered: a read that does not fill the buffer has emptied the
    /// socket, and the next bytes raise the next event.
    pub(crate) fn receive(&mut self, head_end: &memmem::Finder<'_>) -> io::Result<Parsed<'_>> {
        let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
        match self.stream.read(free) {
            Ok(0) if free.is_empty() => Ok(Parsed::Unusable("the answer is larger than any in the contract")),
            Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
            Ok(_) if self.under_way.is_none() => Ok(Parsed::Unusable("an answer that nobody asked for")),
            Ok(count) => {
                self.filled += count;
                Ok(parse(self.buffer.get(..self.filled).unwrap_or_default(), head_end))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Ok(Parsed::Partial)
            }
            Err(error) => Err(error),
        }
    }
}

//! Server-sent events, from bytes in any portions to messages (WHATWG HTML, "Server-sent events").
//!
//! Only `data` matters here: the generator's events have no names and no ids. Comments keep the line alive.

/// The largest message that is read. A file object is a few KiB, its prompt included up to a MiB, and escaping can
/// make six of one.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A message or a line above [`MESSAGE_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Reads a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    /// The last byte was a carriage return: a line feed right after it belongs to it.
    after_return: bool,
    begun: bool,
}

impl Parser {
    /// Takes what came and gives the messages that are whole now.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TooLarge> {
        let mut messages = Vec::new();
        for byte in bytes {
            let joined = std::mem::take(&mut self.after_return) && *byte == b'\n';
            match byte {
                b'\n' if joined => {}
                b'\r' | b'\n' => {
                    self.after_return = *byte == b'\r';
                    messages.extend(self.end_of_line()?);
                }
                _ if self.line.len() >= MESSAGE_BYTES_MAX => return Err(TooLarge),
                _ => self.line.push(*byte),
            }
        }
        Ok(messages)
    }

    fn end_of_line(&mut self) -> Result<Option<Vec<u8>>, TooLarge> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.data.take());
        }
        let mut halves = line.splitn(2, |byte| *byte == b':');
        if halves.next() == Some(b"data") {
            let value = halves.next().unwrap_or_default();
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &mut self.data {
                Some(data) if data.len() + value.len() >= MESSAGE_BYTES_MAX => return Err(TooLarge),
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Vec<String> {
        let messages = Parser::default().take(bytes).unwrap();
        messages.into_iter().map(|message| String::from_utf8(message).unwrap()).collect()
    }

    #[test]
    fn messages_end_at_an_empty_line() {
        let stream = "\u{feff}: ping\r\n\r\ndata: {\"a\":1}\r\n\r\nevent: x\nid: 7\ndata:b\ndata\ndata:  c\n\nretry: 5\n\n\n\
                      data: one\r\rdata: two\n\ndata: never ended\n";
        assert_eq!(whole(stream.as_bytes()), ["{\"a\":1}", "b\n\n c", "one", "two"]);
    }

    #[test]
    fn a_message_has_a_limit() {
        let line = vec![b'x'; MESSAGE_BYTES_MAX + 1];
        assert_eq!(Parser::default().take(&line), Err(TooLarge));
        let mut parser = Parser::default();
        let half = [b"data:".as_slice(), &vec![b'x'; MESSAGE_BYTES_MAX / 2], b"\n"].concat();
        assert_eq!(parser.take(&half), Ok(Vec::new()));
        assert_eq!(parser.take(&half), Err(TooLarge));
    }

    proptest! {
        /// How a network cuts the bytes changes nothing.
        #[test]
        fn any_cut_reads_the_same(stream in "[a:\r\n d]{0,80}|(data: ?[a-z]{0,4}(\r\n|\n|\r){1,3}){0,8}", size in 1..9_usize) {
            let mut parser = Parser::default();
            let cut: Vec<Vec<u8>> =
                stream.as_bytes().chunks(size).flat_map(|chunk| parser.take(chunk).unwrap()).collect();
            prop_assert_eq!(cut, Parser::default().take(stream.as_bytes()).unwrap());
        }

        #[test]
        fn bytes_are_no_trouble(stream in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Parser::default().take(&stream);
        }
    }
}

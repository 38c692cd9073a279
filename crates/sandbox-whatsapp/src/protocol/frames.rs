//! Frames over a WebSocket: three bytes of length and a payload, several in one message or one in several.
//!
//! The first message begins with an optional note for the edge, and the client's header.

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio_websockets::{CloseCode, Message, WebSocketStream};
use whatsapp_rust::futures::stream::{SplitSink, SplitStream};
use whatsapp_rust::futures::{SinkExt, StreamExt};
use whatsapp_rust::wacore::framing::{FrameDecoder, encode_frame};
use whatsapp_rust::wacore_binary::consts::WA_CONN_HEADER;

use crate::error::Broken;

/// What an edge is told comes before the header and begins with this.
const EDGE_INTRO: &[u8; 4] = b"ED\x00\x01";

/// The half that reads.
pub(crate) struct FrameReader {
    stream: SplitStream<WebSocketStream<TcpStream>>,
    decoder: FrameDecoder,
    greeted: bool,
}

/// The half that writes.
pub(crate) struct FrameWriter(SplitSink<WebSocketStream<TcpStream>, Message>);

/// Both halves of an upgraded connection.
pub(crate) fn halves(socket: WebSocketStream<TcpStream>) -> (FrameReader, FrameWriter) {
    let (sink, stream) = socket.split();
    (FrameReader { stream, decoder: FrameDecoder::new(), greeted: false }, FrameWriter(sink))
}

impl FrameReader {
    /// The next frame.
    pub(crate) async fn next(&mut self) -> Result<BytesMut, Broken> {
        loop {
            if let Some(frame) = self.decoder.decode_frame() {
                return Ok(frame);
            }
            let message = self.stream.next().await.ok_or(Broken::HungUp)??;
            if message.is_close() {
                return Err(Broken::HungUp);
            }
            if message.is_binary() {
                let payload = Bytes::from(message.into_payload());
                self.feed(&payload)?;
            }
        }
    }

    fn feed(&mut self, payload: &[u8]) -> Result<(), Broken> {
        if self.greeted {
            self.decoder.feed(payload);
            return Ok(());
        }
        let rest = past_edge_intro(payload).and_then(|rest| rest.strip_prefix(WA_CONN_HEADER.as_slice()));
        let rest =
            rest.ok_or_else(|| Broken::Handshake("it does not begin with the client's header".into()))?;
        self.greeted = true;
        self.decoder.feed(rest);
        Ok(())
    }
}

fn past_edge_intro(payload: &[u8]) -> Option<&[u8]> {
    let Some(rest) = payload.strip_prefix(EDGE_INTRO) else {
        return Some(payload);
    };
    let (length, rest) = rest.split_at_checked(3)?;
    let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    rest.get(length..)
}

impl FrameWriter {
    /// Sends one frame in one message.
    pub(crate) async fn send(&mut self, payload: &[u8]) -> Result<(), Broken> {
        let frame = encode_frame(payload, None).map_err(|error| Broken::Frame(error.to_string()))?;
        Ok(self.0.send(Message::binary(frame)).await?)
    }

    /// Says goodbye. Whoever is gone already does not hear it.
    pub(crate) async fn close(&mut self) {
        let _ = self.0.send(Message::close(Some(CloseCode::NORMAL_CLOSURE), "")).await;
        let _ = self.0.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::past_edge_intro;

    #[test]
    fn a_note_for_the_edge_is_skipped() {
        assert_eq!(past_edge_intro(b"WA\x06\x03x"), Some(b"WA\x06\x03x".as_slice()));
        assert_eq!(past_edge_intro(b"ED\x00\x01\x00\x00\x02abWA"), Some(b"WA".as_slice()));
        assert_eq!(past_edge_intro(b"ED\x00\x01\x00\x00\x09ab"), None, "cut off");
        assert_eq!(past_edge_intro(b"ED\x00\x01\x00"), None, "cut off");
    }
}

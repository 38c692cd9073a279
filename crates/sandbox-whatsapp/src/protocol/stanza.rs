//! Reading and building stanzas: the few forms that every part of the stand-in needs.

use bytes::BytesMut;
use whatsapp_rust::NodeBuilder;
use whatsapp_rust::wacore_binary::util::unpack_bytes;
use whatsapp_rust::wacore_binary::{Jid, Node, NodeContent, OwnedNodeRef, SERVER_JID, marshal};

use crate::error::Broken;

/// The bytes of a stanza as they are encrypted.
pub(crate) fn encode(node: &Node) -> Result<Vec<u8>, Broken> {
    marshal(node).map_err(|error| Broken::Frame(error.to_string()))
}

/// A stanza from decrypted bytes.
pub(crate) fn decode(frame: BytesMut) -> Result<Node, Broken> {
    let bytes = unpack_bytes(frame).map_err(|error| Broken::Frame(error.to_string()))?;
    let node = OwnedNodeRef::new(bytes).map_err(|error| Broken::Frame(error.to_string()))?;
    Ok(node.to_owned_node())
}

/// An attribute as text.
pub(crate) fn attr(node: &Node, name: &str) -> Option<String> {
    node.attrs.get(name).map(|value| value.as_str().into_owned())
}

/// An attribute as an address.
pub(crate) fn jid(node: &Node, name: &str) -> Option<Jid> {
    node.attrs.get(name).and_then(|value| value.to_jid())
}

/// The content as bytes, however it was written.
pub(crate) fn bytes(node: &Node) -> Option<Vec<u8>> {
    match node.content.as_ref()? {
        NodeContent::Bytes(bytes) => Some(bytes.to_vec()),
        NodeContent::String(text) => Some(text.as_bytes().to_vec()),
        NodeContent::Nodes(_) => None,
    }
}

/// The bytes of a child.
pub(crate) fn child_bytes(node: &Node, tag: &str) -> Option<Vec<u8>> {
    bytes(node.get_optional_child(tag)?)
}

/// The children, or none.
pub(crate) fn children(node: &Node) -> &[Node] {
    node.children().unwrap_or_default()
}

/// A leaf that carries bytes.
pub(crate) fn leaf(tag: &'static str, bytes: impl Into<Vec<u8>>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

/// A leaf that carries nothing.
pub(crate) fn empty(tag: &'static str) -> Node {
    NodeBuilder::new(tag).build()
}

/// A request of the server.
pub(crate) fn request(id: &str, kind: &'static str, xmlns: &'static str, child: Node) -> Node {
    NodeBuilder::new("iq")
        .attr("from", SERVER_JID)
        .attr("type", kind)
        .attr("id", id)
        .attr("xmlns", xmlns)
        .children([child])
        .build()
}

/// The answer to a request of the client.
pub(crate) fn result(request: &Node, children: Vec<Node>) -> Node {
    let answer = NodeBuilder::new("iq")
        .attr("from", SERVER_JID)
        .attr("type", "result")
        .attr("id", attr(request, "id").unwrap_or_default());
    if children.is_empty() { answer.build() } else { answer.children(children).build() }
}

/// A refusal of a request of the client.
pub(crate) fn refusal(request: &Node, code: u16, text: &'static str) -> Node {
    let error = NodeBuilder::new("error").attr("code", code).attr("text", text).build();
    NodeBuilder::new("iq")
        .attr("from", SERVER_JID)
        .attr("type", "error")
        .attr("id", attr(request, "id").unwrap_or_default())
        .children([error])
        .build()
}

/// The login failed.
pub(crate) fn failure(reason: u16) -> Node {
    NodeBuilder::new("failure").attr("reason", reason).attr("location", "fake").build()
}

/// The stream ends for this reason.
pub(crate) fn stream_error(code: Option<u16>, child: Option<Node>) -> Node {
    let error = NodeBuilder::new("stream:error");
    let error = if let Some(code) = code { error.attr("code", code) } else { error };
    if let Some(child) = child { error.children([child]).build() } else { error.build() }
}

/// Another connection or the phone ended this one.
pub(crate) fn conflict(kind: &'static str) -> Node {
    NodeBuilder::new("conflict").attr("type", kind).build()
}

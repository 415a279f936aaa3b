//! Opening and closing the WebSocket.

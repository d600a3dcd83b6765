"""Connections between nodes: frames, the handshake, the link, questions and answers over it."""

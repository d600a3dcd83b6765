"""How two nodes reach each other: frames, the handshake, one connection, questions and answers over it."""

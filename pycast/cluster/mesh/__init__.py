"""The registry that needs nothing but the nodes themselves: its protocol, and the driver that carries it out."""

"""The registry that needs only the nodes themselves: its protocol, and the driver that runs it."""

"""Several nodes that are one server: who owns a mount, and what that takes in the rooms below."""

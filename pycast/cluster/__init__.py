"""Several nodes that act as one server: the ownership of mounts, and below it registries, mirrors and links."""

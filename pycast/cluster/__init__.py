"""Several nodes that are one server: registry, claims, mirrors, drain, what the balancer is told."""

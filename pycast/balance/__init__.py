"""How much a node can take, what the balancer in front of it is told, and how a node is emptied."""

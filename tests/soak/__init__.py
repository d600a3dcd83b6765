"""A soak: hours of what may happen to a cluster, with every byte checked: `python -m tests.soak.run`."""

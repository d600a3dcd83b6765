"""Attacks on a running server, as bounded programs: `python -m attacks.run`."""

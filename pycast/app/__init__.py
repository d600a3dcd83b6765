"""Builds a node and runs it: the only place where the parts meet."""

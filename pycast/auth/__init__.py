"""Checks of credentials."""

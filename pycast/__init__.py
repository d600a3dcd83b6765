"""pycast: a streaming server for internet radio, a drop-in for Icecast."""

__version__ = "0.1.0"

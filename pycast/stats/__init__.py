"""Snapshots of the node, and their renderings as Icecast's XML, JSON and playlists. Pure."""

"""Directories of streams (YP), such as dir.xiph.org: they are told of the public mounts of this server."""

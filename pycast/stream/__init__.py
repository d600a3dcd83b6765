"""The data path: ring, timeline, views, listener, fan-out, mount, mounts. Read them in this order."""

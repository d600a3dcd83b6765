"""Bytes <-> values: request and response heads, bodies, handshakes, titles, names of mounts. No I/O, no clock.

Reading order: request.py, target.py, body.py, response.py, listener_head.py, source_headers.py, icy.py, shoutcast.py.
"""

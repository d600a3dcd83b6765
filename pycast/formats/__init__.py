"""Audio formats: bytes in, whole units and marks out. See marks.py for the contract, content_types.py for the list."""

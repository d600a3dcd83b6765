"""Audio formats: bytes in, whole units and marks out. See marks.py for the contract, table.py for the list."""

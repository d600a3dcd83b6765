"""Files: calls that can block, away from the loop that serves listeners."""

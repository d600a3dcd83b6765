"""The commands: one file each, imported only when it runs, so that `pycast serve` listens at once."""

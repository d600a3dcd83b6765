"""The configuration: its schema, units and rules, read from TOML and the environment. Pure but for load.py."""

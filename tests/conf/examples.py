"""The files of conf/, and how its examples of a configuration are read: as on a node, with the node's environment."""

import re
from pathlib import Path

from click.testing import CliRunner, Result

from pycast.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"

PASSWORDS = {f"PYCAST_AUTHENTICATION__{name}_PASSWORD": f"{name} of a test" for name in ("SOURCE", "RELAY", "ADMIN")}
CLUSTER_ENVIRONMENT = {**PASSWORDS, "PYCAST_CLUSTER__SECRET": "secret of a test"}


def environment_in(comment: str) -> dict[str, str]:
    """The variables that the comments of a file set as examples; "…" stands for what the reader makes up."""
    found = re.findall(r"^# +(PYCAST_\w+)=(\S+)", comment, re.MULTILINE)
    return {name: "made up by the reader" if value == "…" else value for name, value in found}


def pycast_check(file: Path, environment: dict[str, str]) -> Result:
    """`pycast check FILE` with these variables."""
    return CliRunner().invoke(main, ["check", str(file)], env=environment)

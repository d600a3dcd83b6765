"""Encoded sound for the tests, made by ffmpeg: the same few seconds in every format."""

import subprocess
from pathlib import Path

from tests.e2e.programs import Encoding, noise, require


def encode(encoding: Encoding, file: Path, seconds: float) -> Path:
    """Writes `seconds` of pink noise as `encoding` to `file`."""
    subprocess.run(
        [require("ffmpeg"), "-nostdin", "-v", "error", "-y", *noise(seconds), *encoding.args, str(file)],
        check=True,
        timeout=60,
    )
    return file

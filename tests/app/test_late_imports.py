"""What the start does without is loaded in pieces, with turns of the loop between them."""

import ast
import subprocess
import sys
from pathlib import Path

from pycast.app import late_imports

PACKAGE = Path(late_imports.__file__).parent.parent

SCRIPT = """
import sys, pycast.__main__, gevent
from pycast.app import late_imports, node

turns = 0

def count():
    global turns
    while True:
        gevent.sleep(0)
        turns += 1

late_imports.AFTER_S = late_imports.PAUSE_S = 0
counter = gevent.spawn(count)
late_imports.import_late()
assert turns >= len(late_imports.MODULES), turns
loaded = set(sys.modules)
from pycast.web import page_templates
assert len(page_templates._environment().cache) >= 4
print(*sorted(loaded))
"""


def loaded() -> set[str]:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def imports_of_requests() -> set[str]:
    """The modules that functions of the parts that serve a request import."""
    found = set()
    for room in ("control", "formats", "http", "server", "stats", "stream", "web"):
        for path in (PACKAGE / room).glob("*.py"):
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.FunctionDef):
                    inner = [node for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
                    found |= {node.module for node in inner if node.module}
    return found


def test_all_that_a_request_may_import_x() -> None:
    wanted = imports_of_requests()
    assert {"jinja2", "prometheus_client"} <= wanted
    # Loaded at the start, for a port that needs it; and for the first style sheet, by who has some.
    assert wanted - loaded() <= {"pycast.server.proxies", "pycast.server.tls_ports", "lxml"}

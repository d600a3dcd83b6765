"""No call that can block for as long as a disk, a name server or a reader stalls is made in the loop of a node.

Each place in the package that makes one is listed here with the reason why it may: it runs in a thread, at the start,
or in a process that serves nobody. A call that is only passed on (`off_hub(os.pread, …)`) runs in a thread. Another
test looks at a node at work.
"""

import ast
import re
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent import socket

from pycast.app.late_imports import MODULES
from pycast.app.node import Node
from pycast.config.load import load
from pycast.stream.dump import DUMP_WRITERS
from tests.conftest import WaitUntil

PACKAGE = Path(__file__).resolve().parents[1] / "pycast"

# Methods and functions with these names can block, whatever they are called on.
ANYWHERE = frozenset(
    """
    read_text write_text read_bytes write_bytes mkdir makedirs rmdir lstat exists is_file is_dir is_symlink unlink touch
    iterdir rglob resolve samefile symlink_to hardlink_to chmod readlink getaddrinfo gethostbyname gethostbyaddr
    getnameinfo getfqdn load_cert_chain load_verify_locations load_default_certs create_default_context fsync fdatasync
    pread pwrite listdir scandir rmtree copyfile copytree copy2 mkstemp mkdtemp NamedTemporaryFile TemporaryDirectory
    Popen check_call check_output flock lockf fdopen getpwnam getgrnam strftime tzset open
    """.split()  # noqa: SIM905  # a list would be a page
)
# These only on a module, or on what is called so.
OF_MODULES = {
    "os": {"open", "read", "write", "stat", "access", "rename", "replace", "remove", "system", "popen", "posix_spawn"},
    "shutil": {"copy", "move", "which"},
    "subprocess": {"run", "call"},
    "path": {"stat"},
}

IN_A_THREAD = "in a thread: off_hub, begin_off_hub or an Outlet"
AT_THE_START = "at the start, before anybody is served"
SERVES_NOBODY = "in a process that serves nobody"

# Commands and the kit for tests are processes that serve nobody; `disk` is what the threads run.
APART = ("cli", "testing", "disk")

ALLOWED: dict[str, dict[str, str]] = {
    "launch.py": dict.fromkeys(("Popen", "os.read", "resolve", "shutil.which"), SERVES_NOBODY),
    "demo_stream/__init__.py": {"read_bytes": "the demo's own tune, once; a demo has no audience to lose"},
    "app/life_sign.py": {"pread": "of memory that processes share"},
    "app/local_cluster.py": dict.fromkeys(("Popen", "mkdtemp", "rmtree", "write_text"), SERVES_NOBODY),
    "app/local_haproxy.py": {"shutil.which": SERVES_NOBODY},
    "app/local_node.py": dict.fromkeys(("open", "read_text", "touch", "write_text"), SERVES_NOBODY),
    "app/pidfile.py": {
        **dict.fromkeys(("fdopen", "os.open"), AT_THE_START),
        **dict.fromkeys(("read_text", "unlink"), IN_A_THREAD),
    },
    "app/process_owner.py": dict.fromkeys(("getgrnam", "getpwnam", "os.access"), AT_THE_START),
    "app/passed_sockets.py": {"getaddrinfo": AT_THE_START},
    "app/source_hooks.py": {"Popen": "gevent's: it waits in the loop for the child, and the child for its disk"},
    "app/worker_process.py": {"read_text": "of /proc, which is no disk"},
    "auth/htpasswd.py": {"os.stat": IN_A_THREAD},
    "auth/password_file.py": dict.fromkeys(("os.open", "flock", "path.stat", "open", "exists"), IN_A_THREAD),
    "balance/load_monitor.py": dict.fromkeys(("listdir", "os.stat"), "of /proc, which is no disk"),
    "cluster/codec.py": {"read_text": "reads a text in a message, no file"},
    "cluster/etcd/client.py": dict.fromkeys(("create_default_context", "load_verify_locations"), AT_THE_START),
    "cluster/mesh/name_lookup.py": {"getaddrinfo": "gevent's: it asks in a thread"},
    "cluster/mirror/serve.py": {"open": "a mirror, which is no file"},
    "cluster/registry/state_file.py": {"read_bytes": AT_THE_START},
    "directories/directory.py": {"load_default_certs": IN_A_THREAD},
    "config/load.py": dict.fromkeys(
        ("open", "read_bytes", "read_text", "resolve"), "at the start, or in a thread: off_hub at a reload"
    ),
    "control/mount_finder.py": {"open": "a mirror, which is no file"},
    "config/secret_files.py": dict.fromkeys(("open", "path.stat"), "as config/load.py, and by it"),
    "net/certificate_files.py": dict.fromkeys(
        ("load_cert_chain", "load_verify_locations", "read_bytes"), "for tls.py in a thread, and for a command"
    ),
    "net/first_connection.py": {"getaddrinfo": "gevent's: it asks in a thread"},
    "net/tls.py": {"path.stat": IN_A_THREAD},
    "relay/resolver.py": {"getaddrinfo": "in a thread of its own"},
    "stream/dump.py": dict.fromkeys(("flock", "strftime"), IN_A_THREAD),
    "web/log_tail.py": dict.fromkeys(("os.open", "pread"), IN_A_THREAD),
    "web/page_templates.py": {"read_text": "each template once, some seconds after the start (late_imports.py)"},
}


def calls_of(path: Path) -> Iterator[str]:
    """The calls in a module that can block, each as it is in `ALLOWED`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            if node.func.id in ANYWHERE:
                yield node.func.id
        elif isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, node.func.value
            module = owner.id if isinstance(owner, ast.Name) else ""
            if name in OF_MODULES.get(module, ()):
                yield f"{module}.{name}"
            elif name in ANYWHERE:
                yield name


def test_calls_that_can_block_are_made_only_where_they_may() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.partition("/")[0] not in APART:
            for call in calls_of(path):
                found[name].add(call)
    assert found == {name: set(calls) for name, calls in ALLOWED.items()}, (
        "pass the call to off_hub (pycast/disk/calls.py), or say in ALLOWED why it may block"
    )


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("Path(name).read_text()", "read_text"),
        ("with open(name) as file: pass", "open"),
        ("os.stat(name)", "os.stat"),
        ("socket.getaddrinfo(host, 80)", "getaddrinfo"),
        ("def f():\n    return lambda: os.replace(a, b)", "os.replace"),
    ],
)
def test_such_a_call_is_found(code: str, call: str, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(code)
    assert list(calls_of(tmp_path / "x.py")) == [call]


def test_a_call_that_is_passed_on_is_not_one(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text('off_hub(os.pread, fd, 1, 2)\ntext.replace("a", "b")\nfile.read()')
    assert list(calls_of(tmp_path / "x.py")) == []


def test_names_are_resolved_in_threads() -> None:
    assert type(gevent.get_hub().resolver).__module__ == "gevent.resolver.thread"


# -- a node at work

EVENTS = re.compile(r"open$|os\.(?!putenv|unsetenv|fork)|shutil\.|tempfile\.|socket\.get|subprocess\.Popen$")

TOML = """
[[listen]]
bind_address = "127.0.0.1"
port = 0
[logging]
access_log = "{0}/access.log"
playlist_log = "{0}/playlist.log"
[[mount]]
mount_name = "/x"
dump_file = "{0}/{{mount}}-%Y.mp3"
"""
SOURCE = b"SOURCE /x HTTP/1.0\r\nAuthorization: Basic c291cmNlOmhhY2ttZQ==\r\nContent-Type: text/plain\r\n\r\naudio"
TITLE = b"GET /admin/metadata?mount=/x&mode=updinfo&song=a HTTP/1.0\r\nAuthorization: Basic YWRtaW46aGFja21l\r\n\r\n"


class Watch:
    """What Python reports as opened, renamed, asked … in this thread while `is_on`."""

    def __init__(self) -> None:
        self.is_on = False
        self.seen: list[str] = []
        self._thread = threading.get_ident()
        sys.addaudithook(self._hear)  # for ever: it cannot be removed

    def _hear(self, event: str, args: tuple[object, ...]) -> None:
        is_of_proc = event in ("open", "os.listdir") and str(args[0]).startswith("/proc/")
        if self.is_on and EVENTS.match(event) and not is_of_proc and threading.get_ident() == self._thread:
            self.seen.append(f"{event}{args!r}")


def test_a_node_at_work_opens_no_file_in_its_loop(tmp_path: Path, wait_until: WaitUntil) -> None:
    for name in (*MODULES, "encodings.idna", "encodings.latin_1"):
        __import__(name)  # as a node does soon after its start
    for _ in __import__("pycast.web.page_templates", fromlist=["x"]).compile_templates():
        pass
    (tmp_path / "pycast.toml").write_text(TOML.format(tmp_path))
    node = Node(load(tmp_path / "pycast.toml", {}), tmp_path / "pycast.toml", None, 1000)
    port = node.start().port
    watch = Watch()

    def connect(data: bytes) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port), 5)
        sock.sendall(data)
        return sock

    def ask(data: bytes) -> None:
        with connect(data) as sock:
            while sock.recv(65_536):
                pass

    watch.is_on = True
    try:
        source = connect(SOURCE)
        wait_until(lambda: node.parts.context.mounts.get("/x"), "the mount")
        listener = connect(b"GET /x HTTP/1.0\r\n\r\n")
        for path in ("/", "/status-json.xsl", "/x.m3u", "/none", "/metrics", "/livez", "/readyz"):
            ask(b"GET %b HTTP/1.0\r\n\r\n" % path.encode())
        ask(TITLE)
        node.reload()
        source.sendall(b"more")
        source.close()
        listener.close()
        wait_until(lambda: node.parts.context.admission.open == 0, "their ends")
        node.stop()
    finally:
        watch.is_on = False
    assert DUMP_WRITERS.settle(5)
    assert watch.seen == []
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {
        "pycast.toml",
        "access.log",
        "playlist.log",
        "x",
    }

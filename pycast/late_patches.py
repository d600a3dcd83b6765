"""gevent's patches of `ssl` and `subprocess`, made when one of them is first imported.

At the start, where gevent makes all others, these two take a tenth of it, and a node without TLS needs neither. The
invariant: whoever imports one of them, by Python's name or by gevent's, here or in a package, finds it patched.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

import gevent
from gevent import monkey

_PATCHES = {"ssl": monkey.patch_ssl, "subprocess": monkey.patch_subprocess}


def patch_late() -> None:
    """Patches them from now on; those that are loaded already, at once."""
    sys.meta_path.insert(0, _Finder())
    for name, patch in _PATCHES.items():
        if name in sys.modules:
            patch()


class _Finder:
    """Finds the modules, and gevent's for them, as Python does; loaded, they are patched before anybody has them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.removeprefix("gevent.") not in _PATCHES:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_patch(module: ModuleType) -> None:
                load(module)
                _on_loaded(name, module)

            # The loader remains what it is, which tracebacks and packages ask.
            setattr(spec.loader, "exec_module", load_and_patch)  # noqa: B010  # mypy takes no assignment
        return spec


def _on_loaded(name: str, module: ModuleType) -> None:
    if name in _PATCHES:
        import_module(f"gevent.{name}")  # which comes here too; does nothing if that is what loads this one
    else:
        short = name.removeprefix("gevent.")
        setattr(gevent, short, module)  # as Python does it in a moment: the patch looks there
        _PATCHES[short]()

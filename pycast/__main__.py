"""Where the process begins: gevent first, so that all that follows switches greenlets instead of blocking."""

from gevent import monkey

monkey.patch_all()

from pycast.cli.main import main  # noqa: E402  # sockets must be patched before anything imports them

if __name__ == "__main__":
    main(prog_name="pycast")

"""Where the process begins: gevent first, so that all that follows switches greenlets instead of blocking."""

import gc

# What is imported stays. The garbage collector would look through it again and again, for nothing (see `load_node`).
gc.disable()

from gevent import events, monkey  # noqa: E402

# For each of the 25 modules it patches, gevent asks every installed package for plug-ins. That takes 60 ms beside 45
# packages and most of a second in a large environment, where a test may start this server many times: leave it out.
setattr(events, "notify_and_call_entry_points", lambda event: None)  # noqa: B010  # the stubs do not know the name
monkey.patch_all()

from pycast.cli.main import main  # noqa: E402  # sockets must be patched before anything imports them

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main(prog_name="pycast")

"""The entry point. Patches the standard library with gevent first, so that later code switches instead of blocking."""

import gc

# Imported modules are never freed, so the garbage collector need not scan them (see `load_node`).
gc.disable()

from gevent import events, monkey  # noqa: E402

# gevent looks for plug-ins in every installed package, once for each of the 25 modules that it patches. That takes 60
# ms with 45 packages and most of a second in a large environment, where tests start this server many times. So skip it.
setattr(events, "notify_and_call_entry_points", lambda event: None)  # noqa: B010  # the stubs lack the name
monkey.patch_all(ssl=False, subprocess=False)

from gevent.hub import Hub  # noqa: E402

from pycast.late_patches import patch_late  # noqa: E402

patch_late()

# Ctrl-C is how a command is ended: each one says what that means, and no traceback of the hub does.
Hub.NOT_ERROR = (*Hub.NOT_ERROR, KeyboardInterrupt)

from pycast.cli.leave import main  # noqa: E402  # sockets must be patched before anything imports them

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main(prog_name="pycast")

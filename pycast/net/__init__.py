"""Socket options, hang-ups, TLS, greenlets with an owner, ticks and turns of the event loop."""

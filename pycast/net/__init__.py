"""Socket options, hang-ups, TLS, greenlets with an owner, ticks."""

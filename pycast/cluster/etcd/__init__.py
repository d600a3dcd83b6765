"""The registry in etcd: client, records, cache, liveness probes, claims, session, and the driver over them."""

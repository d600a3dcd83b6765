"""Benchmarks of pycast: one question per `bench_*.py`; `README.md` says how to run and read them."""

"""One file per group of bars; each exports `run(bench) -> list[Figure]`."""

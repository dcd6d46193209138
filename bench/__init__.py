"""Measures the bars of the design as ratios within one run. Start it with `python -m bench`, or `make bench`."""

"""Settings of the Python runtime for processes that live long."""

import gc
from typing import Final

_YOUNG_OBJECTS: Final = 50_000
_YOUNG_COLLECTIONS: Final = 50
_MIDDLE_COLLECTIONS: Final = 100


def tune_gc() -> None:
    """Have the garbage collector run seldom, and never over what the start made; call it when a process is ready.

    Events are tuples of texts, tens of thousands alive at once and none in a cycle: with the usual thresholds the
    collector looks at them over and over, for a sixth of the loader's time, and finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_COLLECTIONS, _MIDDLE_COLLECTIONS)

"""The composition root of a process that works and serves nothing: loader and maintenance."""

import asyncio
import signal
from pathlib import Path

import structlog
import uvloop

from mainstem.hub import open_hub
from mainstem.platform import log
from mainstem.platform.runtime import tune_gc
from mainstem.platform.settings import Settings

logger = structlog.get_logger(__name__)


def run(settings: Settings, dsn: str, *, data_dir: Path) -> int:
    """Load and maintain until a signal; return the exit code."""
    log.configure(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(settings, dsn, data_dir))
    return 0


async def _work(settings: Settings, dsn: str, data_dir: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_hub(settings, dsn, data_dir, serves=False, works=True):
        tune_gc()
        logger.info("working", lanes=settings.loader_lanes)
        await stop.wait()

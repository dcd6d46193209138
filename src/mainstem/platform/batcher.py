"""Asks for many what one would ask for alone: questions that come while another is under way are asked together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

_MOST: Final = 1_000


class Batcher(Generic[Asked, Answer]):
    """One question at a time, about all that has been asked since the last; for one event loop."""

    def __init__(self, work: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]], *, name: str) -> None:
        """Keep what answers several questions, in their order; what it raises is raised to all who asked."""
        self._work = work
        self._name = name
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    def ask(self, asked: Asked) -> "asyncio.Future[Answer]":
        """Return the future answer; those who ask in one turn of the event loop are answered together."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)
        return answer

    async def stop(self) -> None:
        """End the question under way; who asked gets CancelledError."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        for _, answer in self._waiting:
            answer.cancel()
        self._waiting = []

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            try:
                answers = await self._work([asked for asked, _ in batch])
            except Exception as error:  # noqa: BLE001 - it is theirs who asked
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                        # one who has gone does not look
                        answer.exception()
            except asyncio.CancelledError:
                for _, answer in batch:
                    answer.cancel()
                raise
            else:
                for (_, answer), found in zip(batch, answers, strict=True):
                    if not answer.done():
                        answer.set_result(found)

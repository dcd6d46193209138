"""The feed of tasks: their changes into the vault."""

from typing import Final

from mainstem.tasks.stage import stage_task
from mainstem.vault.feed import Feed
from mainstem.vault.model import TASK_COLUMNS, TASK_STRUCTURES

TASK_FEED: Final = Feed(
    name="task",
    kinds=("task.*",),
    # whoever sends `task.*` under another source has tasks of their own: those are no matter of ours
    sources=("tasks",),
    columns=TASK_COLUMNS,
    stage=stage_task,
    structures=TASK_STRUCTURES,
)

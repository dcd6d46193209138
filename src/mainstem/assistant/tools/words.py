"""Types of arguments that several tools take."""

from typing import Annotated, Final

from pydantic import Field

LARGEST_ID: Final = 2**31 - 1
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""Text that PostgreSQL can hold."""
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
LongId = Annotated[int, Field(ge=1, le=2**63 - 1)]

"""The model drawn and described: a pure function of feeds, snapshots and views, as Markdown, Mermaid or HTML."""

from mainstem.vault.docs.describe import Described, Description, describe
from mainstem.vault.docs.html import html_page
from mainstem.vault.docs.markdown import markdown_page
from mainstem.vault.docs.mermaid import flowchart

__all__ = ["Described", "Description", "describe", "flowchart", "html_page", "markdown_page"]

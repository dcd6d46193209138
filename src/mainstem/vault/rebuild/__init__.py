"""Rebuild the vault and the business layer from the events, compare with live, and swap: `mainstem vault rebuild`.

The public door. The replay runs the loader's own code on tables of its own (see `names`, `replay`), so a difference is
always one of the data: rows that were changed by hand or by a fault, or events that today's rules read otherwise.
"""

from mainstem.vault.rebuild.history import Archives
from mainstem.vault.rebuild.names import RebuildError
from mainstem.vault.rebuild.report import Compared, Example, Report, Totals
from mainstem.vault.rebuild.run import Plan, drop_old, rebuild

__all__ = ["Archives", "Compared", "Example", "Plan", "RebuildError", "Report", "Totals", "drop_old", "rebuild"]

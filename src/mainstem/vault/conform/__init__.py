"""Conformance: case files of others (tables in, tables out) run through the engine that loads our own vault."""

from mainstem.vault.conform.case import Case, CaseFileError, read_cases
from mainstem.vault.conform.report import Report
from mainstem.vault.conform.run import Result, run_case, run_cases

__all__ = ["Case", "CaseFileError", "Report", "Result", "read_cases", "run_case", "run_cases"]

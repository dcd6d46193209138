"""Imports the access logs of web servers: Apache and nginx, common and combined format, plain or gzip."""

from mainstem.site.access_log.events import log_sender
from mainstem.site.access_log.run import ImportReport, Progress, import_access_log

__all__ = ["ImportReport", "Progress", "import_access_log", "log_sender"]

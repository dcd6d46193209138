"""What can be wrong with an archive; the text is one line for the operator."""


class ArchiveError(Exception):
    """The archive can't be written, read or used now."""


class ArchiveDamagedError(ArchiveError):
    """A file of the archive is missing, unreadable, or not what its manifest says."""

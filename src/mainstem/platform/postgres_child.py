"""Becomes the PostgreSQL process: ties its life to the parent's, leaves root, then executes the program.

Run as `python -I -S postgres_child.py PARENT_PID UID GID REACHED… -- PROGRAM ARGUMENTS…`, never imported by the
server. A program of its own, because these steps must happen between fork and exec, where Python code is not
safe in a process that has threads. It imports nothing but the standard library and takes about 15 ms.

UID -1 keeps the current user. REACHED are paths that the new user must be able to enter; where it can't, because
a parent folder is open to root only, the process keeps one capability that lets it walk and read through such
folders (CAP_DAC_READ_SEARCH, else CAP_DAC_OVERRIDE), instead of anybody loosening the folders.
"""

import ctypes
import os
import signal
import sys

REFUSAL = "refused: "
_EXIT_REFUSED = 77
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAP_SETPCAP = 8
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2


def _main(arguments: list[str]) -> None:
    split = arguments.index("--")
    parent, uid, gid = (int(word) for word in arguments[:3])
    reached, command = arguments[3:split], arguments[split + 1 :]
    if uid >= 0:
        _leave_root(uid, gid, reached)
    _die_with(parent)
    os.umask(0o077)
    os.chdir("/")
    os.execv(command[0], command)  # noqa: S606 - becoming that program is the purpose


def _leave_root(uid: int, gid: int, reached: list[str]) -> None:
    if sys.platform == "linux":
        _prctl(_PR_SET_KEEPCAPS, 1)
    try:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    except OSError as error:
        _refuse(
            f"PostgreSQL does not run as root, and user id {uid} can't be taken here ({error.strerror}): "
            "start as an ordinary user, or set DATABASE_URL"
        )
    if _blocked(reached) is None:
        _keep_capability(None)
        return
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if _keep_capability(capability) and _blocked(reached) is None:
            return
    _refuse(
        f"PostgreSQL runs as user id {uid} here, and that user can't enter {_blocked(reached)}: move the checkout and "
        "--data-dir out of the folder that only root may enter, start as an ordinary user, or set DATABASE_URL"
    )


def _blocked(paths: list[str]) -> str | None:
    """Return the first folder that can't be entered; access(), too, must say so, for PostgreSQL asks that way."""
    for path in paths:
        try:
            os.stat(os.path.join(path, "."))  # noqa: PTH116, PTH118 - pathlib drops the dot that asks for entry
        except PermissionError:
            return path
        if not os.access(path, os.X_OK):
            return path
    return None


def _keep_capability(capability: int | None) -> bool:
    """Reduce the process's capabilities to this one, kept across exec; False where the system refuses it."""
    if sys.platform != "linux":
        return False
    if capability is None:
        return _set_capabilities(0, 0)
    mask = 1 << capability
    # access() ignores the capabilities of a process that is not root, unless this bit is set
    if (
        not _set_capabilities(mask | 1 << _CAP_SETPCAP, mask)
        or _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP) != 0
    ):
        return False
    return _set_capabilities(mask, mask) and _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability) == 0


def _set_capabilities(effective: int, inheritable: int) -> bool:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(effective, effective, inheritable, 0, 0, 0)
    return int(ctypes.CDLL(None).capset(header, sets)) == 0


def _die_with(parent: int) -> None:
    """Ask the kernel for SIGINT (PostgreSQL's fast shutdown) when the thread that started this process is gone."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent:
        _refuse("the starting process ended")


def _prctl(option: int, value: int, third: int = 0) -> int:
    return int(ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(third), 0, 0))


def _refuse(sentence: str) -> None:
    sys.stderr.write(REFUSAL + sentence + "\n")
    sys.stderr.flush()
    os._exit(_EXIT_REFUSED)


if __name__ == "__main__":
    _main(sys.argv[1:])

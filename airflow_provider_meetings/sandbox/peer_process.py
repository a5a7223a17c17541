"""Finding the process at the other end of a loopback connection, and killing it."""

import os
import signal
from pathlib import Path

_PROC = Path("/proc")


def pids_of_peer(client_port: int, server_port: int) -> list[int]:
    """Return the processes that hold the client's end of a loopback connection, from Linux's /proc."""
    inode = _inode(client_port, server_port)
    if inode is None:
        return []
    wanted = f"socket:[{inode}]"
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit() and _holds(entry / "fd", wanted)]


def parent_of(pid: int) -> int | None:
    """Return a process's parent, or None if it has gone."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # the command in parentheses may itself contain spaces and parentheses
    return int(stat.rpartition(")")[2].split()[1])


def kill_caller(client_port: int, server_port: int, *, peer: bool, parent: bool) -> list[int]:
    """Kill the calling process, its parent, or both; return whom. Never the sandbox itself nor init."""
    callers = pids_of_peer(client_port, server_port)
    parents = [parent_of(pid) for pid in callers] if parent else []
    # the parent first: a supervisor must not have time to report how its child died
    victims = [*parents, *(callers if peer else [])]
    killed = []
    for pid in dict.fromkeys(victims):
        if pid is None or pid in {0, 1, os.getpid()}:
            continue
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        killed.append(pid)
    return killed


def _inode(client_port: int, server_port: int) -> str | None:
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = (_PROC / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            # sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
            columns = line.split()
            local, remote = (int(column.rpartition(":")[2], 16) for column in columns[1:3])
            if (local, remote) == (client_port, server_port) and columns[9] != "0":
                return columns[9]
    return None


def _holds(descriptors: Path, wanted: str) -> bool:
    try:
        return any(str(link.readlink()) == wanted for link in descriptors.iterdir())
    except OSError:  # gone meanwhile, or not ours to look into
        return False

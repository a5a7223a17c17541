"""Files on a local file system: whole or not at all, whatever happens in the middle."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsServerError
from airflow_provider_meetings.operators.meetings import ListMeetingsOperator
from airflow_provider_meetings.sets import local_files
from airflow_provider_meetings.sets.files import FileLocation, check_destination
from tests.support.operators import CONN, INTERVAL, run
from tests.support.sandbox import NOON

SUFFIXES = pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"])


def names(folder):
    """Return what a folder holds, in order."""
    return sorted(path.name for path in folder.iterdir())


@SUFFIXES
def test_a_list_that_breaks_off_leaves_the_old_file(server, kind, connect, tmp_path, suffix):
    """The first pages come, a later one does not: the old file is as it was, and nothing is beside it."""
    connect(kind, max_attempts=1)
    server.insert(kind, *(kind.row(NOON + number * 1000) for number in range(450)))
    server.fault("status", match={"vendor": kind.name}, skip=2, times=None)
    old = tmp_path / f"old.{suffix}"
    old.write_text("yesterday\n")
    for name in ("old", "sub/folder/new"):
        listing = ListMeetingsOperator(task_id="list", destination=f"file://{tmp_path}/{name}.{suffix}", **CONN)
        with pytest.raises(MeetingsServerError):
            run(listing, **INTERVAL)
    assert [old.name] == names(tmp_path)
    assert "yesterday\n" == old.read_text()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_error_in_the_middle_leaves_nothing(tmp_path, error):
    """Neither a temporary file nor a folder, and the old file as it was."""
    old = tmp_path / "old.jsonl"
    old.write_bytes(b"yesterday\n")

    def broken():
        yield from range(10_000)
        raise error

    for name in ("old.jsonl", "dt=1/new.jsonl"):
        with pytest.raises(error):
            check_destination(f"{tmp_path}/{name}").write_json_lines(broken())
    assert ["old.jsonl"] == names(tmp_path)
    assert b"yesterday\n" == old.read_bytes()


def test_a_folder_that_another_task_has_used_meanwhile_stays(tmp_path):
    """Only folders that are empty are taken away again."""

    def broken():
        yield 1
        (tmp_path / "a" / "other.txt").write_text("of another task")
        raise KeyError

    with pytest.raises(KeyError):
        check_destination(f"{tmp_path}/a/b/new.jsonl").write_json_lines(broken())
    assert ["other.txt"] == names(tmp_path / "a")


_WRITER = """
import sys
from airflow_provider_meetings.sets.files import check_destination
from airflow_provider_meetings.sets.records import FileFormat
from airflow_provider_meetings.hooks.resolve import record_mapping_of

url = sys.argv[1]
mapping = record_mapping_of("hiringcenter")

def meetings():
    for number in range(300_000):
        if number == 250_000:
            print("half", flush=True)
            sys.stdin.read()
        yield {"id": str(number), "meetingDate": 1_770_026_400_000 + number, "notes": "n" * 50}

with check_destination(url).write() as file:
    FileFormat.parse(url).write(meetings(), file, lambda meeting: mapping.common_record(meeting, "crm"))
"""


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path, suffix):
    """SIGKILL, when most of the file is written: the old one is whole; the rest goes with a writer a day later."""
    old = tmp_path / f"meetings.{suffix}"
    old.write_bytes(b"yesterday")
    command = [sys.executable, "-c", _WRITER, f"file://{old}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert b"half\n" in writer.stdout  # behind what an older Airflow logs there
        writer.send_signal(signal.SIGKILL)
    assert -signal.SIGKILL == writer.returncode
    assert b"yesterday" == old.read_bytes()
    (left,) = (path for path in tmp_path.iterdir() if path != old)
    assert left.name.startswith(".meetings.")  # a name that no reader of *.parquet takes
    assert left.stat().st_size > 1_000_000

    check_destination(old).write_bytes(b"today")
    assert [left.name, old.name] == names(tmp_path)  # it may be the file of a task that is still at work
    os.utime(left, (left.stat().st_atime, left.stat().st_mtime - 90_000))
    check_destination(old).write_bytes(b"tomorrow")
    assert [old.name] == names(tmp_path)
    assert b"tomorrow" == old.read_bytes()


@SUFFIXES
def test_a_disk_that_fills_up_leaves_the_old_file(server, connect, kind, tmp_path, suffix):
    """The operating system refuses to let a file grow: the error says so, the old file is as it was."""
    connect(kind)
    rows = (kind.row(NOON + number, location=os.urandom(500).hex()) for number in range(200))
    server.insert(kind, *rows)
    old = tmp_path / f"old.{suffix}"
    old.write_text("yesterday\n")
    listing = ListMeetingsOperator(task_id="list", destination=f"file://{old}", **CONN)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            run(listing, **INTERVAL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [old.name] == names(tmp_path)
    assert "yesterday\n" == old.read_text()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_is_full_at_the_very_end(monkeypatch, tmp_path, step):
    """Where the operating system tells of it late, that is an error, too."""
    old = tmp_path / "old.jsonl"
    old.write_bytes(b"yesterday\n")
    location = check_destination(old)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full) if step == "fsync" else monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        location.write_bytes(b"today\n")
    assert ["old.jsonl"] == names(tmp_path)
    assert b"yesterday\n" == old.read_bytes()


def test_two_writers_at_once_leave_one_whole_file(tmp_path):
    """Each writes its own temporary file; the last one that is complete wins."""
    target = tmp_path / "meetings.jsonl"
    contents = [bytes([65 + number]) * 300_000 for number in range(8)]
    together = threading.Barrier(len(contents))

    def write(content):
        location = FileLocation.parse(target)
        for _ in range(20):
            together.wait()
            with location.write() as file:
                for start in range(0, len(content), 10_000):
                    file.write(content[start : start + 10_000])

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if target.exists():
            assert target.read_bytes() in contents
    for thread in threads:
        thread.join()
    assert target.read_bytes() in contents
    assert [target.name] == names(tmp_path)


# -- what a file keeps


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    """Not those of a temporary one, which nobody else may read."""
    before = os.umask(0o027)
    try:
        check_destination(tmp_path / "new.jsonl").write_bytes(b"")
    finally:
        os.umask(before)
    assert 0o640 == stat.S_IMODE((tmp_path / "new.jsonl").stat().st_mode)


def test_an_old_file_keeps_its_permissions(tmp_path):
    """A file that others may read stays one."""
    old = tmp_path / "old.jsonl"
    old.write_text("yesterday")
    old.chmod(0o664)
    check_destination(old).write_bytes(b"today")
    assert 0o664 == stat.S_IMODE(old.stat().st_mode)


def test_a_symbolic_link_is_followed(tmp_path):
    """The file that it points to is replaced, and the link stays."""
    (tmp_path / "data").mkdir()
    link = tmp_path / "current.jsonl"
    link.symlink_to(tmp_path / "data" / "today.jsonl")
    check_destination(link).write_bytes(b"today")
    assert link.is_symlink()
    assert b"today" == (tmp_path / "data" / "today.jsonl").read_bytes()
    assert ["current.jsonl", "data"] == names(tmp_path)


@pytest.mark.parametrize("name", ["a" * 250 + ".csv", "é" * 120 + ".csv", "with space %20 ü.csv"])
def test_names_that_are_unusual(tmp_path, name):
    """The temporary file's name is short enough where the file's own is."""
    check_destination(f"file://{tmp_path}/{name}").write_bytes(b"x")
    assert [name] == names(tmp_path)


# -- what is refused before the first request


def _file_in_the_way(folder):
    (folder / "file").write_text("x")
    return folder / "file" / "meetings.jsonl"


def _folder_in_the_way(folder):
    (folder / "meetings.jsonl").mkdir()
    return folder / "meetings.jsonl"


def _pipe(folder):
    os.mkfifo(folder / "meetings.jsonl")
    return folder / "meetings.jsonl"


def _name_too_long(folder):
    return folder / ("m" * 300 + ".jsonl")


def _kernels_own(_):
    return Path("/proc/meetings/meetings.jsonl")


def _a_device(_):
    return Path("/dev/null")


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (_file_in_the_way, "Not a directory"),
        (_folder_in_the_way, "It is a folder"),
        (_pipe, "not a regular file"),
        (_name_too_long, "File name too long"),
        (_kernels_own, "No such file or directory"),
        (_a_device, "not a regular file"),
        (lambda folder: f"{folder}/", "names a folder"),
    ],
)
def test_what_cannot_be_written_is_refused(server, kind, connect, tmp_path, make, named):  # noqa: PLR0917 - fixtures
    """The vendor is not asked for anything, and nothing is left behind."""
    connect(kind)
    destination = str(make(tmp_path))
    before = names(tmp_path)
    with pytest.raises(MeetingsConfigurationError, match=named) as caught:
        run(ListMeetingsOperator(task_id="list", destination=destination, **CONN), **INTERVAL)
    assert destination in str(caught.value)
    assert "Nothing was sent." in str(caught.value)
    assert [] == server.journal()
    assert before == names(tmp_path)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_file_system_that_takes_no_file_is_refused(monkeypatch, tmp_path, number):
    """It is tried with a real file, so that root, and a full disk, get the same answer as others."""

    def refuse(*_):
        raise OSError(number, os.strerror(number), str(tmp_path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MeetingsConfigurationError, match=os.strerror(number)):
        check_destination(tmp_path / "meetings.jsonl")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_trouble_that_may_pass_is_no_mistake_of_the_author(monkeypatch, tmp_path, number):
    """The task keeps its retries."""

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OSError, match=os.strerror(number)):
        check_destination(tmp_path / "meetings.jsonl")


def test_permissions(tmp_path, monkeypatch):
    """A file that is write-protected is not replaced, although its folder would allow it."""
    old = tmp_path / "old.jsonl"
    old.write_text("yesterday")
    monkeypatch.setattr(os, "access", lambda path, mode: (Path(path), mode) != (old, os.W_OK))
    with pytest.raises(MeetingsConfigurationError, match="write-protected"):
        check_destination(old)


def test_a_check_leaves_no_trace(tmp_path):
    """Neither a file nor a folder, and the old file is not touched."""
    old = tmp_path / "old.jsonl"
    old.write_text("yesterday")
    before = old.stat()
    check_destination(old)
    check_destination(tmp_path / "a" / "b" / "new.jsonl")
    assert ["old.jsonl"] == names(tmp_path)
    assert before == old.stat()


def test_only_our_own_old_files_are_removed(tmp_path):
    """Others' files of the same age, and temporary files of other names, stay."""
    others = [".meetings.csv.backup", "meetings.csv.tmp", ".meetings.jsonl.1.tmp", ".other.csv.1.tmp"]
    for name in [*others, ".meetings.csv.0123.tmp"]:
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (0, 0))
    with local_files.replacing(str(tmp_path / "meetings.csv")) as file:
        file.write(b"x")
    assert sorted([*others, "meetings.csv"]) == names(tmp_path)

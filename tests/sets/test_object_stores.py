"""Files in object stores: whole or not at all, without a bucket or a folder that was not there."""

import json
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pytest
import s3fs
from airflow.sdk.io import fs as airflow_fs
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from pyarrow.fs import LocalFileSystem as ArrowLocalFileSystem

from airflow_provider_meetings.exceptions import (
    MeetingsConfigurationError,
    MeetingsServerError,
    MeetingsTransportError,
)
from airflow_provider_meetings.operators.meetings import ListMeetingsOperator
from airflow_provider_meetings.sets.files import FileLocation, check_destination
from tests.support.operators import CONN, INTERVAL, run
from tests.support.run_changes import Calendar, search
from tests.support.sandbox import NOON

MEGABYTE = 2**20
LARGE = bytes(range(256)) * 4096 * 17  # 17 MB: three parts


def write(url, *parts):
    """Write a file in parts."""
    with check_destination(url).write() as file:
        for part in parts:
            file.write(part)


# -- S3


@pytest.mark.parametrize("user", ["admin", "putter"])
@pytest.mark.parametrize("content", [b"", b"small\n", LARGE], ids=["empty", "small", "large"])
def test_a_key_that_may_only_put_is_enough(s3, user, content):
    """No bucket is made, nothing is listed or looked at, and no upload is left unfinished."""
    write(f"s3://{user}@lake/dt=2026-02-02/meetings.jsonl", content)
    assert {"dt=2026-02-02/meetings.jsonl": content} == s3.objects()
    assert [] == s3.uploads()


def test_a_list_goes_into_a_bucket(server, kind, connect, s3):
    """The operator's way: one object, as many lines as meetings, the path as it was given."""
    connect(kind)
    server.insert(kind, *(kind.row(NOON + number) for number in range(3)))
    url = "s3://putter@lake/dt={{ params.day }}/meetings.jsonl"
    result = run(ListMeetingsOperator(task_id="l", destination=url, **CONN), params={"day": "2026-02-02"}, **INTERVAL)
    assert {"path": "s3://putter@lake/dt=2026-02-02/meetings.jsonl", "count": 3} == result
    expected = run(ListMeetingsOperator(task_id="list", **CONN), **INTERVAL)
    ((name, content),) = s3.objects().items()
    assert "dt=2026-02-02/meetings.jsonl" == name
    assert expected == [json.loads(line) for line in content.splitlines()]


@pytest.mark.parametrize(
    "case",
    [
        ("s3://putter@laek/meetings.jsonl", "bucket does not exist"),
        ("s3://admin@laek/meetings.jsonl", "bucket does not exist"),
        ("s3://stranger@lake/meetings.jsonl", "Access Denied"),
        ("s3://admin@lake", "names a folder or a bucket"),
        ("s3://admin@lake/folder/", "names a folder or a bucket"),
        ("s3://admin@La ke/meetings.jsonl", "Invalid bucket name"),
        ("s3://nobody@lake/meetings.jsonl", "nobody"),
    ],
)
def test_a_bucket_that_cannot_be_written_is_refused_before_the_first_request(server, kind, connect, s3, case):
    """It is named, the vendor is not asked for anything, and no bucket is made."""
    url, named = case
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match=named) as caught:
        run(ListMeetingsOperator(task_id="list", destination=url, **CONN), **INTERVAL)
    assert url in str(caught.value)
    assert [] == server.journal()
    assert ["lake"] == s3.buckets()
    assert {} == s3.objects()
    assert [] == s3.uploads()


def test_a_check_changes_nothing(s3):
    """What is there stays as it is, and nothing is begun."""
    write("s3://admin@lake/meetings.jsonl", b"yesterday\n")
    for user in ("admin", "putter"):
        check_destination(f"s3://{user}@lake/meetings.jsonl")
        check_destination(f"s3://{user}@lake/another.jsonl")
    assert {"meetings.jsonl": b"yesterday\n"} == s3.objects()
    assert [] == s3.uploads()


def test_a_store_that_cannot_be_reached_may_be_tried_again(server, kind, connect, register):
    """It is no mistake of the DAG's author, so the task's retries are not taken away."""
    register("s3", lambda _: s3fs.S3FileSystem(endpoint_url="http://127.0.0.1:9", key="key", secret="secret"))
    connect(kind)
    with pytest.raises(MeetingsTransportError, match="cannot be reached") as caught:
        run(ListMeetingsOperator(task_id="list", destination="s3://admin@lake/m.jsonl", **CONN), **INTERVAL)
    assert not caught.value.maybe_sent
    assert not isinstance(caught.value, MeetingsConfigurationError)
    assert [] == server.journal()


def test_a_list_that_breaks_off_leaves_the_old_object(server, kind, connect, s3):
    """The first pages come, a later one does not."""
    write("s3://admin@lake/meetings.jsonl", b"yesterday\n")
    connect(kind, max_attempts=1)
    server.insert(kind, *(kind.row(NOON + number * 1000) for number in range(450)))
    server.fault("status", match={"vendor": kind.name}, skip=2, times=None)
    with pytest.raises(MeetingsServerError):
        run(ListMeetingsOperator(task_id="list", destination="s3://admin@lake/meetings.jsonl", **CONN), **INTERVAL)
    assert {"meetings.jsonl": b"yesterday\n"} == s3.objects()
    assert [] == s3.uploads()


def test_a_part_that_is_refused_leaves_the_old_object(s3, monkeypatch):
    """An upload that fails in the middle is discarded, and its error is the one that is raised."""
    write("s3://admin@lake/meetings.jsonl", b"yesterday\n")
    call = s3fs.S3File._call_s3

    def second_part_fails(self, method, *args, **kwargs):
        if method == "upload_part" and kwargs["PartNumber"] == 2:
            raise OSError("the line is cut")
        return call(self, method, *args, **kwargs)

    monkeypatch.setattr(s3fs.S3File, "_call_s3", second_part_fails)
    for user in ("admin", "putter"):
        with pytest.raises(OSError, match="the line is cut"):
            write(f"s3://{user}@lake/meetings.jsonl", LARGE)
    assert {"meetings.jsonl": b"yesterday\n"} == s3.objects()
    # A key that may only put cannot abort: what the bucket's lifecycle rule is for.
    assert ["meetings.jsonl"] == [upload["Key"] for upload in s3.uploads()]


def test_two_writers_at_once_leave_one_whole_object(s3):
    """The last one that is complete wins."""
    contents = [bytes([number]) * 9 * MEGABYTE for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda content: write("s3://admin@lake/m.jsonl", content), contents))
    assert s3.objects()["m.jsonl"] in contents


@pytest.mark.usefixtures("s3")
def test_reading_back():
    """What another run has left is read, and nothing is None."""
    location = FileLocation.parse("s3://admin@lake/state.json")
    assert location.read_bytes() is None
    location.write_bytes(b"{}")
    assert b"{}" == location.read_bytes()


# -- other stores of fsspec


class Buffered(AbstractBufferedFile):
    """A file that is uploaded in parts, and that a store completes when it is closed."""

    def _initiate_upload(self):
        self.parts = []

    def _upload_chunk(self, final=False):
        if self.fs.failures and (failure := self.fs.failures.pop()):
            raise OSError(failure)
        self.parts.append(self.buffer.getvalue())
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self):
        """Complete the upload."""
        self.fs.store[self.path] = b"".join(self.parts)


class Discarding(Buffered):
    """One that can cancel an upload."""

    def discard(self):
        """Cancel the upload."""
        self.fs.discarded.append(self.path)


class Store(AbstractFileSystem):
    """An object store in memory, whose uploads fail on demand."""

    protocol = "store"
    store: dict[str, bytes] = {}  # noqa: RUF012 - of all instances, as a server is
    failures: list[str] = []  # noqa: RUF012
    discarded: list[str] = []  # noqa: RUF012
    file_class = Discarding

    def _open(self, path, mode="rb", **options):
        options.pop("cache_options", None)
        if options.get("block_size") == 8 * MEGABYTE:
            options["block_size"] = 5
        return self.file_class(self, path, mode, **options)

    def mkdir(self, path, create_parents=True, **kwargs):  # noqa: ARG002 - fsspec's signature
        """Make a bucket."""
        raise AssertionError("nothing makes folders in an object store")

    makedirs = mkdir


class Careless(Store):
    """One whose files cannot be cancelled."""

    protocol = "careless"
    file_class = Buffered


@pytest.fixture(params=[Store, Careless])
def store(request, register):
    """A store without objects and failures, as Airflow knows it."""
    cls = request.param
    cls.clear_instance_cache()
    for things in (cls.store, cls.failures, cls.discarded):
        things.clear()
    fsspec.register_implementation(cls.protocol, cls, clobber=True)
    register(cls.protocol, lambda _, **options: cls(**options))
    return cls


def url_of(store):
    """Where the tests write."""
    return f"{store.protocol}://lake/meetings.jsonl"


@pytest.mark.parametrize("failures", [["full"], ["full", ""]], ids=["first part", "last part"])
def test_an_upload_that_fails_once(store, failures):
    """The old object stays, nothing is completed later either, and the next try writes all of it."""
    write(url_of(store), b"old")
    before = dict(store.store)
    store.failures[:] = failures
    with pytest.raises(OSError, match="full"):
        write(url_of(store), b"a new object of many parts")
    assert before == store.store
    write(url_of(store), b"a new object of many parts")
    assert b"a new object of many parts" == store.store["lake/meetings.jsonl"]


def test_an_error_in_the_middle_of_a_list_uploads_nothing(store):
    """The store hears of a file only when it is complete."""

    def broken():
        yield "half of a list"
        raise KeyError

    with pytest.raises(KeyError):
        check_destination(url_of(store)).write_json_lines(broken())
    assert {} == store.store
    assert [] == store.discarded


def test_a_store_in_memory(register):
    """A transaction of a file system of our own: other users of the same one are not drawn into it."""
    register("memory", lambda _, **options: MemoryFileSystem(**options))
    shared = MemoryFileSystem()
    shared.store.clear()
    with shared.open("memory://other.txt", "wb") as other:
        other.write(b"before")
        write("memory://meetings.jsonl", b"all of it")
        assert b"all of it" == shared.cat("memory://meetings.jsonl")
    assert not shared._intrans
    assert b"before" == shared.cat("memory://other.txt")


class AzureLike(AsyncFileSystem):
    """A store whose files delete the old object first, and which can put a whole file."""

    protocol = "azurelike"
    store: dict[str, bytes] = {}  # noqa: RUF012

    class File(AbstractBufferedFile):
        """What must not be used."""

        def _initiate_upload(self):
            del self.fs.store[self.path]

        def _upload_chunk(self, **_):
            raise AssertionError("the old object is gone by now")

    def _open(self, path, mode="rb", **options):
        options.pop("cache_options", None)
        return self.File(self, path, mode, **options)

    async def _pipe_file(self, path, value, mode="overwrite", overwrite=False, **_):  # noqa: ARG002
        self._put(path, value, overwrite=overwrite)

    async def _put_file(self, lpath, rpath, mode="overwrite", overwrite=False, **_):  # noqa: ARG002
        with open(lpath, "rb") as file:  # noqa: ASYNC230, PTH123 - as the stores of fsspec do
            self._put(rpath, file.read(), overwrite=overwrite)

    def _put(self, path, content, *, overwrite):
        if path in self.store and not overwrite:
            raise FileExistsError(path)
        self.store[path] = content


def test_a_store_whose_files_delete_the_old_object_first(register):
    """It gets the whole file at once, and a check does not open one."""
    fsspec.register_implementation("azurelike", AzureLike, clobber=True)
    register("azurelike", lambda _, **options: AzureLike(**options))
    AzureLike.store.clear()
    for content in (b"first", b"second", LARGE, LARGE[1:]):
        write("azurelike://lake/meetings.jsonl", content)
        assert {"lake/meetings.jsonl": content} == AzureLike.store


def test_arrows_file_systems_write_beside_and_rename(register, tmp_path):
    """They have no transactions: an error leaves the old file, and no other one."""
    fsspec.register_implementation("arrowlocal", ArrowFSWrapper, clobber=True)
    register("arrowlocal", lambda _: ArrowFSWrapper(ArrowLocalFileSystem()))
    target = tmp_path / "meetings.jsonl"
    url = f"arrowlocal://{target}"
    write(url, b"yesterday")
    assert b"yesterday" == target.read_bytes()
    write(url, b"today")
    assert b"today" == target.read_bytes()
    target.unlink()
    target.mkdir()
    with pytest.raises(OSError, match=r".+"):
        write(url, b"tomorrow")
    assert [target] == list(tmp_path.iterdir())


def test_a_library_that_is_missing_is_named(server, kind, connect, monkeypatch):
    """Airflow says which one the scheme takes."""

    def get_fs(_, __):
        raise ImportError("Airflow FS S3 protocol requires the s3fs library")

    monkeypatch.setattr(airflow_fs, "_register_filesystems", lambda: {"s3": get_fs})
    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {})
    connect(kind)
    with pytest.raises(MeetingsConfigurationError, match="s3fs"):
        run(ListMeetingsOperator(task_id="list", destination="s3://lake/m.jsonl", **CONN), **INTERVAL)
    assert [] == server.journal()


def test_changes_between_runs_in_a_bucket(s3):
    """The snapshot is found again, old files are removed, and a bucket that is missing is no first run."""
    calendar = Calendar()
    calendar.book()
    assert [1, 0, 0] == [len(search(calendar, "s3://lake/known", run)) for run in ("r1", "r2", "r3")]
    names = sorted(s3.objects())
    assert len(names) == 3
    assert names[0] == "known/snapshot/manifest.json"
    with pytest.raises(MeetingsConfigurationError, match="snapshot cannot be written to"):
        search(calendar, "s3://nowhere/known", "r4")

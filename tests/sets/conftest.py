"""The sandbox for the tests of files, and file systems that Airflow knows as it knows a provider's."""

import pytest

try:
    from airflow.sdk.io import store as airflow_store
except ImportError:  # Airflow 2
    import airflow.io.store as airflow_store
try:
    from airflow.sdk.io import fs as airflow_fs
except ImportError:  # Airflow 2 and 3.0
    import airflow.io as airflow_fs

from tests.support.sandbox import _quick, connect, kind, process, server  # noqa: F401 - fixtures


@pytest.fixture
def register(monkeypatch):
    """Have Airflow know file systems, by scheme, as if providers brought them along."""
    known = dict(airflow_fs._register_filesystems())
    monkeypatch.setattr(airflow_fs, "_register_filesystems", lambda: known)
    monkeypatch.setattr(airflow_store, "_STORE_CACHE", {})

    def add(scheme, make):
        known[scheme] = lambda conn_id, options: make(conn_id, **options)

    return add


@pytest.fixture(scope="session")
def s3_server():
    """An S3 server that checks the permissions of keys."""
    from tests.support.s3 import run_s3  # noqa: PLC0415 - two seconds that every other test can do without

    with run_s3() as s3:
        yield s3


@pytest.fixture
def s3(s3_server, register):
    """The S3 server with an empty bucket, ``lake``; a URL's connection id names whose key is used."""
    s3_server.empty()
    register("s3", s3_server.filesystem)
    return s3_server

"""Whom both transports trust, and what they say of a certificate, or a bundle, that is none."""

import os
import ssl
import subprocess
from pathlib import Path

import pytest
import requests

from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsTransportError
from airflow_provider_meetings.transport import tls
from tests.support.sandbox import (
    EMPTY_LIST,
    HIRINGCENTER,
    WAYS,
    WINDOW,
    Tiny,
    answering,
    certificate,
    hook_to,
)


@pytest.fixture
def server(tmp_path):
    """A TLS server with a certificate of its own; yields its URL and the certificate's file."""
    bundle, context = certificate(tmp_path)
    with Tiny(answering(EMPTY_LIST["hiringcenter"]), context) as tiny:
        yield tiny.url, bundle


def hashed(folder: Path, bundle: Path) -> Path:
    """Make a folder of authorities, as `openssl rehash` does."""
    folder.mkdir()
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(bundle)]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (folder / f"{name}.0").write_bytes(bundle.read_bytes())
    return folder


@WAYS
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environments_bundle_is_trusted(listed, server, monkeypatch, variable):
    """Each of the variables counts in both transports."""
    url, bundle = server
    monkeypatch.setenv(variable, str(bundle))
    assert [] == listed(hook_to(HIRINGCENTER, url, timeout=5), *WINDOW)


@WAYS
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "verify", "SSL_CERT_DIR of two"])
def test_a_folder_of_authorities_is_trusted(listed, server, tmp_path, monkeypatch, variable):
    """With the names that OpenSSL looks for."""
    url, bundle = server
    folder = str(hashed(tmp_path / "authorities", bundle))
    extra = {}
    if variable == "verify":
        extra["verify"] = folder
    else:
        more = f"{tmp_path}/nowhere{os.pathsep}" if "two" in variable else ""
        monkeypatch.setenv(variable.split()[0], more + folder)
    assert [] == listed(hook_to(HIRINGCENTER, url, timeout=5, **extra), *WINDOW)


@WAYS
def test_the_systems_store_is_trusted_and_certifi_is_not(listed, server, monkeypatch):
    """What the machine trusts, both trust; not what a library brings along."""
    url, bundle = server
    paths = ssl.get_default_verify_paths()._replace(cafile=str(bundle), capath=None)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda self: self.load_verify_locations(str(bundle)))
    assert [] == listed(hook_to(HIRINGCENTER, url, timeout=5), *WINDOW)


@WAYS
def test_a_machine_without_a_store_has_requests_one(listed, server, monkeypatch):
    """A slim image trusts what comes with requests."""
    url, bundle = server
    paths = ssl.get_default_verify_paths()._replace(cafile=None, capath=None)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr(tls, "_BUNDLES", ())
    monkeypatch.setattr(tls, "DEFAULT_CA_BUNDLE_PATH", str(bundle))
    assert [] == listed(hook_to(HIRINGCENTER, url, timeout=5), *WINDOW)


def bad_bundles(tmp_path):
    """Make what is no bundle; by name, with what the error says of it."""
    public, _ = certificate(tmp_path)
    pem = public.read_text()
    key = (tmp_path / "key.pem").read_bytes()
    made = {
        "empty": b"",
        "der": ssl.PEM_cert_to_DER_cert(pem),
        "text": b"no certificates here",
        "key": key,
        "broken": pem.replace("MII", "!!!", 1).encode(),
        "cut off": pem[:200].encode(),
    }
    for name, content in made.items():
        (tmp_path / f"{name}.pem").write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "plain.pem").write_text(pem)
    return {name: tmp_path / f"{name}.pem" for name in (*made, "missing")} | {"folder": tmp_path / "folder"}


@WAYS
@pytest.mark.parametrize("variable", ["verify", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("name", ["empty", "der", "text", "key", "broken", "cut off", "missing", "folder"])
def test_a_bundle_that_is_none_is_refused_by_name(listed, tmp_path, monkeypatch, variable, name):
    """File and variable are in the error, and nothing is sent."""
    path = str(bad_bundles(tmp_path)[name])
    extra = {"verify": path} if variable == "verify" else {}
    if not extra:
        monkeypatch.setenv(variable, path)
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        url = tiny.url.replace("http:", "https:")
        with pytest.raises(MeetingsConfigurationError) as caught:
            listed(hook_to(HIRINGCENTER, url, timeout=5, **extra), *WINDOW)
        assert tiny.accepted == 0
    assert path in str(caught.value)
    assert variable in str(caught.value)
    if name == "der":
        assert "DER" in str(caught.value)
    assert "None" not in str(caught.value)
    assert ".." not in str(caught.value)


@WAYS
@pytest.mark.parametrize("name", ["missing", "folder", "empty"])
def test_a_folder_that_is_none_is_refused_by_name(listed, tmp_path, monkeypatch, name):
    """SSL_CERT_DIR, too."""
    path = str(bad_bundles(tmp_path)[name])
    monkeypatch.setenv("SSL_CERT_DIR", path)
    with pytest.raises(MeetingsConfigurationError, match="SSL_CERT_DIR") as caught:
        listed(hook_to(HIRINGCENTER, "https://127.0.0.1:9", timeout=5), *WINDOW)
    assert path in str(caught.value)


@WAYS
def test_a_bundle_does_not_matter_to_plain_http(listed, monkeypatch):
    """A wrong variable does not hinder who needs no TLS."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny:
        assert [] == listed(hook_to(HIRINGCENTER, tiny.url, timeout=5), *WINDOW)


CERTIFICATES = {
    "expired": ({"begins": -9, "ends": -2}, "has expired"),
    "not yet valid": ({"begins": 2, "ends": 9}, "is not valid yet"),
    "another name": ({"host": "other.example"}, "another name"),
    "another address": ({"host": "127.0.0.2"}, "another name"),
}


@WAYS
@pytest.mark.parametrize(("made", "text"), CERTIFICATES.values(), ids=CERTIFICATES.keys())
def test_a_bad_certificate_says_what_it_is(listed, tmp_path, made, text):
    """An authority is not to blame for it."""
    bundle, context = certificate(tmp_path, **made)
    with (
        Tiny(answering(EMPTY_LIST["hiringcenter"]), context) as tiny,
        pytest.raises(MeetingsTransportError, match=text) as caught,
    ):
        listed(hook_to(HIRINGCENTER, tiny.url, timeout=5, verify=str(bundle)), *WINDOW)
    assert caught.value.maybe_sent is False
    assert "`verify`" not in str(caught.value)


@WAYS
def test_a_server_that_speaks_no_tls_got_nothing(listed):
    """A handshake that fails is before the request."""
    with Tiny(answering(EMPTY_LIST["hiringcenter"])) as tiny, pytest.raises(MeetingsTransportError) as caught:
        listed(hook_to(HIRINGCENTER, tiny.url.replace("http:", "https:"), timeout=0.5), *WINDOW)
    assert caught.value.maybe_sent is False


def test_nobody_switches_tls_off_for_one_request(server):
    """A user of get_conn() verifies as the connection says."""
    url, bundle = server
    session = hook_to(HIRINGCENTER, url, timeout=5, verify=str(bundle)).get_conn()
    assert session.get(url, timeout=5).status_code == 200
    with pytest.raises(MeetingsConfigurationError, match="verify"):
        session.get(url, timeout=5, verify=False)
    assert session.get(url, timeout=5).status_code == 200
    with pytest.raises(requests.exceptions.SSLError):
        hook_to(HIRINGCENTER, url, timeout=5).get_conn().get(url, timeout=5)
    session.close()

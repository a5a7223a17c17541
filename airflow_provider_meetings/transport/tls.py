"""Whom TLS trusts: one way for both transports, and the words for a certificate that is refused."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.exceptions import MeetingsConfigurationError

__all__ = ["certificate_problem", "make_context"]

# Where Linux distributions and the BSDs keep their authorities, for a Python that was built elsewhere.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cert.pem",
)
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
# OpenSSL's numbers for what is wrong with a certificate (X509_V_ERR_…).
_NOT_YET_VALID, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64


def make_context(settings: Settings) -> ssl.SSLContext:
    """Make the context of a connection's sockets.

    It trusts what the first of these names: the connection's ``verify``; ``REQUESTS_CA_BUNDLE`` or ``CURL_CA_BUNDLE``;
    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``; the system's store. Where the machine has no store, the one that comes with
    ``requests`` (certifi) takes its place.

    Reads files, which takes some ten milliseconds.

    Raises:
        MeetingsConfigurationError: A file or folder that is named holds no certificates; the text says where it is
            named.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # it verifies certificates and host names
    context.set_alpn_protocols(["http/1.1"])
    try:
        _load(context, settings)
    except ValueError as error:
        raise MeetingsConfigurationError(
            f"Connection {settings.conn_id!r} cannot be used: {error}. Nothing was sent."
        ) from None
    return context


def _load(context: ssl.SSLContext, settings: Settings) -> None:
    if isinstance(settings.verify, str):
        _load_bundle(context, settings.verify, "its extra `verify`")
        return
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := os.environ.get(name):
            _load_bundle(context, path, f"the environment's {name}")
            return
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file:
        _load_bundle(context, file, "the environment's SSL_CERT_FILE")
    if folders and not any(_is_hashed(Path(folder)) for folder in folders.split(os.pathsep)):
        raise ValueError(f"{folders!r}, named in the environment's SSL_CERT_DIR, {_NOT_HASHED}")
    if not file and not folders and not _system_has_a_store():
        bundles = (*_BUNDLES, DEFAULT_CA_BUNDLE_PATH)
        context.load_verify_locations(next(path for path in bundles if Path(path).is_file()))
        return
    context.load_default_certs()  # OpenSSL reads both variables itself


def _system_has_a_store() -> bool:
    paths = ssl.get_default_verify_paths()
    file = paths.cafile is not None and Path(paths.cafile).stat().st_size > 0
    return file or (paths.capath is not None and _is_hashed(Path(paths.capath)))


def _load_bundle(context: ssl.SSLContext, path: str, source: str) -> None:
    """Trust a file, or a folder, of certificates.

    Raises:
        ValueError: There are none in it.
    """
    bundle = Path(path)
    named = f"{path!r}, named in {source},"
    if bundle.is_dir():
        if not _is_hashed(bundle):
            raise ValueError(f"{named} {_NOT_HASHED}")
        context.load_verify_locations(capath=path)
        return
    try:
        content = bundle.read_bytes()
    except OSError as error:
        raise ValueError(f"{named} cannot be read as a CA bundle ({error.strerror or type(error).__name__})") from None
    if b"-----BEGIN" not in content:
        der = "; it looks like DER, which `openssl x509 -inform DER` turns into PEM" if content[:1] == b"0" else ""
        raise ValueError(f"{named} is {'no' if content else 'an empty'} CA bundle: it has no certificate in PEM{der}")
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        problem = f"it holds something else ({error.reason})" if error.reason else "a certificate in it is damaged"
        raise ValueError(f"{named} is no CA bundle: {problem}") from None


def _is_hashed(folder: Path) -> bool:
    """Whether OpenSSL finds certificates in a folder: by the hash of their subject."""
    try:
        return any(_HASHED.fullmatch(entry.name) for entry in folder.iterdir())
    except OSError:
        return False


_NOT_HASHED = "is no folder of CA certificates with hashed names: `openssl rehash` makes one"


def certificate_problem(error: ssl.SSLCertVerificationError) -> str:
    """Say what is wrong with a certificate, and what to do about it."""
    code = error.verify_code
    if code == _EXPIRED:
        return "the certificate of the host has expired; its operator has to renew it, or this machine's clock is wrong"
    if code == _NOT_YET_VALID:
        return "the certificate of the host is not valid yet; is this machine's clock right?"
    if code in {_OTHER_HOST, _OTHER_ADDRESS}:
        return "the certificate is for another name than this host; check the host of the connection"
    return "the certificate is not trusted; `verify` takes the path of the CA bundle that signs for the host"

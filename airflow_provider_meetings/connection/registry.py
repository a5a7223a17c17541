"""The vendors, a line each. All that depends on the type of a connection looks it up here.

Nothing of a vendor's is imported before a connection of its type is used: Airflow reads this list in every process, and
a DAG file need not know the vendor.
"""

from importlib import import_module
from typing import Any, NamedTuple, cast

from airflow_provider_meetings.connection.form import VendorInfo

__all__ = ["VENDORS", "VendorEntry", "load", "moment_fields"]

_PACKAGE = "airflow_provider_meetings"


class VendorEntry(NamedTuple):
    """Where a vendor stands.

    Attributes:
        hook: The class of its hook, as a dotted path; the hook knows its settings and its rules.
        info_path: Its :class:`.VendorInfo`, as a dotted path of a module that is quickly imported.
    """

    hook: str
    info_path: str

    @property
    def hook_module(self) -> str:
        """The module of its hook, as a dotted path."""
        return self.hook.rpartition(".")[0]

    @property
    def info(self) -> VendorInfo:
        """What is known of it without its rules."""
        return cast("VendorInfo", load(self.info_path))


#: By the type of their connections.
VENDORS: dict[str, VendorEntry] = {
    "hiringcenter": VendorEntry(
        f"{_PACKAGE}.hooks.hiringcenter.HiringCenterHook", f"{_PACKAGE}.connection.hiringcenter_info.INFO"
    ),
    "builderprime": VendorEntry(
        f"{_PACKAGE}.hooks.builderprime.BuilderPrimeHook", f"{_PACKAGE}.connection.builderprime_info.INFO"
    ),
}


def load(path: str) -> Any:
    """Import what a dotted path names."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def moment_fields() -> frozenset[str]:
    """Return the fields that are moments, of all vendors."""
    return frozenset().union(*(entry.info.moments for entry in VENDORS.values()))

"""Sphinx's settings for the site: `make docs` builds it, strictly and without the internet, into build/docs."""

import atexit
import inspect
import os
import shutil
import sys
import tempfile
from pathlib import Path

# autodoc imports the package, and with it Airflow, which makes files in its home: not in somebody's own.
_home = tempfile.mkdtemp(prefix="meetings-docs-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home

sys.path.insert(0, str(Path(__file__).parents[1]))

from airflow_provider_meetings import __version__  # noqa: E402

project = "airflow-provider-meetings"
author = "The airflow-provider-meetings authors"
copyright = author  # noqa: A001 - Sphinx's name for it
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
language = "en"

# -- pages

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
smartquotes = False  # what stands on a page is often pasted into a terminal

# -- the reference

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
add_module_names = False  # each section says where its names are
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# Every reference to something of ours must lead somewhere. Those to others' would need their inventories, which are on
# the internet.
nitpicky = True
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(airflow|aiohttp|collections|datetime|pathlib|pendulum|pytest|requests|typing)\..*",
    ),
    (
        r"py:.*",
        r"(AirflowException|AirflowFailException|Asset|AirflowSensorTimeout|Any|bool|dict|float|int|list|str|timedelta|tuple)",
    ),
]

# -- looks

html_theme = "furo"
html_title = "airflow-provider-meetings"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#2f6b3a",
        "color-brand-content": "#2f6b3a",
    },
    "dark_css_variables": {
        "color-brand-primary": "#8fce9b",
        "color-brand-content": "#8fce9b",
    },
}


def _signature(_app, what, _name, thing, *_):  # noqa: ANN001, ANN002, ANN202 - Sphinx calls it
    """Show the arguments of a class as its author wrote them; Airflow's metaclass would say `*args, **kwargs`."""
    if what != "class" or issubclass(thing, Exception):
        return None
    parameters = list(inspect.signature(thing.__init__).parameters.values())[1:]
    return str(
        inspect.Signature(
            [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
        )
    ), ""


def setup(app):  # noqa: ANN001, ANN201 - likewise
    """Connect it."""
    app.connect("autodoc-process-signature", _signature)

"""How Sphinx builds these pages: `make docs`, or `sphinx-build -W docs build/docs`."""

import inspect
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))             # this checkout, whatever is installed

from quinnoa import __version__  # noqa: E402

project, author = "Quinnoa", "the Quinnoa maintainers"
version = release = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "myst_parser"]
exclude_patterns = ["decisions/template.md"]
html_theme = "furo"
html_title = f"Quinnoa {version}"
html_show_copyright = False
html_static_path, html_css_files = ["_static"], ["wide.css"]

# Docstrings are numpy's, with a section for the ports of a unit.
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Members", "params_style")]
autodoc_member_order = "bysource"
autodoc_typehints = "none"                # a docstring says more
autodoc_inherit_docstrings = False        # Amaranth's own speak of its own pages
autosummary_generate = False
myst_heading_anchors = 3


def own_signature(app, what, name, obj, options, signature, returns):
    """Show a component's own parameters: Amaranth's ``__new__`` takes anything."""
    if what != "class" or "src_loc_at" not in (signature or ""):
        return None
    parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
    return str(inspect.Signature(parameters)), returns


def setup(app):
    """Connect to Sphinx."""
    app.connect("autodoc-process-signature", own_signature)

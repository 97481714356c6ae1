"""The link from the HTML representation of an estimator to its page."""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

__all__ = ["DocumentedMixin"]


class DocumentedMixin:
    """Links to the page of the estimator, below the documentation's address in the metadata of the package.

    Stands before ``BaseEstimator``. Without an address (``project_urls`` in ``setup.cfg``) there is no link.
    """

    _doc_link_module = "skimplicit"

    @property
    def _doc_link_template(self):
        address = _documentation_address()
        return f"{address}/generated/skimplicit.{{estimator_name}}.html" if address else ""


@cache
def _documentation_address():
    """Return the address of the documentation in the metadata, without a slash at its end; None if there is none."""
    try:
        entries = metadata("skimplicit").get_all("Project-URL") or []
    except PackageNotFoundError:  # run from its sources
        return None
    addresses = dict(entry.split(", ", 1) for entry in entries)
    return addresses["Documentation"].rstrip("/") if "Documentation" in addresses else None

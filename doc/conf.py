"""Configuration of the documentation, built by `make doc`."""

from docutils import nodes
from sphinx_gallery.sorting import ExplicitOrder

import skimplicit
from skimplicit.inspection import STYLE

project = "skimplicit"
author = "skimplicit developers"
copyright = "2026, skimplicit developers"
version = release = skimplicit.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "matplotlib.sphinxext.plot_directive",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",  # a copy of MathJax in the site: formulas need no network
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]

html_theme = "pydata_sphinx_theme"
html_title = "skimplicit"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navbar_persistent": [],
    "navbar_end": ["search-button-field", "theme-switcher"],
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-light",
}
html_sidebars = {page: [] for page in ("index", "get_started", "search")}

myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
numpydoc_show_class_members = False  # _templates/autosummary/class.rst lists them
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc has the types
toc_object_entries_show_parents = "hide"  # the names of methods fit beside the page

plot_rcparams = STYLE
plot_formats = [("png", 110)]
plot_html_show_formats = False
plot_html_show_source_link = False

# An order of learning. An example that is not listed comes last.
EXAMPLES = [
    "regression",
    "classification",
    "calibration",
    "intervals",
    "feature_selection",
    "select_real_data",
    "recover_inputs",
    "custom_constraints",
    "certificates",
    "robust_training",
    "monotone",
    "explain",
    "network_as_rule",
    "distillation",
    "simplify",
    "training_methods",
    "well_posedness",
]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": ExplicitOrder([*(f"plot_{name}.py" for name in EXAMPLES), "*"]),
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skimplicit",),
    "inspect_global_variables": True,
    "show_memory": False,
    "write_computation_times": False,
    "remove_config_comments": True,
}

# Docstrings that are scikit-learn's, or refer to it: no inventory has to be fetched to link its pages.
SKLEARN = "https://scikit-learn.org/stable"
SKLEARN_PAGES = {
    "accuracy_score": "modules/model_evaluation.html#accuracy-score",
    "df_output_transform": "modules/df_output_transform.html",
    "meta-estimator": "glossary.html#term-meta-estimator",
    "metadata_routing": "metadata_routing.html",
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": "auto_examples/miscellaneous/plot_set_output.html",
    "r2_score": "modules/model_evaluation.html#r2-score-the-coefficient-of-determination",
}


def link_scikit_learn(app, env, node, contnode):
    """Return the link to a page of scikit-learn's documentation; None where the target is not one of its own."""
    target = node.get("reftarget", "")
    page = f"modules/generated/{target}.html" if target.startswith("sklearn.") else SKLEARN_PAGES.get(target)
    if page is None:
        return None
    return nodes.reference("", "", contnode, internal=False, refuri=f"{SKLEARN}/{page}")


def setup(app):
    app.connect("missing-reference", link_scikit_learn)

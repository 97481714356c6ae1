"""``RuleGraphDisplay``: its nodes, edges and layers are those of the rule, whatever the rule is."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from test_monotonic_cst import quietly
from test_simplify import random_layers

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector, ImplicitRegressor, ImplicitRule
from skimplicit.activations import BlockActivation, max_pool
from skimplicit.distill import ArchitectureReport
from skimplicit.inspection import RuleGraphDisplay, SensitivityDisplay
from skimplicit.inspection._figure import COLOURS
from skimplicit.linalg import to_dense


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def random_rule(n, p, q, *, share=0.3, seed=0, form=np.asarray, activation="relu"):
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=s) * (rng.random(s) < share) for s in ((n, n), (n, p), (q, n), (q, p))]
    return ImplicitRule(*map(form, arrays), activation=activation)


def texts_of(display):
    return [text.get_text() for text in display.ax_.texts]


def drawn(display):
    """Colours and widths of the lines to later columns, and of the arrows, circles of states' own loops left out."""
    lines = [c for c in display.ax_.collections if isinstance(c, LineCollection)]
    arrows = [patch for patch in display.ax_.patches if isinstance(patch, FancyArrowPatch)]
    return lines[0], arrows


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("seed", range(3))
def test_edges_are_the_weights(form, seed):
    rule = random_rule(6, 3, 2, seed=seed, form=form)
    display = RuleGraphDisplay.from_estimator(rule, percentile=100)
    matrix = np.zeros((11, 11))  # to, from
    matrix[display.edges_[:, 1], display.edges_[:, 0]] = display.weights_
    A, B, C, D = (to_dense(getattr(rule, name)) for name in "ABCD")
    np.testing.assert_array_equal(matrix[3:9, 3:9], A)
    np.testing.assert_array_equal(matrix[3:9, :3], B)
    np.testing.assert_array_equal(matrix[9:, 3:9], C)
    np.testing.assert_array_equal(matrix[9:, :3], D)
    assert display.n_left_out_ == 0 and display.ax_.get_title() == ""
    lines, arrows = drawn(display)
    loops = display.edges_[:, 0] == display.edges_[:, 1]
    assert len(lines.get_segments()) == (~display.feedback_).sum()
    assert len(arrows) == (display.feedback_ & ~loops).sum()
    assert len(display.ax_.collections) == 1 + len({*display.ax_.get_xticks()}) + loops.sum()
    expected = [to_hex(COLOURS[1] if w > 0 else COLOURS[0]) for w in display.weights_[~display.feedback_]]
    assert [to_hex(colour) for colour in lines.get_colors()] == expected
    assert all(arrow.get_linestyle() == "--" for arrow in arrows)
    # A line starts and ends where its nodes are, and goes to the right.
    nodes = [c.get_offsets() for c in display.ax_.collections if c is not lines and c.get_zorder() == 3]
    columns = [np.arange(3), *(3 + layer for layer in display.layers_), np.arange(9, 11)]
    assert [len(offsets) for offsets in nodes] == [len(column) for column in columns]
    places = np.concatenate(nodes)
    for (source, target), curve in zip(display.edges_[~display.feedback_], lines.get_segments(), strict=True):
        assert curve[0, 0] < curve[-1, 0]
        assert np.any(np.all(np.isclose(places, curve[0]), axis=1)), source
        assert np.any(np.all(np.isclose(places, curve[-1]), axis=1)), target
    assert len(np.unique(places.round(6), axis=0)) == 11  # no node hides another


@pytest.mark.parametrize("sizes", [(3, 5, 1), (2, 4, 3, 2), (2, 3, 3, 3, 1)], ids=str)
def test_layers_are_those_of_the_report(sizes):
    rule = random_layers(sizes)
    display = RuleGraphDisplay.from_estimator(rule)
    assert tuple(layer.size for layer in display.layers_) == ArchitectureReport.of(rule).layers
    assert not display.feedback_.any()
    labels = [label.get_text().replace("\n", " ") for label in display.ax_.get_xticklabels()]
    assert labels == [
        f"inputs ({sizes[0]})",
        *(f"layer {k} ({size})" for k, size in enumerate(sizes[1:-1], start=1)),
        f"outputs ({sizes[-1]})",
    ]
    place = np.empty(rule.n_hidden, dtype=int)
    for k, layer in enumerate(display.layers_):
        place[layer] = k
    target, source = to_dense(rule.A).nonzero()
    assert np.all(place[target] > place[source])


def test_feedback_is_what_stays_in_a_column():
    A = np.zeros((5, 5))
    A[0, 1] = A[1, 0] = 0.5
    A[2, 0] = A[3, 2] = 0.5
    A[4, 4] = -0.5
    display = RuleGraphDisplay.from_estimator(ImplicitRule(A, np.ones((5, 1)), np.ones((1, 5))))
    assert sorted((display.edges_[display.feedback_] - 1).tolist()) == [[0, 1], [1, 0], [4, 4]]
    assert [layer.tolist() for layer in display.layers_] == [[0, 1, 4], [2], [3]]
    labels = [label.get_text().split("\n")[0] for label in display.ax_.get_xticklabels()]
    assert labels == ["inputs", "loop 1", "layer 2", "layer 3", "outputs"]
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["positive", "negative", "feedback"]


def test_the_smallest_weights_are_left_out_and_it_is_said():
    rule = random_rule(6, 3, 2, share=1.0)
    display = RuleGraphDisplay.from_estimator(rule, max_edges=20, percentile=100)
    every = RuleGraphDisplay.from_estimator(rule, max_edges=1000, percentile=100)
    assert display.weights_.tolist() == every.weights_[-20:].tolist()
    assert display.n_left_out_ == 72 - 20 and display.limits_ == every.limits_
    assert every.limits_ == {name: np.abs(getattr(rule, name)).max() for name in "ABCD"}
    assert display.ax_.get_title().startswith("20 of 72 weights, at least 0.")
    assert RuleGraphDisplay.from_estimator(rule, max_edges=0).ax_.get_title() == "0 of 72 weights"


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_edges_are_seen_in_every_unit_of_inputs_and_targets(factor):
    one = random_rule(4, 3, 2, share=1.0)
    other = ImplicitRule(one.A, one.B * factor, one.C / factor, one.D)
    displays = [RuleGraphDisplay.from_estimator(rule, max_edges=15) for rule in (one, other)]
    np.testing.assert_array_equal(displays[0].edges_, displays[1].edges_)
    # Inputs of unlike units: `per` makes up for them.
    units = np.array([1.0, factor, 1.0])
    other = ImplicitRule(one.A, one.B / units, one.C, one.D / units)
    display = RuleGraphDisplay.from_estimator(other, max_edges=15, per=units)
    np.testing.assert_array_equal(display.edges_, displays[0].edges_)
    np.testing.assert_allclose(display.weights_, displays[0].weights_)


def test_names_of_data_and_classes():
    X, y = load_iris(return_X_y=True, as_frame=True)
    classes = load_iris().target_names
    model = quietly(
        ImplicitClassifier(n_hidden=3, alpha=0.01, structure=[2, 1], max_iter=3, random_state=0), X, classes[y]
    )
    ax = plt.figure().add_subplot()
    display = RuleGraphDisplay.from_estimator(model, ax=ax)
    assert display.ax_ is ax and display.figure_ is ax.figure
    texts = texts_of(display)
    assert texts[:4] == list(X.columns) and texts[-3:] == list(classes) and sorted(texts[4:-3]) == ["0", "1", "2"]
    display = RuleGraphDisplay.from_estimator(
        model, feature_names=list("abcd"), output_names=list("rst"), state_names=["u", "v", "w"]
    )
    assert sorted(texts_of(display)) == sorted("abcdrstuvw")
    binary = quietly(ImplicitClassifier(n_hidden=2, alpha=0.01, max_iter=3, random_state=0), X, y == 1)
    assert texts_of(RuleGraphDisplay.from_estimator(binary))[-1] == "True"


def test_selector_shows_its_rule():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    estimator = ImplicitRegressor(n_hidden=2, alpha=0.03, tol=1e-2, random_state=0)
    selector = quietly(ImplicitFeatureSelector(estimator, column_budgets=4, cv=2, random_state=0), X, X[:, 0])
    display = RuleGraphDisplay.from_estimator(selector)
    assert display.rule is selector.estimator_.rule_
    with pytest.raises(NotFittedError):
        RuleGraphDisplay.from_estimator(ImplicitFeatureSelector())


@pytest.mark.parametrize("cls", [RuleGraphDisplay, SensitivityDisplay])
def test_inputs_of_a_selected_rule_have_the_names_that_the_selector_gives_them(cls):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 4)), columns=list("abcd"))
    estimator = ImplicitRegressor(n_hidden=2, alpha=0.03, max_iter=3, tol=1e-2, random_state=0)
    selector = ImplicitFeatureSelector(estimator, n_features_to_select=2, column_budgets=2, cv=2, random_state=0)
    quietly(selector, X, X["d"] - X["c"])
    assert list(cls.from_estimator(selector).feature_names) == ["c", "d"]
    quietly(selector, X.to_numpy(), X["d"] - X["c"])
    assert list(cls.from_estimator(selector).feature_names) == ["x2", "x3"]
    assert list(cls.from_estimator(selector, feature_names=["u", "v"]).feature_names) == ["u", "v"]
    selector.support_ = np.zeros(4, dtype=bool)  # as fdr may: the rule is one of a column of zeros, which has no name
    selector.estimator_ = ImplicitRegressor.from_rule(ImplicitRule([[0.5]], [[0.0]], [[1.0]]))
    cls.from_estimator(selector)


@pytest.mark.parametrize(
    "shape", [(4, 3, 2), (0, 3, 2), (4, 0, 2), (4, 3, 0), (0, 0, 2), (0, 3, 0), (0, 0, 0), (4, 0, 0)], ids=str
)
@pytest.mark.parametrize(("form", "share"), [(np.asarray, 1.0), (sparse.csr_array, 1.0), (sparse.csr_array, 0.0)])
def test_every_rule_has_a_picture(form, shape, share):
    rule = random_rule(*shape, share=share, form=form)
    display = RuleGraphDisplay.from_estimator(rule)
    n, p, q = shape
    assert len(display.edges_) == (n + p) * (n + q) * share
    assert (display.ax_.get_legend() is None) == (len(display.edges_) == 0)
    assert len(texts_of(display)) == n + p + q
    display.figure_.canvas.draw()


def test_stored_zeros_are_no_edges():
    A = sparse.csr_array(([0.0, 0.5], ([0, 1], [1, 0])), shape=(2, 2))
    display = RuleGraphDisplay.from_estimator(ImplicitRule(A, np.ones((2, 1)), np.ones((1, 2))))
    assert [layer.tolist() for layer in display.layers_] == [[0], [1]] and len(display.edges_) == 5


def test_states_of_a_group_stay_together():
    phi = BlockActivation([("tanh", 2), (max_pool(2), 2)])
    A = np.zeros((4, 4))
    A[2, 0] = A[1, 3] = 0.5
    display = RuleGraphDisplay.from_estimator(ImplicitRule(A, np.ones((4, 1)), np.ones((1, 4)), activation=phi))
    assert [layer.tolist() for layer in display.layers_] == [[0], [2, 3], [1]]
    A[3, 2] = 0.5
    display = RuleGraphDisplay.from_estimator(ImplicitRule(A, np.ones((4, 1)), np.ones((1, 4)), activation=phi))
    assert display.feedback_.sum() == 1
    display.figure_.canvas.draw()


@pytest.mark.slow
def test_large_sparse_rule():
    n = 5000  # dense: 200 MB; names of nodes: nobody could read them
    A = sparse.csr_array(([0.5, -0.7, 0.2], ([0, 1, n - 1], [5, 6, 0])), shape=(n, n))
    rule = ImplicitRule(A, sparse.csr_array((n, 50)), sparse.csr_array((1, n)))
    display = RuleGraphDisplay.from_estimator(rule)
    assert len(display.edges_) == 3 and [layer.size for layer in display.layers_] == [n - 3, 2, 1]
    assert len(texts_of(display)) <= 4


def test_wrong_values():
    rule = random_rule(3, 2, 1)
    for name, value in {
        "per": [1.0],
        "feature_names": ["a"],
        "output_names": ["a", "b"],
        "state_names": ["a"],
        "max_edges": -1,
        "percentile": 0,
    }.items():
        with pytest.raises(ValueError, match=name):
            RuleGraphDisplay.from_estimator(rule, **{name: value})
    with pytest.raises(ValueError, match="max_edges"):
        RuleGraphDisplay.from_estimator(rule, max_edges=2.5)
    with pytest.raises(TypeError, match="estimator must be"):
        RuleGraphDisplay.from_estimator("rule")

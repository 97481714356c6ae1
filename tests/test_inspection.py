"""Displays: what they show is what the estimator holds, and they are made in scikit-learn's manner."""

import re
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.neural_network import MLPRegressor

from skimplicit import ImplicitClassifier, ImplicitFeatureSelector, ImplicitRegressor, ImplicitRule, implicit_path
from skimplicit.activations import BlockActivation, max_pool
from skimplicit.inspection import (
    ColumnNormsDisplay,
    ColumnPathDisplay,
    ContributionsDisplay,
    RobustnessDisplay,
    RuleGraphDisplay,
    RulePatternDisplay,
    SensitivityDisplay,
)
from skimplicit.linalg import to_dense
from skimplicit.networks import from_sklearn
from skimplicit.selection.subset_size import cv_results, standard_error

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

N_INPUTS = 6
NAMES = list("abcdef")
SMALL = ImplicitRegressor(n_hidden=3, alpha=0.03, tol=1e-2, random_state=0)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, N_INPUTS))
    return pd.DataFrame(X, columns=NAMES), 2 * X[:, 1] - X[:, 4]


@pytest.fixture(scope="module")
def selector(data):
    return ImplicitFeatureSelector(estimator=SMALL, column_budgets=3, cv=2, random_state=0).fit(*data)


@pytest.fixture(scope="module")
def path(data):
    return implicit_path(*data, column_budgets=4, estimator=SMALL)


@pytest.fixture(scope="module")
def regressor(data):
    return ImplicitRegressor(n_hidden=3, alpha=0.03, tol=1e-2, random_state=0).fit(*data)


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.slow
def test_path_of_selector(selector):
    display = ColumnPathDisplay.from_estimator(selector)
    assert display.axes_.size == 2
    assert display.ax_ is display.axes_[0]
    assert display.figure_ is display.ax_.figure
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("log", "log")
    # Dense on the left.
    assert display.ax_.get_xlim() == (selector.column_budgets_.max(), selector.column_budgets_.min())
    selected = list(selector.get_feature_names_out())
    labels = texts(display.ax_.get_legend())
    assert sorted(labels[: len(selected)]) == sorted(selected)
    assert f"{N_INPUTS - len(selected)} others" in labels
    scores = display.axes_[1].get_lines()[0]
    np.testing.assert_array_equal(scores.get_xdata(), selector.cv_results_["n_features"])
    np.testing.assert_array_equal(scores.get_ydata(), selector.cv_results_["mean_test_score"])


@pytest.mark.slow
def test_lines_of_a_path_are_its_column_norms(path):
    display = ColumnPathDisplay.from_estimator(path)
    assert display.axes_.size == 1
    for line, norms in zip(display.lines_, path.column_norms.T, strict=True):
        shown = np.isfinite(line.get_ydata())
        np.testing.assert_array_equal(line.get_ydata()[shown], norms[shown])
        assert np.all(norms[~shown] <= 1e-4 * path.column_norms.max())
    assert sorted(texts(display.ax_.get_legend())) == NAMES


def test_unselected_columns_are_grey_and_share_a_legend_entry(path):
    support = np.arange(N_INPUTS) == 1
    display = ColumnPathDisplay.from_estimator(path, support=support, feature_names=NAMES)
    colours = {display.lines_[j].get_color() for j in range(N_INPUTS) if j != 1}
    assert len(colours) == 1
    assert display.lines_[1].get_color() not in colours
    assert texts(display.ax_.get_legend()) == ["b", "5 others"]


def test_a_path_has_the_names_of_its_data_frame():
    X, y = np.random.default_rng(0).normal(size=(2, 20, 2))
    frame = pd.DataFrame(X, columns=["a", "b"])
    named, nameless = (
        implicit_path(given, y[:, 0], n_hidden=1, column_budgets=2, random_state=0) for given in (frame, X)
    )
    assert list(named.feature_names_in_) == ["a", "b"] and nameless.feature_names_in_ is None
    assert sorted(texts(ColumnPathDisplay.from_estimator(nameless).ax_.get_legend())) == ["x0", "x1"]
    display = ColumnPathDisplay.from_estimator(named, support=pd.Series({"b": True, "a": False}))
    assert texts(display.ax_.get_legend()) == ["b", "1 others"]
    with pytest.raises(ValueError, match="'c', which is no column"):
        ColumnPathDisplay.from_estimator(named, support=pd.Series({"b": True, "c": False}))


def test_a_support_of_positions_is_refused(path):
    # As many as there are inputs: as a mask they would be all inputs but number 0.
    with pytest.raises(ValueError, match="support must be a mask.*positions"):
        ColumnPathDisplay.from_estimator(path, support=np.arange(N_INPUTS))
    ones = ColumnPathDisplay.from_estimator(path, support=np.ones(N_INPUTS, dtype=int))
    assert len(texts(ones.ax_.get_legend())) == N_INPUTS


def test_error_bars_of_scores_do_not_take_rounds_for_rows(path):
    scores = {size: np.random.default_rng(size).normal(size=(4, 5)) for size in (1, 2, 4)}  # folds drawn four times
    display = ColumnPathDisplay(path.column_budgets, path.column_norms, cv_results=cv_results(scores)).plot()
    (bars,) = display.axes_[1].containers
    lengths = [np.ptp(segment[:, 1]) / 2 for segment in bars.lines[2][0].get_segments()]
    np.testing.assert_allclose(lengths, [standard_error(scores[size]) for size in (1, 2, 4)])


LONG = [letter * 70 for letter in NAMES]


@pytest.mark.parametrize(
    "draw",
    [
        lambda rule, X: ContributionsDisplay.from_estimator(rule, X, feature_names=LONG),
        lambda rule, X: ContributionsDisplay.from_estimator(rule, X[:1], feature_names=LONG),
        lambda rule, X: ColumnNormsDisplay.from_estimator(rule, feature_names=LONG),
        lambda rule, X: RuleGraphDisplay.from_estimator(rule, feature_names=LONG),
        lambda rule, X: ColumnPathDisplay([2.0, 1.0], [rule.column_norms_] * 2, feature_names=LONG).plot(),
    ],
    ids=["swarm", "bars", "norms", "graph", "path"],
)
def test_long_names_leave_room_for_what_is_drawn(draw, data, regressor):
    display = draw(regressor, data[0])
    display.figure_.draw_without_rendering()
    width, height = display.ax_.get_window_extent().size / display.figure_.dpi
    assert min(width, height) > 1.5
    whole = display.figure_.get_tightbbox()
    assert min(whole.x0, whole.y0) > -0.1
    assert whole.x1 < display.figure_.get_figwidth() + 0.1
    assert whole.y1 < display.figure_.get_figheight() + 0.1


@pytest.mark.parametrize(
    "draw",
    [
        ContributionsDisplay.from_estimator,
        lambda model, X: ColumnNormsDisplay.from_estimator(model),
        lambda model, X: RuleGraphDisplay.from_estimator(model),
        lambda model, X: SensitivityDisplay.from_estimator(model),
        lambda model, X: ColumnPathDisplay.from_estimator(selector_of(model, X), support=np.ones(X.shape[1], bool)),
    ],
    ids=["contributions", "norms", "graph", "sensitivity", "path"],
)
def test_dollars_in_names_of_the_data_are_no_formulas(draw, data):
    X, y = data
    names = ["$50K-$100K", "a_$_per_$", "b", "c", "d", "e"]
    X = X.set_axis(names, axis=1)
    y = np.where(y > 1, "<$_9$", np.where(y < -1, "$1-$2", "none"))
    model = ImplicitClassifier(n_hidden=2, alpha=0.03, tol=1e-2, random_state=0).fit(X, y)
    display = draw(model, X)
    display.figure_.draw_without_rendering()
    drawn = {text.get_text().replace(r"\$", "$") for text in display.figure_.findobj(matplotlib.text.Text)}
    assert set(names) <= drawn


def selector_of(model, X):
    return ImplicitFeatureSelector(model, column_budgets=2, n_features_to_select=1, cv=2).fit(X, X.iloc[:, 0] > 0)


@pytest.mark.parametrize("names", [["_a", "b", "_c"], [7, 8, 9]], ids=str)
def test_every_selected_input_is_in_the_legend(names):
    if names[0] == "_a" and tuple(map(int, version("matplotlib").split(".")[:2])) < (3, 10):
        pytest.skip("Earlier versions of matplotlib leave such labels out, and say so.")
    _, ax = plt.subplots()
    ax.plot([1.0, 2.0], [0.1, 0.1], label="of the caller")
    norms = np.array([[1.0, 2.0, 0.5], [1.0, 0.9, 0.0]])
    display = ColumnPathDisplay([4.0, 2.0], norms, feature_names=names, support=[True, False, True]).plot(ax=ax)
    expected = ["of the caller", str(names[0]), str(names[2]), "1 others"]
    assert texts(display.ax_.get_legend()) == expected


def test_many_columns_have_no_legend(path):
    many = np.repeat(path.column_norms, 5, axis=1)
    assert ColumnPathDisplay(path.column_budgets, many).plot().ax_.get_legend() is None


@pytest.mark.slow
def test_path_with_all_columns_dead_is_drawn(path):
    dead = replace(path, column_norms=np.zeros_like(path.column_norms))
    ColumnPathDisplay.from_estimator(dead).figure_.canvas.draw()


def test_path_into_given_axes(selector):
    _, ax = plt.subplots()
    display = ColumnPathDisplay.from_estimator(selector, ax=ax)
    assert display.ax_ is ax and display.axes_.size == 1
    _, axes = plt.subplots(1, 2)
    assert list(ColumnPathDisplay.from_estimator(selector, ax=axes).axes_) == list(axes)
    _, three = plt.subplots(1, 3)
    with pytest.raises(ValueError, match="ax must be"):
        ColumnPathDisplay.from_estimator(selector, ax=three)


@pytest.mark.slow
@pytest.mark.usefixtures("shortest_paths")
def test_selector_with_a_given_number_has_no_panel_of_scores(data):
    selector = ImplicitFeatureSelector(
        estimator=SMALL, n_features_to_select=2, column_budgets=2, cv=2, random_state=0
    ).fit(*data)
    assert ColumnPathDisplay.from_estimator(selector).axes_.size == 1


def test_path_rejects(regressor, path):
    with pytest.raises(TypeError, match="estimator must be"):
        ColumnPathDisplay.from_estimator(regressor)
    with pytest.raises(NotFittedError):
        ColumnPathDisplay.from_estimator(ImplicitFeatureSelector())
    with pytest.raises(ValueError, match="support"):
        ColumnPathDisplay.from_estimator(path, support=[True])
    with pytest.raises(ValueError, match="feature_names"):
        ColumnPathDisplay.from_estimator(path, feature_names=["a"])


def test_norms_of_regressor_rule_and_selector(regressor, selector):
    display = ColumnNormsDisplay.from_estimator(regressor)
    np.testing.assert_array_equal(display.column_norms, regressor.column_norms_)
    np.testing.assert_array_equal(display.stems_[0].markerline.get_ydata(), regressor.column_norms_)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == NAMES
    assert display.figure_ is display.ax_.figure
    display = ColumnNormsDisplay.from_estimator(regressor.rule_)
    np.testing.assert_array_equal(display.column_norms, regressor.column_norms_)
    display = ColumnNormsDisplay.from_estimator(selector)
    best = int(np.flatnonzero(selector.column_budgets_ == selector.best_budget_)[0])
    np.testing.assert_array_equal(display.column_norms, selector.column_norms_[best])


def test_norms_of_a_selector_do_not_depend_on_units(data, selector):
    X, y = data
    millimetres = clone(selector).fit(X * [1e3, 1.0, 1.0, 1.0, 1e-3, 1.0], y)
    own, other = (ColumnNormsDisplay.from_estimator(each).column_norms for each in (selector, millimetres))
    np.testing.assert_allclose(other, own, rtol=1e-6, atol=1e-9)
    assert set(other.argsort()[-2:]) == {1, 4}


@pytest.mark.parametrize("n_axes", [None, 1, 2])
def test_true_norms_beside_a_linear_rule_are_in_the_picture(n_axes):
    ax = None if n_axes is None else plt.subplots(1, n_axes)[1]
    display = ColumnNormsDisplay(np.zeros(3), true_norms=[0.0, 4.0, 2.0]).plot(ax=ax)
    assert display.axes_[-1].get_ylim()[1] >= 1.0
    assert all(axes.get_ylim()[0] == 0.0 for axes in display.axes_)


@pytest.mark.parametrize("shared", [False, True])
def test_learned_and_true_norms_have_maximum_one(regressor, shared):
    ax = plt.subplots()[1] if shared else None
    display = ColumnNormsDisplay.from_estimator(regressor, true_norms=[0, 4, 0, 0, 2, 0], ax=ax)
    assert display.axes_.size == (1 if shared else 2)
    learned, true = (stems.markerline.get_ydata() for stems in display.stems_)
    np.testing.assert_array_equal(learned, regressor.column_norms_ / regressor.column_norms_.max())
    np.testing.assert_array_equal(true, [0, 1, 0, 0, 0.5, 0])


def test_norms_of_zero_are_drawn():
    rule = ImplicitRule(A=[[0.0]], B=[[0.0, 0.0]], C=[[1.0]])
    display = ColumnNormsDisplay.from_estimator(rule, true_norms=[0.0, 0.0])
    assert not display.stems_[0].markerline.get_ydata().any()


def test_norms_reject(regressor):
    with pytest.raises(ValueError, match="true_norms"):
        ColumnNormsDisplay.from_estimator(regressor, true_norms=[1.0])
    with pytest.raises(ValueError, match="feature_names"):
        ColumnNormsDisplay.from_estimator(regressor, feature_names=["a"])
    with pytest.raises(TypeError, match="estimator must be"):
        ColumnNormsDisplay.from_estimator("rule")
    with pytest.raises(NotFittedError):
        ColumnNormsDisplay.from_estimator(ImplicitRegressor())


def test_pattern_is_the_block_matrix(regressor, selector):
    rule = regressor.rule_
    display = RulePatternDisplay.from_estimator(regressor, percentile=100)
    assert display.limits_ == {name: np.abs(getattr(rule, name)).max() for name in "ABCD"}
    np.testing.assert_array_equal(display.image_.get_array(), scaled_blocks(rule, display.limits_))
    assert display.image_.get_clim() == (-1, 1)
    assert letters_of(display) == "ABCD"
    assert display.figure_ is display.ax_.figure
    assert RulePatternDisplay.from_estimator(rule).rule is rule
    assert RulePatternDisplay.from_estimator(selector).rule is selector.estimator_.rule_


def scaled_blocks(rule, limits):
    A, B, C, D = (to_dense(getattr(rule, name)) / limits.get(name, 1.0) for name in "ABCD")
    return np.block([[A, B], [C, D]])


def letters_of(display):
    """The letters of the blocks, after checking that each has its limit beside it."""
    letters = ""
    for text in display.ax_.texts:
        letter, limit = re.fullmatch(r"\$\\mathbf\{(.)\}\$, limit (.*)", text.get_text()).groups()
        assert float(limit) == pytest.approx(display.limits_[letter], rel=0.005)
        letters += letter
    return letters


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
def test_blocks_are_seen_in_every_unit_of_inputs_and_targets(factor):
    one, other = random_rule(4, 3, 2, np.asarray), random_rule(4, 3, 2, np.asarray)
    other = ImplicitRule(one.A, one.B * factor, one.C / factor, one.D, activation="relu")
    images = [RulePatternDisplay.from_estimator(rule).image_.get_array() for rule in (one, other)]
    np.testing.assert_allclose(images[1], images[0], rtol=1e-12)
    assert all(
        np.abs(images[1][rows, columns]).max() >= 1 for rows in (slice(4), slice(4, 6)) for columns in (slice(4),)
    )


def test_a_few_large_weights_do_not_hide_the_others_of_their_block():
    rule = ImplicitRule(
        A=np.zeros((2, 2)), B=np.hstack([np.tile([1.0, -1.0], (2, 50)), [[1000.0], [1.0]]]), C=[[1.0, 1.0]]
    )
    assert RulePatternDisplay.from_estimator(rule).limits_["B"] < 20


def test_pattern_of_zeros_into_given_axes():
    _, ax = plt.subplots()
    rule = ImplicitRule(A=[[0.0]], B=[[0.0]], C=[[0.0]])
    display = RulePatternDisplay.from_estimator(rule, ax=ax)
    assert display.ax_ is ax
    assert display.image_.get_clim() == (-1.0, 1.0)


def random_rule(n, p, q, form, activation="relu"):
    rng = np.random.default_rng(0)
    arrays = [form(rng.normal(size=shape)) for shape in ((n, n), (n, p), (q, n))]
    return ImplicitRule(*arrays, activation=activation)


@pytest.mark.slow_cases
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    ("n", "p", "q", "letters"),
    [
        (4, 3, 2, "ABCD"),
        (0, 3, 2, "D"),
        (4, 0, 2, "AC"),
        (4, 3, 0, "AB"),
        (0, 0, 2, ""),
        (0, 3, 0, ""),
        (0, 0, 0, ""),
        (4, 0, 0, "A"),
    ],
)
def test_every_rule_has_pictures(form, n, p, q, letters):
    rule = random_rule(n, p, q, form)
    display = RulePatternDisplay.from_estimator(rule, percentile=100)
    expected = scaled_blocks(rule, display.limits_)
    if expected.size:
        np.testing.assert_allclose(display.image_.get_array(), expected, rtol=1e-14)
    assert letters_of(display) == letters
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == [f"state $x$ ({n})"] * (n > 0) + [f"input $u$ ({p})"] * (p > 0)
    display.figure_.canvas.draw()
    if p == 0:
        with pytest.raises(ValueError, match="column_norms is empty"):
            ColumnNormsDisplay.from_estimator(rule)
        return
    norms = ColumnNormsDisplay.from_estimator(rule).column_norms
    np.testing.assert_array_equal(norms, np.abs(to_dense(rule.B)).max(axis=0, initial=0.0))


@pytest.mark.slow
def test_pictures_of_converted_rules(data):
    mlp = MLPRegressor(hidden_layer_sizes=(5, 4), max_iter=500, tol=1e-1, random_state=0).fit(data[0], data[1])
    for model in (mlp, LinearRegression().fit(*data), PoissonRegressor().fit(data[0], np.abs(data[1]))):
        rule = from_sklearn(model)
        assert RulePatternDisplay.from_estimator(rule).rule is rule
        assert ColumnNormsDisplay.from_estimator(rule).column_norms.shape == (N_INPUTS,)
    blocks = BlockActivation([("tanh", 2), (max_pool(2), 2)])
    RulePatternDisplay.from_estimator(random_rule(4, 3, 2, sparse.csr_array, blocks))


def test_large_sparse_rule_shows_the_largest_weight_of_a_cell():
    n = 50_000  # dense: 20 GB
    A = sparse.csr_array(([1.0, -7.0, 2.0], ([0, 1, n - 1], [5, 6, 0])), shape=(n, n))
    rule = ImplicitRule(A, sparse.csr_array((n, 2)), sparse.csr_array((1, n)))
    display = RulePatternDisplay.from_estimator(rule, percentile=100)
    image = display.image_.get_array()
    assert max(image.shape) <= 2000 and np.count_nonzero(image) == 2
    assert display.limits_["A"] == 7
    assert image[0, 0] == -1 and image[(n - 1) // 26, 0] == 2 / 7
    assert display.ax_.get_xticks()[0] == (n - 1) / 2


@pytest.mark.parametrize("percentile", [0, 101])
def test_pattern_rejects_percentile(regressor, percentile):
    with pytest.raises(ValueError, match="percentile"):
        RulePatternDisplay.from_estimator(regressor, percentile=percentile)


def test_a_series_goes_by_the_names_of_the_inputs(data, regressor, selector):
    X, y = data
    shuffled = pd.Index(list("fbdace"))
    values = pd.Series(np.arange(1.0, 1 + N_INPUTS), index=NAMES)
    as_arrays = {
        "true_norms": lambda v: ColumnNormsDisplay.from_estimator(regressor, true_norms=v).true_norms,
        "support": lambda v: ColumnPathDisplay.from_estimator(selector, support=v > 3).support,
        "per": lambda v: SensitivityDisplay.from_estimator(regressor, per=v).sensitivity,
    }
    for name, shown in as_arrays.items():
        assert np.array_equal(shown(values[shuffled]), shown(values.to_numpy())), name
        with pytest.raises(ValueError, match=f"{name} is a Series whose index has 'z'"):
            shown(values.rename({"a": "z"}))
    graphs = [RuleGraphDisplay.from_estimator(regressor, per=v).weights_ for v in (values[shuffled], values.to_numpy())]
    assert np.array_equal(*graphs)
    model = ImplicitClassifier(n_hidden=2, alpha=0.1, max_iter=5, tol=0.1, random_state=0).fit(X, y > 0)
    curves = [
        RobustnessDisplay.from_estimator(model, X, y > 0, [0.03, 0.1], scale=v, random_state=0).certified
        for v in (values[shuffled], values.to_numpy())
    ]
    assert np.array_equal(*curves) and np.ptp(curves[0]) > 0


def test_robustness_display_asks_for_a_classifier():
    rule = ImplicitRule([[0.5]], [[1.0]], [[2.0]], c=[-4.0])
    X, y, radii = [[1.2], [0.5]], [1, 0], [0.1, 0.3]
    regressor = ImplicitRegressor.from_rule(rule)
    with pytest.raises(TypeError, match="need a classifier, got ImplicitRegressor"):
        RobustnessDisplay.from_estimator(regressor, X, y, radii)
    with pytest.raises(TypeError, match="Expected an ImplicitRule or a fitted estimator"):
        RobustnessDisplay.from_estimator(LinearRegression(), X, y, radii)
    with_classes = RobustnessDisplay.from_estimator(regressor, X, y, radii, classes=[0, 1])
    assert np.array_equal(with_classes.certified, RobustnessDisplay.from_estimator(rule, X, y, radii).certified)


@pytest.mark.parametrize(
    ("radii", "scale", "message"),
    [
        (0.1, 1.0, "radii must have 1 dimension"),
        (["far"], 1.0, "radii must be an array of finite numbers"),
        ([0.1, -0.1], 1.0, "radii must be at least 0"),
        ([0.1], [1.0, 2.0], "scale must be a number or have shape"),
        ([0.1], None, "scale must be finite"),
    ],
)
def test_robustness_display_names_what_does_not_fit(radii, scale, message):
    rule = ImplicitRule([[0.5]], [[1.0]], [[2.0]], c=[-4.0])
    with pytest.raises(ValueError, match=f"^{message}"):
        RobustnessDisplay.from_estimator(rule, [[1.2]], [1], radii, scale=scale)

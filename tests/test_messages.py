"""Messages have names in one order, and the nearest of them."""

import contextlib
import datetime
import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline

from skimplicit import (
    ImplicitClassifier,
    ImplicitFeatureSelector,
    ImplicitRegressor,
    ImplicitRegressorCV,
    ImplicitRule,
    implicit_path,
)
from skimplicit.activations import get_activation
from skimplicit.parameters import nearest
from skimplicit.robustness import output_bounds
from skimplicit.training import BlockCoordinateDescent, StochasticGradient

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 2
SHORT = {"n_hidden": 2, "column_budgets": 2}
RULE = ImplicitRule([[0.5]], [[1.0]], [[1.0]])


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: ImplicitRegressor(activation="rleu").fit(X, Y), "relu"),
        (lambda: ImplicitClassifier(activation="sigmod").fit(X, Y), "sigmoid"),
        (lambda: ImplicitRegressorCV(solver="cxvpy").fit(X, Y), "cvxpy"),
        (lambda: ImplicitRegressor(method="gradiant").fit(X, Y), "gradient"),
        (lambda: ImplicitClassifier(class_weight="balance").fit(X, Y), "balanced"),
        (lambda: ImplicitRegressor(direct="atuo").fit(X, Y), "auto"),
        (lambda: ImplicitRegressor(method=StochasticGradient(optimiser="adma")).fit(X, Y), "adam"),
        (lambda: ImplicitRegressor(method=BlockCoordinateDescent(block="curvatur")).fit(X, Y), "curvature"),
        (lambda: ImplicitFeatureSelector(scoring="acuracy").fit(X, Y), "accuracy"),
        (lambda: ImplicitFeatureSelector(ImplicitRegressor(activation="tahn")).fit(X, Y), "tanh"),
        (lambda: ImplicitRegressor(n_hiden=3), "n_hidden"),
        (lambda: ImplicitRegressor(aplha=3), "alpha"),
        (lambda: get_activation("sofplus"), "softplus"),
        (lambda: RULE.solve([[1.0]], method="newtn"), "newton"),
        (lambda: output_bounds(RULE, [[1.0]], 0.1, method="intervals"), "interval"),
        (lambda: implicit_path(X, Y, activation="idenity"), "identity"),
        (lambda: ImplicitRegressor(activation="ReLU").fit(X, Y), "relu"),
        (lambda: ImplicitRegressor().set_params(aplha=1.0), "alpha"),
    ],
)
def test_nearest_name(call, meant):
    with pytest.raises((ValueError, TypeError), match=f"Did you mean '{meant}'\\?$"):
        call()


def test_nothing_near_is_not_guessed():
    with pytest.raises(ValueError, match="Got 'nonsense' instead.$"):
        ImplicitRegressor(activation="nonsense").fit(X, Y)
    assert nearest(3, ["three"]) == nearest("x", [1, None]) == ""


@pytest.mark.parametrize("size", [(10, 10), [5, 3]])
@pytest.mark.parametrize("kind", [ImplicitRegressor, ImplicitClassifier, ImplicitRegressorCV])
def test_layers_belong_to_structure(size, kind):
    with pytest.raises(ValueError, match=r"For layers .* structure=\[.*\] and n_hidden=(20|8)\.$"):
        kind(n_hidden=size).fit(X, Y)


@pytest.mark.slow
def test_names_have_one_order():
    code = (
        "from skimplicit import ImplicitFeatureSelector, ImplicitRegressor\n"
        "for model in (ImplicitRegressor(activation=3), ImplicitFeatureSelector(scoring='?')):\n"
        "    try: model.fit([[0.0], [1.0]], [0.0, 1.0])\n"
        "    except ValueError as error: print(error)\n"
    )
    here = io.StringIO()
    with contextlib.redirect_stdout(here):
        exec(code)  # with the seed of the hashes that this process has
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment).stdout
    assert here.getvalue() == there and "'elu', 'gelu', 'identity'" in there


@pytest.mark.usefixtures("shortest_paths")
class TestGroups:
    """Groups of inputs by labels, and by the names or positions of their columns."""

    frame = pd.DataFrame(X, columns=["red", "green", "blue", "size"])

    @staticmethod
    def groups_of(groups, X):
        return implicit_path(X, X["size"] if isinstance(X, pd.DataFrame) else X[:, 3], groups=groups, **SHORT).groups

    @pytest.mark.slow_cases
    @pytest.mark.parametrize(
        "groups",
        [
            [0, 0, 0, 1],
            np.array(["colour", "colour", "colour", "x"]),
            {"colour": ["red", "green", "blue"]},
            {"colour": ["blue", "red", "green"], "size": ["size"]},
            {"colour": [0, 1, 2]},
            {0: ("red", 1, "blue")},
            [["red", "green", "blue"]],
            [["size"], ["red", "green", "blue"]],
            (np.array([0, 1, 2]),),
            {"colour": range(3)},
            [frame.columns[:3], frame.columns[3:]],
            [pl.Series(["red", "green", "blue"])],
            pd.Series([1, 0, 0, 0], index=["size", "red", "blue", "green"]),
            pd.Series([0, 0, 0, 1]),
        ],
    )
    def test_same_groups(self, groups):
        assert self.groups_of(groups, self.frame).tolist() in ([0, 0, 0, 1], [1, 1, 1, 0])

    def test_selector_takes_names(self):
        inner = ImplicitRegressor(n_hidden=2, alpha=0.1, max_iter=3)
        groups = {"colour": ["red", "green", "blue"]}
        selector = ImplicitFeatureSelector(inner, groups=groups, n_features_to_select=1, column_budgets=3)
        selector.fit(self.frame, X[:, 0])
        assert selector.get_feature_names_out().tolist() == ["red", "green", "blue"]

    @pytest.mark.slow
    def test_columns_that_are_in_none_are_alone(self):
        assert self.groups_of([["green", "size"]], self.frame).tolist() == [0, 1, 2, 1]
        assert self.groups_of({}, X).tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            ({"colour": ["red", "gren"]}, "column 'gren', which is no column of X. Did you mean 'green'"),
            ({"a": ["red"], "b": ["red", "size"]}, "column 'red' in two groups, 'a' and 'b'"),
            ([["red"], [0]], "column 0 in two groups"),
            ({"a": []}, "no columns for group 'a'"),
            ({"a": [4]}, "column 4, but there are 4 inputs"),
            ({"a": [-1]}, "column -1"),
            ({"a": "red"}, "must list the columns of each group, got 'red'"),
            ([["red"], "size"], "must list the columns of each group, got 'size'"),
            ([0, 0, 1], "one label for each of the 4 inputs"),
            ([[["red"]]], "groups has column"),
            ([0, np.nan, 1, np.nan], "groups has no label for input 1, got nan"),
            ({"a": {"red", "size"}}, "must list the columns of each group, got {"),
            ({"a": np.str_("red")}, "must list the columns of each group, got .*'red'"),
            (["a", "1", 1, "b"], "groups must have labels that can be sorted, not text beside others"),
            (["a", "b", None, "c"], "groups has no label for input 2, got None"),
            (["a", "b", "c", np.nan], "groups has no label for input 3, got nan"),
            (pd.Series([0, 1, 1, 1], index=["red", "grn", "blue", "size"]), "a Series whose index has 'grn', which"),
            (pd.Series([0, 1, pd.NA, 1], dtype="Int64"), "groups has no label for input 2, got <NA>"),
        ],
    )
    def test_mistakes_are_named(self, groups, message):
        with pytest.raises(ValueError, match=message):
            self.groups_of(groups, self.frame)

    def test_names_need_a_frame(self):
        with pytest.raises(ValueError, match="the inputs have no names"):
            self.groups_of({"colour": ["red"]}, X)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ImplicitRegressor(5), "parameters are given by keyword"),
        (lambda: ImplicitRegressor(hidden_layer_sizes=(5,)), "Give n_hidden"),
        (lambda: ImplicitClassifier(batch_size=5), r"method=StochasticGradient\(batch_size=...\)"),
        (lambda: ImplicitFeatureSelector(n_hidden=5), r"ImplicitFeatureSelector\(ImplicitRegressor\(n_hidden=...\)\)"),
        (lambda: ImplicitRegressor(activation=np.tanh).fit(X, Y), "give an Activation"),
        (lambda: ImplicitRegressor(activation="swish").fit(X, Y), 'Give "silu"'),
        (lambda: ImplicitRegressor(activation=np.ones(2)).fit(X, Y), "The 'activation' parameter"),
        (lambda: ImplicitRegressor(method="adam").fit(X, Y), '"gradient"'),
        (lambda: ImplicitRegressor(method=StochasticGradient).fit(X, Y), r"Give an instance, StochasticGradient\(\)"),
        (lambda: ImplicitRegressor(n_hidden=3, structure=[2, 2]).fit(X, Y), "give n_hidden=4"),
        (lambda: ImplicitRegressorCV(alphas=0.1).fit(X, Y), "For one ridge"),
        (lambda: ImplicitFeatureSelector(ImplicitRegressor).fit(X, Y), r"Give an instance, ImplicitRegressor\(\)"),
        (lambda: ImplicitFeatureSelector(ImplicitRegressorCV()).fit(X, Y), "alpha='auto'"),
        (lambda: ImplicitFeatureSelector(make_pipeline(ImplicitRegressor())).fit(X, Y), "before the selector"),
        (lambda: ImplicitRegressor(cv=GroupKFold(2)).fit(X, Y), "needs groups: .*enable_metadata_routing=True"),
    ],
)
def test_what_to_give_instead(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.from_pandas, np.array, lambda table: table.to_numpy().tolist()])
@pytest.mark.parametrize(("wrong", "called"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_columns_that_have_no_value_are_named(frame, wrong, called):
    table = pd.DataFrame(X.copy(), columns=list("abcd"))
    table.loc[[3, 7], "b"] = table.loc[5, "d"] = wrong
    columns = "'b', 'd'" if hasattr(frame(table), "columns") else "1, 3"
    with pytest.raises(ValueError, match=f"Input X contains {called}.*: columns {columns}, first in row 3\\."):
        ImplicitRegressor().fit(frame(table), Y)


def test_a_target_that_has_no_value_has_its_row_in_the_message():
    with pytest.raises(ValueError, match=r"Input y contains NaN: first in row 2\.$"):
        ImplicitRegressor().fit(X, np.where(np.arange(30) == 2, np.nan, Y))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("data.csv", "X is the string 'data.csv'; read a file first"),
        ([[1.0, 2.0], [3.0]], "rows differ in length"),
        (pd.DataFrame(index=range(2)), "X has no columns"),
        ({"a": [1.0, 2.0], "b": [3.0, 4.0]}, "X is a dict; give a data frame"),
        (iter([[1.0], [2.0]]), "X must be an array or a list, got <list_iterator"),
        (np.array(1.0), r"X must be an array or a list, got array\(1"),
    ],
)
def test_what_is_no_table(inputs, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ImplicitRegressor().fit(inputs, [0.0, 1.0])


DATES = pd.Series(pd.date_range("2020-01-01", periods=30))
LABELS = np.where(Y, "b", "a").astype(object)
TABLE = pd.DataFrame(X, columns=list("abcd"))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.from_pandas])
@pytest.mark.parametrize(
    ("column", "message"),
    [
        (DATES, "Column 'when' of X holds dates or times"),
        (pd.Series(pd.to_timedelta(np.arange(30), unit="s")), "Column 'when' of X holds dates or times"),
        (pd.Series(["1", "2", "x"] * 10), "Column 'when' of X holds values that are not numbers: .*'x'.*OneHotEncoder"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda X: ImplicitRegressor().fit(X, Y),
        lambda X: ImplicitRegressorCV().fit(X, Y),
        lambda X: ImplicitFeatureSelector().fit(X, Y),
        lambda X: ImplicitRegressor(method="gradient", alpha=0.1).partial_fit(X, Y),
        lambda X: ImplicitClassifier().fit(X, LABELS),
        lambda X: implicit_path(X, Y),
    ],
)
def test_a_column_that_holds_no_numbers_has_its_name_in_the_message(frame, column, message, call):
    with pytest.raises(ValueError, match=message):
        call(frame(TABLE.assign(when=column)))


def test_a_column_of_objects_is_named_too():
    with pytest.raises(TypeError, match="Column 'when' of X holds values that are not numbers: .*datetime.date"):
        ImplicitRegressor().fit(TABLE.assign(when=[datetime.date(2020, 1, 1)] * 30), Y)


def test_a_column_that_holds_no_numbers_is_named_in_predictions_too():
    model = ImplicitRegressor(alpha=0.1, n_hidden=2, max_iter=2).fit(TABLE, Y)
    with pytest.raises(ValueError, match="Column 'b' of X holds dates or times"):
        model.predict(TABLE.assign(b=DATES))
    # Text and categories of numbers are numbers, as elsewhere.
    written = TABLE.assign(a=TABLE["a"].astype(str), b=pd.Categorical(TABLE["b"]))
    np.testing.assert_allclose(model.predict(written), model.predict(TABLE))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (DATES, "y holds dates or times"),
        (DATES.to_numpy(), "y holds dates or times"),
        (pd.DataFrame({"first": X[:, 0], "second": DATES}), "Column 'second' of y holds dates or times"),
        (pd.Series(LABELS), "y holds values that are not numbers: .*'a'"),
        (list(LABELS), "y holds values that are not numbers: .*'a'"),
        (LABELS.astype(str), "y holds values that are not numbers: .*'a'"),
        ([[0.0, label] for label in LABELS], "Column [01] of y holds values that are not numbers"),
    ],
)
def test_targets_that_are_no_numbers(y, message):
    with pytest.raises(ValueError, match=message):
        ImplicitRegressor().fit(X, y)
    with pytest.raises(ValueError, match=message):
        implicit_path(X, y)
    if len(np.shape(y)) == 1:  # numbers that are spelt out are numbers, as elsewhere
        model = ImplicitRegressor(alpha=0.1, n_hidden=2, max_iter=2, random_state=0)
        written = clone(model).fit(X, list(map(str, Y)))
        np.testing.assert_array_equal(written.predict(X), model.fit(X, Y).predict(X))


TAKE_NUMBERS = pytest.mark.parametrize(
    "call",
    [
        lambda y: ImplicitRegressor().fit(X, y),
        lambda y: ImplicitRegressor(method="gradient").partial_fit(X, y),
        lambda y: ImplicitFeatureSelector(ImplicitRegressor()).fit(X, y),
        lambda y: implicit_path(X, y),
    ],
)


@TAKE_NUMBERS
@pytest.mark.parametrize("columns", [1, 2])
def test_sparse_targets(columns, call):
    with pytest.raises(TypeError, match="y is sparse, but targets have to be dense"):
        call(sparse.csr_array(X[:, :columns]))


@TAKE_NUMBERS
@pytest.mark.parametrize("missing", [None, "nan"])
@pytest.mark.parametrize("kind", [list, np.array, lambda y: np.column_stack([y, y])])
def test_missing_targets(missing, kind, call):
    y = Y.astype(object)
    y[3] = missing
    with pytest.raises(ValueError, match="Input y contains NaN"):
        call(kind(y))


@pytest.mark.parametrize("model", [ImplicitRegressor, ImplicitClassifier, ImplicitFeatureSelector])
def test_masked_entries_are_missing(model):
    """NumPy would take the numbers under the mask."""
    y = np.ma.masked_array(Y > 0, np.arange(30) == 4)
    with pytest.raises(ValueError, match="Input y contains masked entries, which are missing: first in row 4"):
        model().fit(X, y)
    masked = np.ma.masked_array(X, X == X[3])
    with pytest.raises(ValueError, match="Input X contains masked entries, which are missing: first in row 3"):
        model().fit(masked, Y > 0)
    fitted = ImplicitClassifier(alpha=0.1, n_hidden=2, max_iter=2, random_state=0).fit(np.ma.masked_array(X), Y > 0)
    with pytest.raises(ValueError, match="Input X contains masked entries"):
        fitted.predict(masked)


WEIGHTED = pytest.mark.parametrize(
    "call",
    [
        lambda w: ImplicitRegressor().fit(X, Y, sample_weight=w),
        lambda w: ImplicitRegressorCV().fit(X, Y, sample_weight=w),
        lambda w: ImplicitFeatureSelector().fit(X, Y, sample_weight=w),
        lambda w: ImplicitRegressor(method="gradient", alpha=0.1).partial_fit(X, Y, sample_weight=w),
        lambda w: ImplicitClassifier().fit(X, LABELS, sample_weight=w),
        lambda w: implicit_path(X, Y, sample_weight=w),
    ],
)


@pytest.mark.parametrize(
    ("weights", "error"),
    [(list(LABELS), ValueError), (LABELS.astype(str), ValueError), (pd.Series(LABELS), ValueError), ({}, TypeError)],
)
@WEIGHTED
def test_weights_that_are_no_numbers(weights, error, call):
    with pytest.raises(error, match="^sample_weight holds values that are not numbers: "):
        call(weights)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (DATES, ValueError, "sample_weight holds dates or times"),
        (np.ma.masked_less(np.arange(30.0), 2), ValueError, "Input sample_weight contains masked entries.* in row 0"),
        (iter([1.0] * 30), TypeError, "sample_weight must be an array or a list, got <list_iterator"),
        (np.array(2.0), TypeError, r"sample_weight must be an array or a list, got array\(2"),
    ],
)
@WEIGHTED
def test_weights_that_are_something_else(weights, error, message, call):
    with pytest.raises(error, match=f"^{message}"):
        call(weights)


@TAKE_NUMBERS
@pytest.mark.parametrize("y", [iter(Y), np.array(1.0)])
def test_targets_that_are_no_list(y, call):
    with pytest.raises(TypeError, match="^y must be an array or a list, got "):
        call(y)


@pytest.mark.parametrize("weight", [np.nan, np.inf])
@WEIGHTED
def test_one_weight_for_all_rows_is_finite(weight, call):
    with pytest.raises(ValueError, match="^Input sample_weight contains "):
        call(weight)


@pytest.mark.parametrize(
    "call",
    [
        lambda model: ImplicitFeatureSelector(model).fit(X, Y),
        lambda model: implicit_path(X, Y, estimator=model),
        lambda model: implicit_path(X, Y, n_hidden="auto"),
    ],
)
def test_a_path_and_a_selection_need_a_number_of_states(call):
    with pytest.raises(ValueError, match="n_hidden='auto' grows .* give the estimator a number for n_hidden"):
        call(ImplicitRegressor(n_hidden="auto"))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize(
    "kind",
    [list, lambda y: np.array(y, dtype=object), pd.Series, lambda y: pd.Series(y, dtype="string"), pd.Categorical],
)
@pytest.mark.parametrize("estimator", [ImplicitClassifier, ImplicitFeatureSelector])
def test_missing_labels(missing, kind, estimator):
    labels = LABELS.copy()
    labels[3] = missing
    with pytest.raises(ValueError, match="Input y contains NaN: the label of row 3 is missing"):
        estimator().fit(X, kind(list(labels)))


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("other", [1, 2.0, True])
@pytest.mark.parametrize("kind", [list, lambda y: np.array(y, dtype=object), pd.Series, pd.Categorical])
@pytest.mark.parametrize("estimator", [ImplicitClassifier, ImplicitFeatureSelector])
def test_labels_of_several_kinds(first, other, kind, estimator):
    labels = ["a" if row % 2 == first else other for row in range(len(X))]
    with pytest.raises(ValueError, match=f"Unknown label type: the label 'a' is text and {other!r} is not"):
        estimator().fit(X, kind(labels))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("label", ["a", 1])
@pytest.mark.parametrize(
    "call",
    [
        lambda classes: ImplicitClassifier(method="gradient").partial_fit(
            X, np.resize(classes[:1], 30), classes=classes
        ),
        lambda classes: ImplicitClassifier.from_rule(RULE, classes),
    ],
)
def test_missing_classes(missing, label, call):
    with pytest.raises(ValueError, match="classes must be labels, got .*(None|nan|NA).* among them"):
        call([label, missing])


def test_classes_of_several_kinds():
    with pytest.raises(ValueError, match="the label 'a' is text and 1 is not"):
        ImplicitClassifier.from_rule(RULE, ["a", 1])


@pytest.mark.parametrize(
    ("model", "parameters", "message"),
    [
        (ImplicitRegressor(method="gradient"), {"method__batch_size": 5}, "method='gradient' has none; give method as"),
        (ImplicitRegressorCV(), {"tol": 1.0, "method__block": "matching"}, "method='bcd' has none"),
        (ImplicitFeatureSelector(), {"estimator__n_hidden": 5}, "estimator=None has none; give estimator as"),
        (ImplicitRegressor(method=StochasticGradient()), {"method": "bcd", "method__batch_size": 5}, "method='bcd'"),
    ],
)
def test_a_parameter_of_what_has_none(model, parameters, message):
    before = model.get_params()
    with pytest.raises(ValueError, match=message):
        model.set_params(**parameters)
    assert model.get_params() == before


def test_a_parameter_of_an_object_that_comes_with_it():
    model = ImplicitRegressor(method="gradient").set_params(method__batch_size=5, method=StochasticGradient())
    assert model.method.batch_size == 5
    with pytest.raises(ValueError, match="Invalid parameter 'metod'"):
        model.set_params(metod__batch_size=5)


@pytest.mark.parametrize("cls", [ImplicitRegressor, ImplicitClassifier])
def test_a_lazy_frame_is_refused_by_name(cls):
    inputs, targets = pl.LazyFrame(X), pl.LazyFrame({"label": Y})
    model = cls(n_hidden=2, alpha=0.1, max_iter=2, random_state=0)
    for refused in (lambda: model.fit(inputs, Y), lambda: model.fit(X, Y).predict(inputs)):
        with pytest.raises(TypeError, match=r"X is a lazy frame, which has no rows yet; use X\.collect\(\)"):
            refused()
    with pytest.raises(TypeError, match=r"y is a lazy frame, which has no rows yet; use y\.collect\(\)"):
        model.fit(X, targets)

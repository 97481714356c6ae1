"""``SensitivityDisplay``: the bound on derivatives and the directions that are proved, with names."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from test_monotonic_cst import CST, make_data, quietly

from skimplicit import ImplicitClassifier, ImplicitRegressor, ImplicitRule
from skimplicit.inspection import SensitivityDisplay
from skimplicit.robustness import is_monotone


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_what_it_shows_is_what_the_rule_holds():
    U, y = make_data()
    X = pd.DataFrame(U, columns=list("abcd"))
    model = quietly(ImplicitRegressor(n_hidden=4, alpha=0.01, random_state=0, monotonic_cst=CST), X, y)
    display = SensitivityDisplay.from_estimator(model)
    np.testing.assert_allclose(display.sensitivity, model.sensitivity_)
    assert display.directions.tolist() == [[is_monotone(model, j) for j in range(4)]] == [CST]
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == list("abcd")
    cells = [image.get_array() for image in display.images_]
    assert np.array_equal(cells[0].mask, display.directions != 0) and np.array_equal(cells[1].mask, ~cells[0].mask)
    np.testing.assert_allclose(cells[1].compressed(), (display.sensitivity * display.directions)[0, :2])


def test_classes_name_the_outputs():
    U, y = make_data()
    labels = np.array(["low", "mid", "high"])[np.digitize(y, [-1, 0])]
    model = quietly(ImplicitClassifier(n_hidden=3, alpha=0.01, max_iter=3, random_state=0), U, labels)
    assert SensitivityDisplay.from_estimator(model).output_names == ["high", "low", "mid"]
    model = quietly(ImplicitClassifier(n_hidden=3, alpha=0.01, max_iter=3, random_state=0), U, labels == "low")
    assert SensitivityDisplay.from_estimator(model).output_names == ["True"]


def test_units_and_inputs_without_a_path():
    rule = ImplicitRule(A=[[0.5]], B=[[1.0, -2.0, 0.0]], C=[[2.0], [1.0]])
    ax = plt.figure().add_subplot()
    display = SensitivityDisplay.from_estimator(rule, per=[1.0, 0.5, 3.0], output_names=["p", "q"], ax=ax)
    np.testing.assert_allclose(display.sensitivity, [[4.0, 4.0, 0.0], [2.0, 2.0, 0.0]])
    assert display.directions.tolist() == [[1, -1, 0]] * 2  # both directions hold for the last: neither is shown
    assert display.ax_ is ax and display.output_names == ["p", "q"]


@pytest.mark.parametrize("names", [[f"input number {j}" for j in range(9)], ["sepal length", "sepal width", "other"]])
def test_names_end_at_their_columns_and_do_not_overlap(names):
    rule = ImplicitRule(A=[[0.5]], B=np.ones((1, len(names))), C=[[2.0]])
    display = SensitivityDisplay.from_estimator(rule, feature_names=names)
    display.figure_.draw_without_rendering()
    columns = display.ax_.transData.transform([(j, 0) for j in range(len(names))])[:, 0]
    width = columns[1] - columns[0]
    for label, column in zip(display.ax_.get_xticklabels(), columns, strict=True):
        assert abs(label.get_window_extent().x1 - column) < 0.5 * width


def test_wrong_names_and_units():
    rule = ImplicitRule(A=[[0.5]], B=[[1.0, -2.0]], C=[[2.0]])
    for name, value in {"per": [1.0], "feature_names": ["a"], "output_names": ["a", "b"]}.items():
        with pytest.raises(ValueError, match=name):
            SensitivityDisplay.from_estimator(rule, **{name: value})


def test_without_a_bound():
    rule = ImplicitRule(A=[[0.5, -1.0], [1.0, 1.5]], B=[[1.0, 0.0], [1.0, 0.0]], C=[[1.0, 0.0]])
    display = SensitivityDisplay.from_estimator(rule)
    assert display.sensitivity.tolist() == [[np.inf, 0.0]] and display.directions.tolist() == [[0, 0]]
    display.figure_.canvas.draw()

"""Certified labels hold under attack, attacks stay inside, and proofs of monotony agree with differences."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from skimplicit import ImplicitClassifier, ImplicitRule
from skimplicit.activations import Activation, max_pool
from skimplicit.robustness import (
    attack,
    certified_radius,
    certify,
    is_monotone,
    monotone_directions,
    output_bounds,
)
from skimplicit.robustness.propagation import Propagation

LABELS = np.array(["a", "b", "c"])


def random_rule(seed, q=3, activation="relu"):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(6, 6))
    A *= 0.8 / np.abs(A).sum(axis=1, keepdims=True)
    return ImplicitRule(
        A, rng.normal(size=(6, 3)), rng.normal(size=(q, 6)), b=rng.normal(size=6), activation=activation
    )


@pytest.mark.slow_cases
@pytest.mark.parametrize("n_changed", [None, 1])
@pytest.mark.parametrize("q", [1, 3])
def test_no_certified_row_is_flipped_and_certificates_grow(q, n_changed):
    X = np.random.default_rng(0).normal(size=(20, 3))
    rule = random_rule(0, q)
    rule = replace(rule, c=-np.median(rule.predict(X), axis=0))
    classes = LABELS[: max(q, 2)]
    Y = rule.predict(X)
    y = classes[(Y[:, 0] > 0).astype(int) if q == 1 else Y.argmax(axis=1)]
    options = {"n_changed": n_changed, "classes": classes}
    flipped = attack(rule, X, y, 0.25, random_state=0, **options)[1]
    before = np.zeros(20, dtype=bool)
    for method in ("sensitivity", "mixed-monotone", "lp"):
        held = certify(rule, X, y, 0.25, method=method, **options)
        assert not np.any(held & flipped) and np.all(held >= before)
        before = held
    assert held.any() and flipped.any()
    wrong = classes[(np.searchsorted(classes, y) + 1) % classes.size]
    assert not certify(rule, X, wrong, 0.1, **options).any()


def test_radius_is_certified_and_nearly_the_largest():
    rule = random_rule(1)
    X = np.random.default_rng(0).normal(size=(8, 3))
    y = rule.predict(X).argmax(axis=1)
    radius = certified_radius(rule, X, y)
    assert np.all(radius > 0)
    for row, r in enumerate(radius):
        assert certify(rule, X[[row]], y[[row]], r).all()
        assert not certify(rule, X[[row]], y[[row]], 1.01 * r).any()


@pytest.mark.parametrize("q", [1, 3])
def test_states_at_the_rows_are_found_once_for_all_radii(q, monkeypatch):
    rule, X, centre, rows = random_rule(0, q), np.random.default_rng(0).normal(size=(20, 3)), Propagation.centre, []

    def counted(self, inputs):
        rows.append(len(inputs.base))
        return centre(self, inputs)

    monkeypatch.setattr(Propagation, "centre", counted)
    Y = rule.predict(X)
    radius = certified_radius(rule, X, (Y[:, 0] > 0).astype(int) if q == 1 else Y.argmax(axis=1))
    assert sum(rows) == len(X) and np.all(radius > 0)


def test_radius_without_a_path_is_infinite():
    rule = ImplicitRule([[0.5]], [[0.0]], [[1.0]], c=[1.0])
    assert np.array_equal(certified_radius(rule, [[0.0], [0.0]], [1, 0]), [np.inf, 0.0])


@pytest.mark.parametrize("method", ["sensitivity", "mixed-monotone", "lp"])
def test_rounding_of_logits_whose_differences_are_small(method):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        nothing = np.zeros((0, 0)), np.zeros((0, 5)), np.zeros((3, 0))
        D = 1e7 * rng.normal(size=5) + 1e-6 * rng.normal(size=(3, 5))
        rule = ImplicitRule(*nothing, D, c=1e-6 * rng.normal(size=3))
        u = rng.normal(size=(1, 5))
        label = rule.predict(u).argmax(axis=1)
        radius = certified_radius(rule, u, label, method=method)[0]
        ends = np.repeat(u + radius * np.sign(rule.D - rule.D[label]), 4, axis=0)
        assert radius == 0 or np.all(rule.predict(ends).argmax(axis=1) == label)


@pytest.mark.parametrize("unit", [1e-100, 1e-13, 1e13, 1e100])
def test_a_radius_is_found_in_any_unit(unit):
    rule = ImplicitRule(A=[[0.5]], B=[[1.0 / unit]], C=[[2.0]], c=[-4.0])  # 1 where 4 relu(u) > 4
    radius = certified_radius(rule, [[1.25 * unit], [0.0], [-unit]], [1, 1, 0], rtol=1e-6)
    np.testing.assert_allclose(radius / unit, [0.25, 0.0, 2.0], rtol=1e-5)
    np.testing.assert_allclose(certified_radius(rule, [[1.25 * unit]], [1], start=1e300), 0.25 * unit, rtol=2e-3)
    np.testing.assert_allclose(certified_radius(rule, [[1.25 * unit]], [1], scale=1e-3 * unit), 250, rtol=2e-3)


@pytest.mark.slow_cases
@pytest.mark.parametrize("n_changed", [None, 2])
def test_attack_stays_inside_and_repeats(n_changed):
    rule = random_rule(2)
    X = np.random.default_rng(0).normal(size=(10, 3))
    y = rule.predict(X).argmax(axis=1)
    options = {"n_changed": n_changed, "classes": range(3), "random_state": 0, "relaxation": True}
    found, success = attack(rule, X, y, [0.5, 0.0, 1.0], **options)
    assert np.all(np.abs(found - X) <= np.array([0.5, 0.0, 1.0]) + 1e-12)
    assert n_changed is None or np.all(np.count_nonzero(found != X, axis=1) <= n_changed)
    assert np.array_equal(success, rule.predict(found).argmax(axis=1) != y)
    assert np.array_equal(found, attack(rule, X, y, [0.5, 0.0, 1.0], **options)[0])


def test_attack_of_a_linear_rule_is_the_best_there_is():
    rule = random_rule(3, activation="identity")
    X = np.zeros((1, 3))
    J = rule.C @ np.linalg.solve(np.eye(6) - rule.A, rule.B)
    found, _ = attack(rule, X, rule.predict(X) - [[1e6, 0.0, 0.0]], 0.5, random_state=0)
    assert np.allclose(found, 0.5 * np.sign(J[0]))


def signed_rule(seed, activation):
    """A rule that rises with input 0 and falls with input 1, by states of both signs."""
    rng = np.random.default_rng(seed)
    s = rng.choice([-1, 1], size=6)
    A = np.abs(rng.normal(size=(6, 6))) * np.outer(s, s)
    A[np.diag_indices(6)] *= rng.choice([-1, 1], size=6)
    A *= 0.8 / np.abs(A).sum(axis=1, keepdims=True)
    B = np.column_stack([s * rng.random(6), -s * rng.random(6), rng.normal(size=6)])
    return ImplicitRule(A, B, [s * rng.random(6)], [[0.3, -0.2, 0.0]], b=rng.normal(size=6), activation=activation)


@pytest.mark.parametrize("activation", ["relu", "tanh", "softplus"])
def test_signs_are_proved_and_true(activation):
    rule = signed_rule(0, activation)
    assert [is_monotone(rule, j) for j in range(3)] == [1, -1, 0]
    rng = np.random.default_rng(0)
    U = rng.normal(size=(500, 3)) * 3
    for j, sign in ((0, 1), (1, -1)):
        V = U.copy()
        V[:, j] += rng.exponential(size=500)
        assert np.all(sign * (rule.predict(V) - rule.predict(U)) >= -1e-8)


def test_not_proved():
    assert is_monotone(signed_rule(0, "silu"), 0) == 0
    rule = ImplicitRule([[0.0]], [[1.0]], [[1.0], [-1.0]])
    assert [is_monotone(rule, 0), is_monotone(rule, 0, output=0), is_monotone(rule, 0, output=1)] == [0, 1, -1]
    assert is_monotone(ImplicitRule([[1.5]], [[1.0]], [[1.0]]), 0) == 0  # not well posed


def test_without_a_path_both_directions_hold():
    rule = ImplicitRule([[0.0, 0.0], [0.0, 0.5]], [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0]])
    assert monotone_directions(rule, 0) == (True, True) and is_monotone(rule, 1) == 1


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda rule: certify(rule, np.zeros((1, 3)), [7], 0.1), ValueError, "y has labels"),
        (lambda rule: certify(rule, np.zeros((1, 3)), [0, 1], 0.1), ValueError, "y must have shape"),
        (lambda rule: certify(rule, np.zeros((2, 3)), [0, None], 0.1), ValueError, "y has labels .* classes: .None"),
        (lambda rule: attack(rule, np.zeros((2, 3)), [[0, 0], ["a", 0]], 0.1), ValueError, "y must be an array of fin"),
        (lambda rule: certify(rule, np.zeros((1, 3)), [0], 0.1, classes=[0, 1]), ValueError, "classes"),
        (lambda rule: certified_radius(rule, np.zeros((1, 3)), [0], start=0), ValueError, "start"),
        (lambda rule: certified_radius(rule, np.zeros((1, 3)), [0], start="1"), ValueError, "start must be a positive"),
        (lambda rule: certified_radius(rule, np.zeros((1, 3)), [0], rtol=None), ValueError, "rtol must be a positive"),
        (lambda rule: certified_radius(rule, np.zeros((1, 3)), [0], start=np.ones(1)), ValueError, "start must be"),
        (lambda rule: certified_radius(rule, np.zeros((1, 3)), [0], scale=[1.0]), ValueError, "scale must be a number"),
        (lambda rule: certified_radius(rule, np.zeros((1, 3)), [0], scale=-1.0), ValueError, "scale must be finite"),
        (lambda rule: attack(rule, np.zeros((1, 3)), [[0.0]], 0.1), ValueError, "y must be finite"),
        (lambda rule: attack(rule, np.zeros((1, 3)), [0], 0.1, classes=range(3), n_starts=0), ValueError, "n_starts"),
        (lambda rule: attack(rule, np.zeros((1, 3)), [0], 0.1, relaxation="no"), ValueError, "relaxation must be True"),
        (lambda rule: is_monotone(rule, 3), ValueError, "j must be"),
        (lambda rule: is_monotone(rule, 0.5), TypeError, "j must be"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(random_rule(0))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_a_frame_in_another_order_are_refused(library):
    frames = pytest.importorskip(library)
    X = np.random.default_rng(0).normal(size=(5, 3))
    frame = frames.DataFrame(dict(zip("abc", X.T, strict=True)))
    model = ImplicitClassifier.from_rule(random_rule(0), LABELS)
    model.feature_names_in_ = np.array(frame.columns, dtype=object)
    y = model.predict(frame)
    assert np.array_equal(certify(model, frame, y, 0.1), certify(model.rule_, X, y, 0.1, classes=LABELS))
    shuffled = frame[["b", "a", "c"]]
    for refused in (
        lambda: output_bounds(model, shuffled, 0.1),
        lambda: certify(model, shuffled, y, 0.1),
        lambda: certified_radius(model, shuffled, y),
        lambda: attack(model, shuffled, y, 0.1),
    ):
        with pytest.raises(ValueError, match="feature names should match"):
            refused()


def test_radii_of_a_series_go_by_its_names():
    X, radius = np.random.default_rng(0).normal(size=(5, 3)), np.array([0.0, 0.1, 0.3])
    frame, named = pd.DataFrame(X, columns=list("abc")), pd.Series(radius, index=list("abc"))[["c", "b", "a"]]
    model = ImplicitClassifier.from_rule(random_rule(0), LABELS)
    model.feature_names_in_ = np.array(frame.columns, dtype=object)
    y = model.predict(frame)
    for call in (
        lambda by: output_bounds(model, frame, by),
        lambda by: certify(model, frame, y, by),
        lambda by: certified_radius(model, frame, y, scale=by),
        lambda by: attack(model, frame, y, by, random_state=0),
    ):
        for here, there in zip(call(named), call(radius), strict=True):
            np.testing.assert_array_equal(here, there)
    with pytest.raises(ValueError, match="radius is a Series whose index has 'd', which is no column of X"):
        output_bounds(model, frame, pd.Series(radius, index=list("abd")))


def test_labels_of_unsorted_classes():
    rule, X = random_rule(0), np.random.default_rng(0).normal(size=(20, 3))
    codes, classes = rule.predict(X).argmax(axis=1), np.array(["b", "c", "a"])
    held = certify(rule, X, codes, 0.1)
    assert held.any() and np.unique(codes).size == 3
    np.testing.assert_array_equal(certify(rule, X, classes[codes], 0.1, classes=classes), held)


@pytest.mark.parametrize("direct", [False, True])
def test_attack_from_one_start_goes_where_the_output_rises(direct):
    # Without its intercept the state would be where the sine falls.
    sine = Activation("sine", np.sin, lambda Z, X: np.cos(Z), -1.0, 1.0)
    states = ImplicitRule([[0.0]], [[1.0, -2.0]], [[1.0]], b=[9.0], activation=sine)
    rule = ImplicitRule([[0.0]], [[0.0, 0.0]], [[1.0]], [[1.0, -2.0]]) if direct else states
    found, success = attack(rule, [[-1.0, 1.0]], rule.predict([[-1.0, 1.0]]) - 1.0, 0.5, n_starts=1, max_iter=3)
    np.testing.assert_allclose(found, [[-0.5, 0.5]])
    assert success.all()


def test_no_proof_for_loops_that_have_no_solution_nor_for_a_maximum_of_opposites():
    ring = ImplicitRule([[0.8, 0.3], [0.3, 0.8]], [[1.0], [0.0]], [[1.0, 0.0]])
    assert not ring.is_well_posed() and is_monotone(ring, 0) == 0
    size = ImplicitRule(np.zeros((2, 2)), [[1.0], [-1.0]], [[1.0, 0.0]], activation=max_pool(2))
    assert size.predict([[-1.0], [0.0], [1.0]]).ravel().tolist() == [1.0, 0.0, 1.0] and is_monotone(size, 0) == 0


class Cutting:
    """A classifier that cuts its inputs."""

    class Range:
        lower, upper = np.zeros(3), np.ones(3)

    classes_ = LABELS

    def __init__(self, rule):
        self.rule_, self._input_range = rule, self.Range

    def clipped_rule(self):
        raise AssertionError("not needed where the range is known")


def test_rows_far_outside_the_range_are_certified_where_the_classifier_cuts_them():
    model, X = Cutting(random_rule(0)), 5 * np.random.default_rng(0).normal(size=(20, 3))
    y = LABELS[model.rule_.predict(np.clip(X, 0.0, 1.0)).argmax(axis=1)]
    assert certify(model, X, y, 1e-6).all()
    found, _ = attack(model, X, y, 0.5, n_changed=1, n_starts=2, max_iter=3, random_state=0)
    assert np.all(np.count_nonzero(found != X, axis=1) <= 1)

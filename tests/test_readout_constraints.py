"""``constraints(A, B, C, D)``: constraints of one's own reach the readout, in the units of the data."""

import pickle

import cvxpy as cp
import numpy as np
import pytest
from test_monotonic_cst import make_data, quietly

from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.estimators.custom_constraints import takes_readout
from skimplicit.quiet import without_warnings
from skimplicit.rows import Samples
from skimplicit.selection import ImplicitFeatureSelector
from skimplicit.subproblems import constrained_logistic_readout
from skimplicit.subproblems.attempts import SubproblemError
from skimplicit.subproblems.readout import custom
from skimplicit.subproblems.readout.custom import CustomRowSet

UNIT = np.array([1.0, 1e3, 1e-3, 1.0])


def fit(constraints, make=ImplicitRegressor, unit=1.0, **options):
    U, y = make_data(20)
    y = 1e3 * y if make is ImplicitRegressor else np.digitize(y, [-1, 0])
    model = make(**{"n_hidden": 3, "alpha": 0.01, "max_iter": 4, "random_state": 0, **options}, constraints=constraints)
    return quietly(model, U * unit, y)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "method"),
    [(ImplicitRegressor, "bcd"), (ImplicitClassifier, "bcd"), (ImplicitRegressor, "lifted")],
)
def test_signs_of_all_matrices(make, method):
    model = fit(lambda A, B, C, D: [B >= 0, C >= 0, D <= 0], make, UNIT, method=method, max_iter=1, n_hidden=2)
    rule = model.rule_
    assert rule.B.min() >= 0 and rule.C.min() >= 0 and rule.D.max() <= 0
    assert rule.C.max() > 0  # what is left is used


def test_the_units_are_those_of_the_data():
    rule = fit(lambda A, B, C, D: [D[0, 1] == 0.5, cp.sum(C) == 20.0], unit=UNIT).rule_
    assert rule.D[0, 1] == pytest.approx(0.5, rel=1e-9)
    assert rule.C.sum() == pytest.approx(20.0, rel=1e-9)


@pytest.mark.parametrize("unit", [1e90, 1e-90])
def test_the_square_of_a_unit_need_not_be_a_number(unit):
    U, y = make_data(20)
    model = ImplicitRegressor(
        n_hidden=2, alpha=0.01, max_iter=1, random_state=0, constraints=lambda A, B, C, D: [D[0] == 0, C >= 0]
    )
    rule = quietly(model, U * unit, y / unit).rule_  # D counts in units of 1e180, or 1e-180
    assert not rule.D.any() and rule.C.min() >= 0


@pytest.mark.slow
def test_rows_can_be_tied():
    rule = fit(
        lambda A, B, C, D: [cp.sum(C, axis=0) == 0, cp.sum(D, axis=0) == 0], ImplicitClassifier, max_iter=1
    ).rule_
    np.testing.assert_allclose(rule.C.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(rule.D.sum(axis=0), 0, atol=1e-9)


def test_without_a_direct_term_d_is_zero():
    rule = fit(lambda A, B, C, D: [C >= 0, D >= 0], direct=False).rule_
    assert rule.C.min() >= 0 and not rule.D.any()


@pytest.mark.slow
def test_with_other_parameters():
    model = fit(
        lambda A, B, C, D: [C[0, 0] == 0, B[:, 3] == 0], lipschitz=500.0, monotonic_cst=[1, -1, 0, 0], max_iter=2
    )
    assert model.rule_.C[0, 0] == 0 and not model.rule_.B[:, 3].any()
    assert model.rule_.D[0, 0] >= 0 >= model.rule_.D[0, 1]


def test_a_constraint_that_binds_nothing_changes_nothing():
    two, four = (
        fit(constraints, max_iter=3).rule_
        for constraints in (lambda A, B: [B >= -1e6], lambda A, B, C, D: [B >= -1e6, C >= -1e9])
    )
    U = make_data()[0]
    np.testing.assert_allclose(two.predict(U), four.predict(U), rtol=1e-3, atol=1.0)


@pytest.mark.slow
@pytest.mark.usefixtures("shortest_paths")
def test_in_a_selection():
    U, y = make_data(20)
    model = ImplicitRegressor(
        n_hidden=2, alpha=0.01, direct=True, max_iter=1, constraints=lambda A, B, C, D: [D[:, 0] == 0, C >= 0]
    )
    selector = ImplicitFeatureSelector(model, n_features_to_select=2, column_budgets=1, cv=2, random_state=0)
    rule = quietly(selector, U, y).estimator_.rule_
    assert rule.C.min() >= 0
    selected = np.flatnonzero(selector.support_)
    assert 0 not in selected or not rule.D[:, list(selected).index(0)].any()


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        (lambda A, B: [], False),
        (lambda A, B, C, D: [], True),
        (lambda A, B, size=1, most=2: [], False),
        (lambda *matrices: [], False),
    ],
)
def test_which_form_it_is(constraints, expected):
    assert takes_readout(constraints) is expected


def test_blocks_must_not_be_tied():
    with pytest.raises(ValueError, match="ties A or B to C or D"):
        fit(lambda A, B, C, D: [A[0, 0] + C[0, 0] <= 1])


def bounded_by_a_variable(A, B, C, D):
    low, high = cp.Variable(), cp.Variable()
    return [B >= -1e6, high <= 0, low <= high, C <= low]


def test_variables_of_ones_own_are_where_they_are_tied_to():
    assert fit(bounded_by_a_variable, max_iter=1, n_hidden=2).rule_.C.max() <= 1e-9


@pytest.mark.parametrize("unit", [1e-3, 1e6])
@pytest.mark.parametrize("sign", [{}, {"nonneg": True}], ids=str)
def test_variables_of_ones_own_are_in_the_units_of_what_they_are_tied_to(unit, sign):
    def total(A, B):
        parts = cp.Variable((3, 3), **sign)
        return [B[:, :3] == parts, cp.sum(parts) == 0.5 / unit]

    B = fit(total, unit=unit, max_iter=1).rule_.B * unit
    assert B[:, :3].sum() == pytest.approx(0.5, rel=1e-9)
    if sign:
        assert B[:, :3].min() >= -1e-9


def test_variables_made_outside_are_left_alone():
    bound = cp.Variable(nonneg=True)  # other threads may have it in their programs
    assert fit(lambda A, B: [cp.norm(B[:, 0]) <= bound, bound <= 0.5], max_iter=1).rule_.B.any()
    assert bound.value is None


@pytest.mark.parametrize(
    ("constraints", "violation"),
    [
        (lambda A, B: [cp.norm_inf(B[:, 0]) <= 0.05], lambda rule: np.abs(rule.B[:, 0]).max() - 0.05),
        (lambda A, B: [cp.upper_tri(A) == 0], lambda rule: np.abs(np.triu(rule.A, 1)).max()),
    ],
    ids=["none", "of another shape"],
)
def test_functions_of_which_cvxpy_has_no_gradient(constraints, violation):
    assert violation(fit(constraints, max_iter=1).rule_) <= 1e-7


def tied_by_a_variable(A, B, C, D):
    bound = cp.Variable()
    return [B <= bound, C >= bound]


def test_blocks_must_not_be_tied_by_a_variable():
    with pytest.raises(ValueError, match="ties A or B to C or D"):
        fit(tied_by_a_variable)


def test_contradictions_name_the_block():
    with pytest.raises(SubproblemError, match=r"readout block \(C, D\)"):
        fit(lambda A, B, C, D: [C >= 1, C <= 0])


@pytest.mark.parametrize("answer", [None, 1.0, [True]], ids=str)
def test_other_answers_are_refused(answer):
    with pytest.raises(TypeError, match="must return CVXPY constraints"):
        fit(lambda A, B, C, D: answer)


@pytest.mark.parametrize("constraints", [lambda C, D: [], lambda B, A: [], lambda A, B, D, C: [], lambda X, Y, A: []])
def test_a_parameter_with_the_name_of_another_matrix_is_named(constraints):
    with pytest.raises(TypeError, match="in this order, but [ABCD] has another place in <lambda>"):
        takes_readout(constraints)


@pytest.mark.parametrize("constraints", [lambda: [], lambda A: [], lambda A, B, C: [], lambda A, B, C, D, E: []])
def test_a_function_of_another_number_of_parameters_is_named(constraints):
    with pytest.raises(TypeError, match=r"constraints must be a function of \(A, B\) or \(A, B, C, D\)"):
        takes_readout(constraints)


def tied(C, D):
    return [cp.sum(C) == 0.3, cp.norm(C, "fro") <= 0.5, D[0] >= D[-1]]


def make_classes(q, centre):
    rng = np.random.default_rng(2)
    U, X = rng.normal(size=(60, 2)), rng.uniform(size=(60, 3))
    scores = X @ rng.normal(size=(3, q)) + rng.normal(size=(60, q))
    Y = (scores > 0).astype(float) if q == 1 else np.eye(q)[scores.argmax(axis=1)]
    return Samples(U, Y, rng.uniform(0.5, 2.0, size=60), centre, scale_targets=False), X


@pytest.mark.parametrize("most_tied", [300, 0])
@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("q", [1, 3])
def test_classes_end_at_the_minimum_of_all_their_weights(q, centre, most_tied, monkeypatch):
    monkeypatch.setattr("skimplicit.subproblems.readout.constrained._MOST_TIED", most_tied)
    samples, X = make_classes(q, centre)
    row_set = pickle.loads(pickle.dumps(CustomRowSet(custom=tied, n_states=3)))
    problem = samples, X, samples.moments(X), 0.01, True, None, 1e-13, 2.0
    readout, loss = constrained_logistic_readout(*problem, row_set)
    found = loss + 0.005 * readout.squared_norm(2.0)

    C, D, c = cp.Variable((q, 3)), cp.Variable((q, 2)), cp.Variable((1, q))
    logits = X @ C.T + samples.inputs_times(np.eye(2)) @ D.T + np.full((60, 1), float(centre)) @ c
    totals = cp.logistic(logits[:, 0]) if q == 1 else cp.log_sum_exp(logits, axis=1)
    losses = totals - cp.sum(cp.multiply(samples.Y, logits), axis=1)
    ridge = 0.005 * (cp.sum_squares(C) + 2.0 * cp.sum_squares(D))
    with without_warnings(UserWarning):  # old versions of Clarabel call this solution inaccurate
        wanted = cp.Problem(cp.Minimize(samples.weights @ losses + ridge), tied(C, D)).solve(solver=cp.CLARABEL)
    assert found == pytest.approx(wanted, rel=1e-7)


def test_steps_for_classes_are_of_second_order():
    solved = []

    class Counted(CustomRowSet):
        def minimise(self, H, T):
            solved.append(H.shape)
            return super().minimise(H, T)

    samples, X = make_classes(3, True)
    constrained_logistic_readout(
        samples, X, samples.moments(X), 1e-4, True, None, 1e-13, 1.0, Counted(custom=tied, n_states=3)
    )
    assert len(solved) < 15  # 5; with a bound on the curvature of each class alone 201, the most


def test_programs_are_compiled_once(monkeypatch):
    compiled = []

    class Counted(custom._Program):
        def __init__(self, *arguments):
            compiled.append(arguments[1:])
            super().__init__(*arguments)

    monkeypatch.setattr(custom, "_Program", Counted)
    fit(lambda A, B, C, D: [cp.sum(C) <= 0.5], ImplicitClassifier, max_iter=2)
    assert len(compiled) == len(set(compiled))


def test_one_compiled_program_serves_members_side_by_side():
    def few(A, B, C, D):
        return [cp.sum(C) <= 0.5]

    one, two = (fit(few, ImplicitClassifier, n_members=3, n_jobs=n_jobs, max_iter=2).rule_ for n_jobs in (1, 3))
    np.testing.assert_array_equal(one.C, two.C)

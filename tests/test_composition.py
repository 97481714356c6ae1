"""Rules made of rules compute what their parts compute one after another."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skimplicit import ImplicitRegressor, ImplicitRule
from skimplicit.composition import average
from skimplicit.networks import (
    activate,
    affine,
    affine_rule,
    cascade,
    concatenate,
    deep_equilibrium,
    feedback,
    parallel,
    residual,
)

EXACT = {"rtol": 1e-8, "atol": 1e-8}
SEEDS = range(2)


def random_rule(n, p, q, seed, activation="relu", norm=0.6, as_sparse=False):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    A *= norm / np.abs(A).sum(axis=1, keepdims=True)
    matrices = [A, rng.normal(size=(n, p)), rng.normal(size=(q, n)), rng.normal(size=(q, p))]
    if as_sparse:
        matrices = [sparse.csr_array(M) for M in matrices]
    return ImplicitRule(*matrices, rng.normal(size=n), rng.normal(size=q), activation)


def inputs(p, seed=0):
    return np.random.default_rng(seed).normal(size=(20, p))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("as_sparse", [False, True])
def test_cascade(seed, as_sparse):
    first = random_rule(4, 3, 2, seed, "tanh", as_sparse=as_sparse)
    second, third = random_rule(5, 2, 3, seed + 10), random_rule(3, 3, 1, seed + 20, "sigmoid")
    U = inputs(3, seed)
    expected = third.predict(second.predict(first.predict(U)))
    rule = cascade(first, second, third)
    assert_allclose(rule.predict(U), expected, **EXACT)
    assert third @ (second @ first) == rule
    assert sparse.issparse(rule.A) == as_sparse
    assert_allclose(rule.A[5:, :3] if not as_sparse else rule.A[5:, :3].toarray(), 0)  # upper block triangular
    assert rule.is_well_posed()


@pytest.mark.parametrize("seed", SEEDS)
def test_cascade_is_associative(seed):
    first, second, third = (random_rule(3, 2, 2, seed + shift) for shift in (0, 5, 9))
    left, right = cascade(cascade(first, second), third), cascade(first, cascade(second, third))
    for name in "ABCDbc":
        assert_allclose(getattr(left, name), getattr(right, name), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_parallel(seed):
    first, second = random_rule(4, 3, 2, seed), random_rule(5, 3, 2, seed + 10, "tanh")
    U, V = inputs(3, seed), inputs(3, seed + 1)
    assert_allclose((first + second).predict(U), first.predict(U) + second.predict(U), **EXACT)
    weighted = parallel(first, second, weights=[2, -0.5], shared_input=False)
    assert_allclose(weighted.predict(np.hstack([U, V])), 2 * first.predict(U) - 0.5 * second.predict(V), **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("as_sparse", [False, True])
def test_concatenate(seed, as_sparse):
    first, second = random_rule(4, 3, 2, seed, as_sparse=as_sparse), random_rule(5, 3, 4, seed + 10, "tanh")
    U, V = inputs(3, seed), inputs(3, seed + 1)
    expected = np.hstack([first.predict(U), second.predict(U)])
    assert_allclose(concatenate(first, second).predict(U), expected, **EXACT)
    apart = concatenate(first, second, shared_input=False)
    assert_allclose(apart.predict(np.hstack([U, V])), np.hstack([first.predict(U), second.predict(V)]), **EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_affine(seed):
    rng = np.random.default_rng(seed)
    rule, V = random_rule(4, 3, 2, seed), inputs(5, seed)
    G, g, H, h = rng.normal(size=(6, 2)), rng.normal(size=6), rng.normal(size=(3, 5)), rng.normal(size=3)
    assert_allclose(affine(rule, G=G, g=g, H=H, h=h).predict(V), rule.predict(V @ H.T + h) @ G.T + g, **EXACT)
    assert_allclose(affine(rule, g=g[:2]).predict(V[:, :3]), rule.predict(V[:, :3]) + g[:2], **EXACT)
    assert_allclose(affine(rule, h=h).predict(V[:, :3]), rule.predict(V[:, :3] + h), **EXACT)
    assert affine(rule) is rule


def test_affine_rule_has_no_states():
    rule = affine_rule([[1.0, 2.0]], [3.0])
    assert rule.n_hidden == 0 and rule.is_well_posed() and rule.well_posedness()
    assert_allclose(rule.predict([[1.0, 1.0]]), [[6.0]])
    assert_allclose(rule.states([[1.0, 1.0]]), np.empty((1, 0)))


@pytest.mark.parametrize("seed", SEEDS)
def test_activate(seed):
    rule = random_rule(4, 3, 2, seed)
    assert_allclose(activate(rule, "sigmoid").predict(inputs(3)), 1 / (1 + np.exp(-rule.predict(inputs(3)))), **EXACT)


@pytest.mark.slow_cases
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("direct", [True, False])
def test_feedback_against_the_direct_loop(seed, direct):
    forward, backward = random_rule(4, 3, 2, seed, "tanh"), random_rule(5, 2, 3, seed + 10)
    # A small gain around the loop makes the direct iteration of y converge.
    forward = affine(forward, G=0.02 * np.eye(2))
    if not direct:
        forward, backward = (
            ImplicitRule(rule.A, rule.B, rule.C, None, rule.b, rule.c, rule.activation) for rule in (forward, backward)
        )
    U = inputs(3, seed)
    Y = np.zeros((20, 2))
    for _ in range(200):
        Y = forward.predict(U + backward.predict(Y))
    rule = feedback(forward, backward)
    assert_allclose(rule.predict(U), Y, **EXACT)
    assert rule.n_hidden == 9
    if not direct:
        assert_allclose(rule.D, 0)
        assert_allclose(rule.A[:4, 4:], forward.B @ backward.C)


def test_feedback_refuses_a_loop_of_direct_terms():
    with pytest.raises(ValueError, match="singular"):
        feedback(affine_rule([[2.0]]), affine_rule([[0.5]]))
    with pytest.raises(ValueError, match="must have 1 inputs and 2 outputs"):
        feedback(affine_rule([[1.0, 2.0]]), affine_rule([[0.5]]))


def test_refuses_what_does_not_fit():
    narrow, wide = random_rule(2, 1, 1, 0), random_rule(2, 3, 2, 0)
    with pytest.raises(ValueError, match="3 inputs cannot follow one with 1 outputs"):
        cascade(narrow, wide)
    with pytest.raises(ValueError, match=r"n_outputs = \[1, 2\] cannot be added"):
        parallel(narrow, wide)
    with pytest.raises(ValueError, match=r"n_inputs = \[1, 3\]"):
        concatenate(narrow, wide)
    with pytest.raises(ValueError, match="a weight for each"):
        parallel(narrow, weights=[1, 2])
    for combine in (cascade, concatenate, parallel, average):
        with pytest.raises(ValueError, match=f"{combine.__name__} needs at least one"):
            combine()
    for weights in (2.0, ["a", "b"], [[1.0, 2.0]], [1.0, np.nan], [1.0, [2.0, 3.0]]):
        with pytest.raises(ValueError, match="^weights must"):
            parallel(narrow, narrow, weights=weights)
    for operator in ("__matmul__", "__add__"):
        assert getattr(narrow, operator)(3) is NotImplemented


NOT_FITTING = [2.0, np.ones(2), np.ones((4, 4)), "ab", [[1.0], [2.0, 3.0]], [[np.inf] * 3], np.ones((3, 1, 1))]


@pytest.mark.parametrize("given", NOT_FITTING)
@pytest.mark.parametrize("name", ["G", "H", "g", "h"])
def test_affine_names_what_does_not_fit(name, given):
    rule = random_rule(2, 3, 1 if name == "H" else 3, 0)
    with pytest.raises(ValueError, match=f"^{name} must"):
        affine(rule, **{name: given})


def test_affine_takes_one_row():
    rule = random_rule(2, 3, 3, 0)
    U = np.random.default_rng(0).normal(size=(5, 3))
    assert_allclose(affine(rule, G=[1.0, 2.0, 3.0]).predict(U), rule.predict(U) @ [[1.0], [2.0], [3.0]], **EXACT)


@pytest.mark.parametrize("compose", [cascade, parallel, concatenate, affine, residual, deep_equilibrium])
def test_what_is_no_rule_is_named(compose):
    rule = random_rule(2, 1, 1, seed=0)
    given = [ImplicitRegressor.from_rule(rule)]
    with pytest.raises(TypeError, match=r"must be an ImplicitRule, got ImplicitRegressor; .* rule_"):
        compose(*given)
    if compose in (cascade, parallel, concatenate):
        with pytest.raises(TypeError, match=r"rule must be an ImplicitRule, got int"):
            compose(rule, 1)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12, 1e60])
@pytest.mark.parametrize("form", [np.array, np.triu], ids=["full", "triangular"])
def test_feedback_does_not_depend_on_the_units_of_outputs(unit, form):
    rng = np.random.default_rng(0)
    units, U = np.array([1.0, unit, 1.0]), rng.normal(size=(5, 2))
    D1, D2 = form(rng.uniform(-0.5, 0.5, size=(3, 2))), form(rng.uniform(-0.5, 0.5, size=(2, 3)))
    loop = feedback(affine_rule(units[:, None] * D1), affine_rule(D2 / units))
    assert_allclose(loop.predict(U) / units, U @ np.linalg.solve(np.eye(3) - D1 @ D2, D1).T, rtol=1e-9)
    # A loop that 0.1 + 0.2 closes but for rounding is refused in every unit.
    D1, D2 = np.array([[0.3, 0.1], [0.0, 0.2]]), np.diag([1 / (0.1 + 0.2), 1.0])
    with pytest.raises(ValueError, match="singular"):
        feedback(affine_rule(units[:2, None] * D1), affine_rule(D2 / units[:2]))


def test_activate_and_feedback_name_what_is_no_rule():
    rule = random_rule(2, 1, 1, seed=0)
    with pytest.raises(TypeError, match="rule must be an ImplicitRule"):
        activate("relu", "relu")
    with pytest.raises(TypeError, match="forward must be an ImplicitRule"):
        feedback(None, rule)
    with pytest.raises(TypeError, match="backward must be an ImplicitRule"):
        feedback(rule, None)


@pytest.mark.parametrize("D", ["a", [["1"]], [[np.nan]], np.zeros((1, 1, 1))], ids=["text", "digits", "NaN", "3d"])
def test_affine_rule_names_what_is_no_matrix(D):
    with pytest.raises(ValueError, match="^D must "):
        affine_rule(D)


@pytest.mark.parametrize("join", [parallel, concatenate])
def test_neither_true_nor_false_is_named(join):
    rule = random_rule(2, 2, 1, 0)
    with pytest.raises(ValueError, match="shared_input must be True or False, got 'no'"):
        join(rule, rule, shared_input="no")

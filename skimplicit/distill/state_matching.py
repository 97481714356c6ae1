"""State-driven implicit modelling: the rule whose equation given states meet as well as possible."""

import numbers
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils.validation import check_array

from skimplicit.activations import activation_of
from skimplicit.distill.certificates import drift_bound
from skimplicit.estimators.structure import check_structure
from skimplicit.linalg import MatrixLike, block_triangular_order
from skimplicit.parameters import check_truths
from skimplicit.projections import project_rows_l1
from skimplicit.rows import Samples
from skimplicit.rule import ImplicitRule
from skimplicit.subproblems import MatchingProblem, ProjectedSolver, ridge_readout
from skimplicit.training import SquaredObjective
from skimplicit.wellposedness import perron_certificate

__all__ = ["Distillation", "from_states", "sparsity"]

# Tolerance of the states of the rule that is returned.
_TOL = 1e-11


@dataclass(frozen=True)
class Distillation:
    """A rule made from given states, and how well it keeps to them.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    relative_residual : float
        ``||Z - (X A' + U B' + b)||_F / ||Z - mean||_F`` for the given pre-activations Z and states X.
    relative_drift : float
        ``||X~ - X||_F / ||X||_F`` with X~ the states of the rule at the same inputs.
    relative_error : float
        ``||Y - Yhat||_F / ||Y - mean||_F`` for the given outputs Y and those of the rule.
    drift : ndarray of shape (n,)
        Mean of ``|x~_i - x_i|`` over the samples, for each state.
    drift_bound : ndarray of shape (n,)
        The same of the bound ``(I - Gamma |A|)^-1 Gamma |r|``, see :func:`~skimplicit.distill.drift_bound`.
    n_iter : int
        Iterations of the fixed point until the slowest sample has converged; the number of layers for a feedforward
        pattern.
    state_scale : ndarray of shape (n,)
        States of the rule per unit of the given ones. Only ones, unless phi is positively homogeneous.
    """

    rule: ImplicitRule
    relative_residual: float
    relative_drift: float
    relative_error: float
    drift: np.ndarray = field(repr=False)
    drift_bound: np.ndarray = field(repr=False)
    n_iter: int
    state_scale: np.ndarray = field(repr=False)

    @property
    def sparsity(self):
        """Share of the entries of ``[A B]`` that are zero."""
        return sparsity(self.rule)


def sparsity(rule):
    """Return the share of the entries of ``[A B]`` that are zero.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.

    Returns
    -------
    float
        Between 0 and 1; 1 of a rule without states, which has no entries.
    """
    n, p = rule.B.shape
    used = sum(M.count_nonzero() if sparse.issparse(M) else np.count_nonzero(M) for M in (rule.A, rule.B))
    return 1.0 - used / max(n * (n + p), 1)


def from_states(
    U: MatrixLike,
    Z: ArrayLike,
    Y: ArrayLike,
    *,
    activation: Any = "relu",
    kappa: float = 0.95,
    l1: float = 0.05,
    alpha: float = 0.0,
    structure: str | ArrayLike | None = "no_self_loops",
    direct: bool = False,
    refit: bool = True,
    regenerate: bool = True,
) -> Distillation:
    """Return the rule that has given states: row by row, ``min 1/2m ||z_i - (X a_i + U b_i + beta_i)||^2 + penalty``.

    The penalty is ``l1 s_i (sum_j sd(x_j) |a_ij| + sum_j sd(u_j) |b_ij|) + alpha/2 (||a_i||^2 + ||b_i||^2)``, with
    ``s_i = sd(z_i)``, the bound ``||a_i||_1 <= kappa``, and ``X = phi(Z)``. The readout is fitted to Y afterwards.

    Parameters
    ----------
    U : array-like or CSR matrix of shape (m, p)
        Inputs.
    Z : array-like of shape (m, n)
        Pre-activations of the states, for a network those of its last hidden layer first.
    Y : array-like of shape (m, q) or (m,)
        Outputs.
    activation : str or BaseActivation
        phi.
    kappa : float
        Bound on the infinity norm of A, in [0, 1); divided by the largest slope of phi where that is above 1.
    l1 : float
        Weight of the absolute values, relative: at 1 no weight is left, whatever the units of inputs and states. With 0
        and enough freedom the states are matched exactly.
    alpha : float
        Ridge on A, B, C and D, for inputs and outputs of unit spread.
    structure : {"no_self_loops"} or None, array-like of bool of shape (n, n), or list of int
        Entries of A that may be non-zero: all but the diagonal; all; those of a mask; or the sizes of the hidden
        layers of a feedforward network, first layer first.
    direct : bool
        Whether the rule has a direct term D u.
    refit : bool
        Whether weights that the penalty leaves non-zero are then fitted without it (the relaxed lasso).
    regenerate : bool
        Whether the readout is fitted on the states of the rule rather than on the given ones.

    Returns
    -------
    Distillation
        The rule, its residual, and the drift of its states with a bound.

    Raises
    ------
    ValueError
        If an argument is not finite, has the wrong shape or is outside its range; the message names it.

    See Also
    --------
    distill : With a network in place of its states.

    Notes
    -----
    - Why no self-loops: ``x_i = phi(z_i)`` is an excellent regressor of ``z_i``, so that ``A_ii`` near kappa replaces
      the true weights, small residuals are amplified by the fixed point, and the states drift.
    - With a feedforward pattern and a positively homogeneous phi the bound costs nothing: the program is solved without
      it, and the states are rescaled until A is inside (``state_scale``), which changes no output.

    Sources: Tsai et al. (2022), State-driven Implicit Modeling, arXiv 2209.09389; Tsai, Gao and El Ghaoui (2025),
    Constrained Implicit Learning, PMLR 260, with the bound on a alone (their algorithm 1 bounds (a, b)); the relaxed
    lasso is that of Meinshausen (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit.distill import from_states
    >>> rng = np.random.default_rng(0)
    >>> U = rng.normal(size=(200, 3))
    >>> Z1 = U @ rng.normal(size=(3, 4)) + 1  # the first layer of a network
    >>> Z2 = np.maximum(Z1, 0) @ rng.normal(size=(4, 2))
    >>> result = from_states(U, np.hstack([Z2, Z1]), np.maximum(Z2, 0), l1=0, structure=[4, 2])
    >>> result.relative_error < 1e-6, result.rule.inf_norm <= 0.95
    (True, True)
    """
    U, Z, Y, phi = _check_arrays(U, Z, Y, activation)
    _check_numbers(kappa=kappa, l1=l1, alpha=alpha)
    check_truths(direct=direct, refit=refit, regenerate=regenerate)
    n = Z.shape[1]
    if isinstance(structure, str):
        if structure != "no_self_loops":
            raise ValueError(f"structure must be 'no_self_loops', None, a mask or layer sizes, got {structure!r}.")
        mask = ~np.eye(n, dtype=bool)
    else:
        mask = check_structure(structure, n)
    kappa = kappa / max(1.0, np.max(phi.lipschitz, initial=0.0))
    layered = mask is not None and not any(block.implicit for block in block_triangular_order(mask))
    scaling = kappa > 0 and phi.homogeneous and layered
    samples = Samples(U, Y)
    X, scale = phi(Z), np.ones(n)
    W = _match(samples, Z, X, np.inf if scaling else kappa, l1, alpha, mask, refit)
    if scaling and np.abs(W[:, :n]).sum(axis=1).max(initial=0.0) > kappa:
        v: Any = perron_certificate(W[:, :n], 1.0 / kappa)  # layers have one
        W = np.hstack([W[:, :n] * v, W[:, n:]]) / v[:, None]
        W[:, :n] = project_rows_l1(W[:, :n], kappa)  # inside already, but for rounding
        Z, X, scale = Z / v, X / v, 1.0 / v
    moments = samples.moments(X)
    b = samples.mean(Z) - W[:, :n] @ moments.X_mean
    objective = SquaredObjective(samples, phi, direct)
    point = objective.evaluate(W, b, alpha, tol=_TOL).point
    if not regenerate:
        point = replace(point, X_mean=moments.X_mean, readout=ridge_readout(moments, alpha, direct))
    return _report(objective.rule(point), U, Z, X, Y, scale)


def _match(samples, Z, X, kappa, l1, alpha, mask, refit):
    """Return ``W = [A B]``, for scaled inputs: the rows of the program."""
    moments, n = samples.moments(X), Z.shape[1]
    Z_spread = np.sqrt(samples.mean((Z - samples.mean(Z)) ** 2))
    # Of a row that does not vary, beta_i is all there is to it.
    varies = np.ptp(Z, axis=0) > 16 * np.finfo(float).eps * np.abs(Z).max(axis=0)
    Z = np.where(varies, Z - samples.mean(Z), 0.0)
    weights = l1 * Z_spread[:, None] * np.sqrt(moments.gram.diagonal())
    problem = MatchingProblem(
        G=moments.gram,
        R=np.hstack([samples.times_states(Z, X, moments.X_mean), samples.times_inputs(Z)]),
        curvature=np.ones(n),
        ridge=alpha,
        kappa=kappa,
        structure=mask,
        l1=weights if l1 > 0 else None,
    )
    solver = ProjectedSolver()
    W = solver.solve(problem, np.zeros_like(problem.R))
    return solver.solve(replace(problem, structure=W != 0, l1=None), W) if l1 > 0 and refit else W


def _report(rule, U, Z, X, Y, scale):
    """Return the record: what the rule makes of the inputs beside what was given."""
    residual = Z - (X @ rule.A.T + U @ rule.B.T + rule.b)
    solution = rule.solve(U, rtol=_TOL)
    change = solution.states - X
    return Distillation(
        rule=rule,
        relative_residual=_ratio(residual, Z - Z.mean(axis=0)),
        relative_drift=_ratio(change, X),
        relative_error=_ratio(Y - rule.predict(U), Y - Y.mean(axis=0)),
        drift=np.abs(change).mean(axis=0),
        drift_bound=drift_bound(rule.A, rule.activation, residual).mean(axis=0),
        n_iter=int(solution.n_iter.max()),
        state_scale=scale,
    )


def _ratio(part, whole):
    size = np.linalg.norm(whole)
    return float(np.linalg.norm(part) / size) if size > 0 else 0.0


def _check_arrays(U, Z, Y, activation):
    """Return the checked arrays, as float64, and the activation."""
    U = check_array(U, accept_sparse="csr", dtype=np.float64, input_name="U")
    Z = check_array(Z, dtype=np.float64, input_name="Z")
    Y = check_array(Y, dtype=np.float64, ensure_2d=False, input_name="Y")
    Y = Y[:, None] if Y.ndim == 1 else Y
    if not U.shape[0] == Z.shape[0] == Y.shape[0]:
        sizes = f"{U.shape[0]}, {Z.shape[0]} and {Y.shape[0]}"
        raise ValueError(f"U, Z and Y must have the same number of rows, got {sizes}.")
    phi = activation_of(activation, Z.shape[1])
    if phi.groups is not None:
        raise ValueError(f"activation {phi.name!r} takes states together; matching needs one that takes each alone.")
    if not np.all(np.isfinite(phi.lipschitz)):
        raise ValueError(f"The slope of activation {phi.name!r} has no bound; matching needs one.")
    return U, Z, Y, phi


def _check_numbers(**numbers_by_name):
    """Refuse a kappa outside [0, 1), or an l1 or alpha below 0."""
    for name, value in numbers_by_name.items():
        most = 1.0 if name == "kappa" else np.inf
        if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 <= value < most:
            raise ValueError(f"{name} must be a number in [0, {most:g}), got {value!r}.")

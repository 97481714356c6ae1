"""Smaller rules from a rule, each with a certificate: how far an output can be from what it was."""

import numbers
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from skimplicit.distill.certificates import InputRegion
from skimplicit.distill.state_matching import sparsity
from skimplicit.linalg import MatrixLike, to_dense
from skimplicit.rule import ImplicitRule

__all__ = ["LowRank", "Pruning", "low_rank", "prune"]

# A state that cannot reach an output still has this share of the largest weight, for weights are divided by.
_LEAST_GAIN = 1e-6


@dataclass(frozen=True)
class Pruning:
    """A rule with fewer weights.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    output_bound : ndarray of shape (q,)
        Bound on how much each output differs from that of the original rule, for all inputs it was certified on.
    """

    rule: ImplicitRule
    output_bound: np.ndarray

    @property
    def sparsity(self):
        """Share of the entries of ``[A B]`` that are zero."""
        return sparsity(self.rule)


@dataclass(frozen=True)
class LowRank:
    """A rule whose A has a low rank, ``A = L R'``.

    Parameters
    ----------
    rule : ImplicitRule
        The rule.
    output_bound : ndarray of shape (q,)
        Bound on how much each output differs from that of the original rule, for all inputs it was certified on.
    L, R : ndarray of shape (n, r)
        The factors: n r numbers each, where A has n^2. The state ``z = R' x`` of size r meets
        ``z = R' phi(L z + B u + b)``.
    """

    rule: ImplicitRule
    output_bound: np.ndarray
    L: np.ndarray
    R: np.ndarray

    @property
    def rank(self):
        """The rank r."""
        return self.L.shape[1]


def prune(
    rule: ImplicitRule,
    U: MatrixLike | None = None,
    *,
    box: tuple[ArrayLike, ArrayLike] | None = None,
    threshold: float | None = None,
    tolerance: float | None = None,
) -> Pruning:
    """Set small weights of A and B to zero and return a bound on ``|y - y0|``, the change of each output.

    With the removed weights ``E = [A0 - A, B0 - B]`` and the states ``x0`` of the original rule, the bound is the
    largest value of ``|C| (I - Gamma |A|)^-1 Gamma |E [x0; u]|`` over the inputs u.

    Parameters
    ----------
    rule : ImplicitRule
        The original rule, with a Perron-Frobenius value of ``Gamma |A|`` below 1.
    U : array-like or CSR matrix of shape (m, p) or None
        The inputs to certify.
    box : tuple of two array-like of shape (p,) or None
        Instead of U, lower and upper ends of a box: all inputs in it are certified.
    threshold : float or None
        Set the weights of at most this size to zero.
    tolerance : float or None
        Instead of a threshold: remove the weights that matter least, as many as bisection finds while the bound of
        every output is at most this. How much a weight matters is the first-order bound for its removal alone: the
        largest ``(|C| (I - Gamma |A0|)^-1 Gamma)_qi |W_ij|``, times the largest size of the state or input j.

    Returns
    -------
    Pruning
        The rule and the bound.

    Raises
    ------
    TypeError
        If ``rule`` is no ImplicitRule: of a fitted estimator give its ``rule_``, or its ``clipped_rule()``.
    ValueError
        If not exactly one of U and box, and one of threshold and tolerance, is given; or if the rule is not certified.

    See Also
    --------
    low_rank : Reduce the rank of A instead of the number of weights.
    distill : Fit a sparse rule anew.

    Notes
    -----
    Source: El Ghaoui et al. (2021), theorem 5.1, corrected (see :func:`~skimplicit.distill.drift_bound`) and, as E is
    known, with ``|E [x0; u]|`` for ``|E| [|x0|; |u|]``. On a box ``x0`` is within
    ``(I - Gamma |A0|)^-1 Gamma |B0| radius`` of the state at its centre (theorem 4.1). The states of the original are
    those of :meth:`ImplicitRule.states`, with an error of about 1e-10 of their size, which the bound does not count.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.distill import prune
    >>> rule = ImplicitRule([[0.5, 0.01], [0.0, 0.2]], [[1.0], [1.0]], [[1.0, 1.0]])
    >>> result = prune(rule, box=([-1.0], [1.0]), threshold=0.1)
    >>> result.rule.A
    array([[0.5, 0. ],
           [0. , 0.2]])
    >>> result.output_bound.round(3)
    array([0.025])
    """
    region = InputRegion.of(rule, U, box)
    _check_one(threshold=threshold, tolerance=tolerance)
    entries = [sparse.coo_array(M) for M in (rule.A, rule.B)]
    if threshold is None:
        gain, sizes = region.gain, (region.state_size, region.input_size)
        effects = [gain[M.row] * np.abs(M.data) * size[M.col] for M, size in zip(entries, sizes, strict=True)]
    else:
        effects = [np.abs(M.data) for M in entries]

    def pruned(level):
        A, B = (_kept(M, effect > level) for M, effect in zip(entries, effects, strict=True))
        return replace(
            rule, A=A if sparse.issparse(rule.A) else A.toarray(), B=B if sparse.issparse(rule.B) else B.toarray()
        )

    if threshold is None:
        levels = np.unique(np.concatenate([[0.0], *effects]))
        threshold = levels[_last(lambda k: region.allows(pruned(levels[k]), tolerance), levels.size)]
    smaller = pruned(threshold)
    return Pruning(smaller, region.output_bound(smaller))


def low_rank(
    rule: ImplicitRule,
    U: MatrixLike | None = None,
    *,
    box: tuple[ArrayLike, ArrayLike] | None = None,
    rank: int | None = None,
    tolerance: float | None = None,
) -> LowRank:
    """Replace A by a matrix ``L R'`` of low rank and return a bound on ``|y - y0|``, the change of each output.

    ``L R'`` is nearest to A in a norm of its effect on the states, ``||diag(g) (A - L R') X'||_F``, where
    ``g_i = max_q (|C| (I - Gamma |A|)^-1 Gamma)_qi`` is what an error of state i can do to an output; its rows are then
    shrunk to the infinity norm of A where they exceed it. The bound is that of :func:`prune`.

    Parameters
    ----------
    rule : ImplicitRule
        The original rule, with a Perron-Frobenius value of ``Gamma |A|`` below 1.
    U : array-like or CSR matrix of shape (m, p) or None
        The inputs to certify.
    box : tuple of two array-like of shape (p,) or None
        Instead of U, lower and upper ends of a box: all inputs in it are certified.
    rank : int or None
        The rank r, at most n.
    tolerance : float or None
        Instead of a rank: the smallest one that bisection finds for which the bound of every output is at most this.

    Returns
    -------
    LowRank
        The rule, the bound and the factors.

    Raises
    ------
    TypeError
        If ``rule`` is no ImplicitRule: of a fitted estimator give its ``rule_``, or its ``clipped_rule()``.
    ValueError
        If not exactly one of U and box, and one of rank and tolerance, is given; or if the rule, or the rule of low
        rank, is not certified (which cannot happen when ``Gamma ||A||_inf < 1``).

    See Also
    --------
    prune : Reduce the number of weights instead of the rank of A.

    Notes
    -----
    Source: El Ghaoui et al. (2021), section 5. The rule keeps its n states, since phi acts on each of them. Only the
    product with A becomes cheaper, 2 n r instead of n^2 operations, if the factors are used.

    Examples
    --------
    >>> import numpy as np
    >>> from skimplicit import ImplicitRule
    >>> from skimplicit.distill import low_rank
    >>> rule = ImplicitRule(np.full((3, 3), 0.3), np.eye(3), np.ones((1, 3)))
    >>> result = low_rank(rule, box=(np.zeros(3), np.ones(3)), tolerance=1e-9)
    >>> result.rank, bool(result.output_bound.max() < 1e-9)
    (1, True)
    """
    region = InputRegion.of(rule, U, box)
    _check_one(rank=rank, tolerance=tolerance)
    n = rule.n_hidden
    if rank is not None and not (isinstance(rank, numbers.Integral) and rank <= n):
        raise ValueError(f"rank must be an integer of at most n_hidden={n}, got {rank!r}.")
    gain = np.maximum(region.gain, _LEAST_GAIN * (region.gain.max(initial=0.0) or 1.0))
    weighted = gain[:, None] * to_dense(rule.A)
    left = np.linalg.svd(weighted @ region.state_factor)[0]
    bound = rule.inf_norm * (1 - 1e-12)

    def truncated(r):
        if r == n:
            return np.array(to_dense(rule.A)), np.eye(n), rule
        L, R = left[:, :r] / gain[:, None], weighted.T @ left[:, :r]
        rows = np.abs(L @ R.T).sum(axis=1)
        L *= np.minimum(1.0, bound / np.where(rows > 0, rows, 1.0))[:, None]
        return L, R, replace(rule, A=L @ R.T)

    if rank is None:
        rank = n - _last(lambda k: region.allows(truncated(n - k)[2], tolerance), n + 1)
    L, R, smaller = truncated(rank)
    return LowRank(smaller, region.output_bound(smaller), L, R)


def _check_one(**choices):
    """Refuse none or two of the choices, and numbers below 0."""
    given = {name: value for name, value in choices.items() if value is not None}
    if len(given) != 1:
        raise ValueError(f"Give exactly one of {' and '.join(choices)}.")
    for name, value in given.items():
        if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 <= value < np.inf:
            raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}.")


def _last(holds, size):
    """Return the k in ``range(size)`` that bisection finds as the last for which ``holds(k)``; 0 is taken to hold."""
    low, high = 0, size
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _kept(M, keep):
    """Return a matrix with some of the entries of a COO matrix."""
    return sparse.csr_array((M.data[keep], (M.row[keep], M.col[keep])), shape=M.shape)

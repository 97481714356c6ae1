"""The methods for ``x = phi(A x + z)`` by name, the choice between them, and what each prepares from A once."""

from functools import partial

import numpy as np

from skimplicit.activations import activation_of, is_increasing
from skimplicit.equilibrium.loop import Stopping
from skimplicit.equilibrium.safeguarded import AndersonSteps, DiagonalNewtonSteps, NewtonSteps, Safeguarded
from skimplicit.equilibrium.sweeps import AveragedSweep, ForwardSweep, ResolventSweep
from skimplicit.linalg import row_scaled, without_diagonal
from skimplicit.parameters import nearest
from skimplicit.wellposedness import Condition, inf_norm, perron_certificate, well_posedness

__all__ = ["METHODS", "choose_method", "equilibrium", "prepare_method", "solve_equilibrium"]

_MAKERS = {
    "picard": ForwardSweep,
    "averaged": AveragedSweep,
    "anderson": partial(Safeguarded, AndersonSteps),
    "diagonal_newton": partial(Safeguarded, DiagonalNewtonSteps),
    "newton": partial(Safeguarded, NewtonSteps),
    "peaceman_rachford": ResolventSweep,
}
#: Methods for an implicit block of states, see :func:`solve_equilibrium`.
METHODS = tuple(_MAKERS)

# Without a certificate, auto takes Newton's method, which factors a matrix for each row, up to this number of states.
_NEWTON_SIZE = 40


def equilibrium(A, drive, activation, *, start=None, rtol=1e-10, atol=0.0, max_iter=10_000):
    """Solve ``x = phi(A x + z)`` for every row z of ``drive`` by plain iteration, self-loops in closed form.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    drive : array-like of shape (m, n)
        The rows z, that is ``B u + b``.
    activation : BaseActivation
        phi.
    start : array-like of shape (m, n) or None
        States to start from; None for phi(z).
    rtol, atol : float
        A row has converged when its error bound is at most ``max(rtol * max_i |x_i|, atol)``; with ``atol=0`` the
        result of a row is independent of all other rows.
    max_iter : int
        Most sweeps.

    Returns
    -------
    FixedPoint
        States, residuals, error bounds, iterations and status of each row.

    Raises
    ------
    ValueError
        If a tolerance is negative or max_iter below 1.

    Notes
    -----
    Bounds by ``|x - x*| <= (I - |M|)^-1 |x - T(x)|`` with M the matrix of the sweep T. When no certificate exists, a
    row has converged when its residual, not its error, is below the tolerance.
    """
    sweep, stopping = ForwardSweep(A, activation_of(activation, A.shape[0])), Stopping(rtol, atol, max_iter)
    return sweep.solve(_floats(drive), start=_floats(start), stopping=stopping)


def solve_equilibrium(A, drive, activation, *, method="auto", start=None, rtol=1e-10, atol=0.0, max_iter=10_000):
    """Solve ``x = phi(A x + z)`` for every row z of ``drive`` by the method of that name.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    drive : array-like of shape (m, n)
        The rows z.
    activation : BaseActivation
        phi.
    method : {"auto", "picard", "averaged", "anderson", "diagonal_newton", "newton", "peaceman_rachford"}
        - "picard": :func:`equilibrium`, the plain iteration with self-loops solved where they have a closed form;
          contracts when the Perron-Frobenius value of ``Gamma |A|`` is below 1;
        - "averaged": ``x <- (1 - alpha) x + alpha phi(A x + z)``; contracts when ``mu_inf(Gamma A) < 1``;
        - "anderson": Anderson's acceleration of it, safeguarded;
        - "diagonal_newton": Newton's step for the self-loops alone, safeguarded; fast when they dominate; componentwise
          activations only;
        - "newton": Newton's method, safeguarded; componentwise activations only;
        - "peaceman_rachford": splitting, contracts when ``I - Gamma A`` is strongly monotone in a diagonal metric;
          componentwise activations with slopes of at least 0;
        - "auto": by :func:`choose_method`.
    start : array-like of shape (m, n) or None
        States to start from; None for phi(z).
    rtol, atol, max_iter : float, float, int
        As in :func:`equilibrium`; whatever a method iterates on, the tolerances are those of the states.

    Returns
    -------
    FixedPoint
        States, residuals, error bounds, iterations and status of each row.

    Raises
    ------
    ValueError
        If there is no method of that name, it does not support the activation, or a number is out of range.

    Notes
    -----
    Sources: El Ghaoui et al. (2021), Jafarpour et al. (2021) for "averaged", Walker and Ni (2011) for "anderson",
    Winston and Kolter (2020) for "peaceman_rachford".
    """
    stopping = Stopping(rtol, atol, max_iter)
    return prepare_method(A, activation, method).solve(_floats(drive), start=_floats(start), stopping=stopping)


def _floats(rows):
    """Return rows as the loops work on them, whatever the type and order of bytes of their numbers; None as it is."""
    return None if rows is None else np.asarray(rows, dtype=np.float64)


def prepare_method(A, activation, method="auto"):
    """Return the method of that name with all that it needs of A, for any number of calls of its ``solve``.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    activation : BaseActivation
        phi.
    method : str
        As in :func:`solve_equilibrium`.

    Returns
    -------
    Sweep or Safeguarded
        With ``solve(drive, *, start=None, stopping)``, which returns a :class:`~skimplicit.equilibrium.FixedPoint`.

    Raises
    ------
    ValueError
        If there is no method of that name, or it does not support the activation.
    """
    activation = activation_of(activation, A.shape[0])
    if method == "auto":
        method = choose_method(A, activation)
    if method not in METHODS:
        names = ("auto", *METHODS)
        raise ValueError(f"method must be one of {names}, got {method!r}.{nearest(method, names)}")
    if activation.groups is not None and method in ("diagonal_newton", "newton", "peaceman_rachford"):
        raise ValueError(f"method={method!r} needs a componentwise activation, {activation.name!r} is not.")
    if method == "peaceman_rachford" and not (
        is_increasing(activation) and np.all(np.asarray(activation.max_slope) > 0)
    ):
        raise ValueError(f"method={method!r} needs an increasing activation, {activation.name!r} is not.")
    return _MAKERS[method](A, activation)


def choose_method(A, activation):
    """Return the method that ``method="auto"`` uses for an implicit block.

    Parameters
    ----------
    A : ndarray or sparse array of shape (n, n)
        Weights of the state.
    activation : BaseActivation
        phi.

    Returns
    -------
    str
        "picard" or "diagonal_newton" when a certificate says that they converge, whichever contracts faster for its
        cost; "peaceman_rachford" when ``I - Gamma A`` is strongly monotone; otherwise, without a guarantee, "newton"
        for a small A and "anderson" for a large one.
    """
    activation = activation_of(activation, A.shape[0])
    if activation.groups is not None:
        return "picard" if perron_certificate(A, activation.lipschitz, activation.groups) is not None else "anderson"
    if activation.homogeneous and ForwardSweep(A, activation).contracts:
        return "picard"
    if not np.all(np.isfinite(activation.lipschitz)):
        return "newton" if A.shape[0] <= _NEWTON_SIZE else "anderson"
    picard = inf_norm(row_scaled(A, activation.lipschitz))
    remaining = 1.0 - activation.lipschitz * A.diagonal()
    if np.all(remaining > 0):
        newton = inf_norm(row_scaled(without_diagonal(A), activation.lipschitz / remaining))
        # One step of diagonal Newton costs two sweeps.
        if picard < 1:
            return "diagonal_newton" if newton < picard**2 else "picard"
    condition = well_posedness(A, activation, lmi=False).condition
    if condition in (Condition.PERRON_FROBENIUS, Condition.MU_INF):
        return "diagonal_newton"
    if condition is Condition.MONOTONE:
        return "peaceman_rachford"
    return "newton" if A.shape[0] <= _NEWTON_SIZE else "anderson"

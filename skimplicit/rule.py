"""The implicit rule itself: four matrices, two intercepts and an activation."""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array

from skimplicit.activations import Activation, get_activation
from skimplicit.fixed_point import equilibrium
from skimplicit.wellposedness import inf_norm, perron_certificate

__all__ = ["ImplicitRule"]


@dataclass(frozen=True, eq=False, repr=False)
class ImplicitRule:
    """``y = C x + D u + c`` where ``x = phi(A x + B u + b)``.

    Parameters
    ----------
    A : array-like of shape (n, n)
        Weights from states to states.
    B : array-like of shape (n, p)
        Weights from inputs to states.
    C : array-like of shape (q, n)
        Weights from states to outputs.
    D : array-like of shape (q, p) or None
        Direct weights from inputs to outputs; None for zeros.
    b : array-like of shape (n,) or None
        Intercept of the states; None for zeros.
    c : array-like of shape (q,) or None
        Intercept of the outputs; None for zeros.
    activation : str or Activation
        phi.

    Raises
    ------
    ValueError
        If an array is not finite or the shapes do not fit; the message names the array.

    Notes
    -----
    Arrays are copied as float64 and made read-only. Source: El Ghaoui et al. (2021), section 1.

    Examples
    --------
    >>> from skimplicit import ImplicitRule
    >>> rule = ImplicitRule(A=[[0.5]], B=[[1.0]], C=[[2.0]], c=[1.0])
    >>> rule
    ImplicitRule(A=(1, 1), B=(1, 1), C=(1, 1), D=(1, 1), activation='relu')
    >>> rule.predict([[3.0], [-1.0]])
    array([[13.],
           [ 1.]])
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray | None = None
    b: np.ndarray | None = None
    c: np.ndarray | None = None
    activation: Activation = field(default="relu")

    def __post_init__(self):
        """Check shapes and values once, and freeze the arrays."""
        A, B, C = (_array(getattr(self, name), name, 2) for name in "ABC")
        n, p, q = A.shape[0], B.shape[1], C.shape[0]
        D = np.zeros((q, p)) if self.D is None else _array(self.D, "D", 2)
        b = np.zeros(n) if self.b is None else _array(self.b, "b", 1)
        c = np.zeros(q) if self.c is None else _array(self.c, "c", 1)
        for name, array, shape in (
            ("A", A, (n, n)),
            ("B", B, (n, p)),
            ("C", C, (q, n)),
            ("D", D, (q, p)),
            ("b", b, (n,)),
            ("c", c, (q,)),
        ):
            if array.shape != shape:
                raise ValueError(f"{name} must have shape {shape} to fit the other arrays, got {array.shape}.")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "activation", get_activation(self.activation))

    @property
    def n_hidden(self):
        """Number of states n."""
        return self.A.shape[0]

    @property
    def n_inputs(self):
        """Number of inputs p."""
        return self.B.shape[1]

    @property
    def n_outputs(self):
        """Number of outputs q."""
        return self.C.shape[0]

    @property
    def inf_norm(self):
        """``||A||_inf``, the largest absolute row sum of A."""
        return inf_norm(self.A)

    def is_well_posed(self):
        """Tell whether the Perron-Frobenius value of ``gamma |A|`` is certified below 1 (gamma: the Lipschitz constant of phi).

        Returns
        -------
        bool
            True: every input has exactly one state and iteration finds it. False: not certified, which is not a proof of
            the contrary.
        """
        return perron_certificate(self.A, self.activation.lipschitz) is not None

    def solve(self, U, *, tol=1e-10, max_iter=10_000):
        """Solve ``x = phi(A x + B u + b)`` for every row of U and report on each.

        Parameters
        ----------
        U : array-like or sparse matrix of shape (m, p)
            Inputs.
        tol : float
            Relative error allowed in each row.
        max_iter : int
            Most sweeps.

        Returns
        -------
        FixedPoint
            States with residual, error bound, iterations and convergence of each row.
        """
        U = self._check_inputs(U)
        drive = np.asarray(U @ self.B.T) + self.b
        return equilibrium(self.A, drive, self.activation, tol=tol, max_iter=max_iter)

    def states(self, U, *, tol=1e-10, max_iter=10_000):
        """Return the states ``x = phi(A x + B u + b)`` of every row of U.

        Parameters
        ----------
        U : array-like or sparse matrix of shape (m, p)
            Inputs.
        tol : float
            Relative error allowed in each row.
        max_iter : int
            Most sweeps.

        Returns
        -------
        ndarray of shape (m, n)
            The states. A :class:`~sklearn.exceptions.ConvergenceWarning` tells when some row missed the tolerance.
        """
        solution = self.solve(U, tol=tol, max_iter=max_iter)
        if not solution.converged.all():
            warnings.warn(
                f"{np.count_nonzero(~solution.converged)} of {solution.converged.size}: {solution.status.value}.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return solution.states

    def predict(self, U):
        """Return ``y = C x + D u + c`` for every row of U.

        Parameters
        ----------
        U : array-like or sparse matrix of shape (m, p)
            Inputs.

        Returns
        -------
        ndarray of shape (m, q)
            The outputs.
        """
        U = self._check_inputs(U)
        return self.states(U) @ self.C.T + np.asarray(U @ self.D.T) + self.c

    def rescaled(self, kappa):
        """Return the rule ``(S A S^-1, S B, C S^-1, D)``, the same map, with ``||S A S^-1||_inf < kappa``.

        Parameters
        ----------
        kappa : float
            The wanted bound, above the Perron-Frobenius value of |A|.

        Returns
        -------
        ImplicitRule
            Same outputs, smaller norm.

        Raises
        ------
        ValueError
            If phi is not positively homogeneous, or the Perron-Frobenius value of |A| is not below kappa.

        Notes
        -----
        ``S = diag(1 / v)`` where ``(kappa I - |A|) v = 1``; works for reducible A, unlike the printed choice of El Ghaoui
        et al. (2021), equation 2.7.
        """
        if not self.activation.homogeneous:
            raise ValueError(
                f"Only a positively homogeneous activation allows rescaling, not {self.activation.name!r}."
            )
        v = perron_certificate(self.A, 1.0 / kappa) if kappa > 0 else None
        if v is None:
            raise ValueError(f"kappa={kappa} must exceed the Perron-Frobenius value of |A|.")
        return replace(self, A=self.A / v[:, None] * v, B=self.B / v[:, None], b=self.b / v, C=self.C * v)

    def _check_inputs(self, U):
        sizes = {"ensure_min_samples": 0, "ensure_min_features": 0}
        U = check_array(U, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="U", **sizes)
        if U.shape[1] != self.n_inputs:
            raise ValueError(f"U has {U.shape[1]} columns, but the rule has {self.n_inputs} inputs.")
        return U

    def __eq__(self, other):
        """Compare all arrays and the activation."""
        if not isinstance(other, ImplicitRule):
            return NotImplemented
        arrays = (np.array_equal(getattr(self, name), getattr(other, name)) for name in "ABCDbc")
        return self.activation == other.activation and all(arrays)

    __hash__ = None

    def __repr__(self):
        """Show the shapes of the four matrices."""
        shapes = ", ".join(f"{name}={getattr(self, name).shape}" for name in "ABCD")
        return f"ImplicitRule({shapes}, activation={self.activation.name!r})"

    def __setstate__(self, state):
        """Restore a pickled rule; pickling forgets that arrays are read-only."""
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)


def _array(value, name, ndim):
    """Return a finite float64 copy, in C order."""
    if sparse.issparse(value):
        value = value.toarray()
    options = {"ensure_2d": False, "allow_nd": True, "ensure_min_samples": 0, "ensure_min_features": 0}
    try:
        array = check_array(value, dtype=np.float64, order="C", copy=True, input_name=name, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of finite numbers. {error}") from error
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension(s), got {array.ndim}.")
    return array

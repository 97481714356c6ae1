"""The implicit rule itself: four matrices, two intercepts and an activation."""

import warnings
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array

from skimplicit.activations import BaseActivation, activation_of
from skimplicit.equilibrium import METHODS, FixedPoint, Stopping, Substitution, describe, prepare_method
from skimplicit.linalg import MatrixLike, checked_array, parts_of, read_only, row_scaled, same_values
from skimplicit.parameters import checked_number, nearest
from skimplicit.stacking import added, cascaded
from skimplicit.wellposedness import WellPosedness, inf_norm, perron_certificate, well_posedness

__all__ = ["ImplicitRule"]


@dataclass(frozen=True, eq=False, repr=False)
class ImplicitRule:
    """``y = C x + D u + c`` where ``x = phi(A x + B u + b)``.

    Parameters
    ----------
    A : array-like or sparse of shape (n, n)
        Weights from states to states.
    B : array-like or sparse of shape (n, p)
        Weights from inputs to states.
    C : array-like or sparse of shape (q, n)
        Weights from states to outputs.
    D : array-like or sparse of shape (q, p) or None
        Direct weights from inputs to outputs; None for zeros.
    b : array-like of shape (n,) or None
        Intercept of the states; None for zeros.
    c : array-like of shape (q,) or None
        Intercept of the outputs; None for zeros.
    activation : str or BaseActivation
        phi: one for all states, or a :class:`~skimplicit.activations.BlockActivation`.

    Raises
    ------
    ValueError
        If an array is not finite or the shapes do not fit; the message names the array.

    See Also
    --------
    ImplicitRegressor.from_rule : An estimator around a rule.
    skimplicit.networks.from_sklearn : A fitted model as a rule.
    skimplicit.networks.cascade : Rules applied one after another.

    Notes
    -----
    Arrays are copied as float64 and made read-only; sparse ones stay sparse, in CSR format. Source:
    El Ghaoui et al. (2021), section 1.

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
    D: np.ndarray = field(default=None)
    b: np.ndarray = field(default=None)
    c: np.ndarray = field(default=None)
    activation: BaseActivation = field(default="relu")

    if TYPE_CHECKING:  # what is given need not have the type of what is stored

        def __init__(  # noqa: D107
            self,
            A: MatrixLike,
            B: MatrixLike,
            C: MatrixLike,
            D: MatrixLike | None = None,
            b: ArrayLike | None = None,
            c: ArrayLike | None = None,
            activation: str | BaseActivation = "relu",
        ) -> None: ...

    def __post_init__(self):
        """Check shapes and values once, and freeze the arrays."""
        A, B, C = (checked_array(getattr(self, name), name, 2) for name in "ABC")
        n, p, q = A.shape[0], B.shape[1], C.shape[0]
        zeros = sparse.csr_array if sparse.issparse(B) or sparse.issparse(C) else np.zeros
        D = checked_array(zeros((q, p)) if self.D is None else self.D, "D", 2)
        b = np.zeros(n) if self.b is None else checked_array(self.b, "b", 1)
        c = np.zeros(q) if self.c is None else checked_array(self.c, "c", 1)
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
            object.__setattr__(self, name, read_only(array))
        object.__setattr__(self, "activation", activation_of(self.activation, n))

    @property
    def n_hidden(self) -> int:
        """Number of states n."""
        return self.A.shape[0]

    @property
    def n_inputs(self) -> int:
        """Number of inputs p."""
        return self.B.shape[1]

    @property
    def n_outputs(self) -> int:
        """Number of outputs q."""
        return self.C.shape[0]

    @property
    def inf_norm(self) -> float:
        """``||A||_inf``, the largest absolute row sum of A."""
        return inf_norm(self.A)

    def is_well_posed(self) -> bool:
        """Tell whether the Perron-Frobenius value of ``Gamma |A|`` is certified below 1.

        Gamma has the Lipschitz constants of phi on its diagonal. Where A is strictly triangular after a permutation the
        value is 0, whatever Gamma is.

        Returns
        -------
        bool
            True: every input has exactly one state and iteration finds it. False: not certified, which is not a proof
            of the contrary; :meth:`well_posedness` tries more.
        """
        if self._substitution.is_explicit:
            return True
        return perron_certificate(self.A, self.activation.lipschitz, self.activation.groups) is not None

    def well_posedness(self, *, lmi: bool = True) -> WellPosedness:
        """Report which condition makes the rule well posed, and how fast iteration converges.

        Parameters
        ----------
        lmi : bool
            Whether to solve a semidefinite program when all other tests fail.

        Returns
        -------
        WellPosedness
            See :func:`skimplicit.wellposedness.well_posedness`.
        """
        return well_posedness(self, lmi=lmi)

    def solve(
        self, U: MatrixLike, *, method: str = "auto", rtol: float = 1e-10, atol: float = 0.0, max_iter: int = 10_000
    ) -> FixedPoint:
        """Solve ``x = phi(A x + B u + b)`` for every row of U and report on each.

        Parameters
        ----------
        U : array-like or sparse matrix of shape (m, p)
            Inputs.
        method : str
            - "auto": by substitution in the order that makes A block triangular, where each block of states that need
              one another is solved by the method that suits it;
            - "direct": substitution alone, for an A that is strictly triangular after a permutation (feedforward);
            - "picard", "averaged", "anderson", "diagonal_newton", "newton", "peaceman_rachford": that iteration on the
              whole state, see :func:`~skimplicit.equilibrium.solve_equilibrium`.
        rtol, atol : float
            Errors allowed in the states of a row: ``max(rtol * max_i |x_i|, atol)``.
        max_iter : int
            Most iterations.

        Returns
        -------
        FixedPoint
            States with residual, error bound, iterations and status of each row.

        Raises
        ------
        ValueError
            If the inputs do not fit, the method is unknown or cannot solve this rule, or a number is out of range.
        """
        stopping = Stopping(rtol, atol, max_iter)
        U = self._check_inputs(U)
        if method not in ("auto", "direct"):
            if method not in METHODS:
                names = ("auto", "direct", *METHODS)
                raise ValueError(f"method must be one of {names}, got {method!r}.{nearest(method, names)}")
            drive = U @ self.B.T
            drive = (drive.toarray() if sparse.issparse(drive) else drive) + self.b
            return self._prepared(method).solve(drive, stopping=stopping)
        if method == "direct" and not self._substitution.is_explicit:
            raise ValueError("method='direct' needs an A that is strictly triangular after a permutation.")
        return self._substitution.solve(U, stopping=stopping)

    def states(
        self, U: MatrixLike, *, method: str = "auto", rtol: float = 1e-10, atol: float = 0.0, max_iter: int = 10_000
    ) -> np.ndarray:
        """Return the states ``x = phi(A x + B u + b)`` of every row of U.

        Parameters
        ----------
        U : array-like or sparse matrix of shape (m, p)
            Inputs.
        method : str
            As in :meth:`solve`.
        rtol, atol : float
            Errors allowed in the states of a row: ``max(rtol * max_i |x_i|, atol)``.
        max_iter : int
            Most iterations.

        Returns
        -------
        ndarray of shape (m, n)
            The states. A :class:`~sklearn.exceptions.ConvergenceWarning` tells how many rows missed the
            tolerance, and how they ended.
        """
        solution = self.solve(U, method=method, rtol=rtol, atol=atol, max_iter=max_iter)
        _warn_unless_converged(solution.status_code)
        return solution.states

    def predict(self, U: MatrixLike) -> np.ndarray:
        """Return ``y = C x + D u + c`` for every row of U.

        Parameters
        ----------
        U : array-like or sparse matrix of shape (m, p)
            Inputs.

        Returns
        -------
        ndarray of shape (m, q)
            The outputs, from states to the tolerance of :meth:`states`, with its warning.
        """
        Y, status_code = self._substitution.predict(self._check_inputs(U), stopping=Stopping())
        _warn_unless_converged(status_code)
        return Y

    def rescaled(self, kappa: float) -> "ImplicitRule":
        """Return the rule ``(S A S^-1, S B, C S^-1, D)``, the same map, with ``||S A S^-1||_inf < kappa``.

        Parameters
        ----------
        kappa : float
            The wanted bound, above the Perron-Frobenius value of ``|A|``.

        Returns
        -------
        ImplicitRule
            Same outputs, smaller norm.

        Raises
        ------
        TypeError
            If kappa is no number.
        ValueError
            If phi is not positively homogeneous, or the Perron-Frobenius value of ``|A|`` is not below kappa.

        Notes
        -----
        ``S = diag(1 / v)`` where ``(kappa I - |A|) v = 1``; works for reducible A, unlike the printed choice of El
        Ghaoui et al. (2021), equation 2.7.
        """
        if not self.activation.homogeneous:
            raise ValueError(
                f"Only a positively homogeneous activation allows rescaling, not {self.activation.name!r}."
            )
        kappa = checked_number(kappa, "kappa")
        v = perron_certificate(self.A, 1.0 / kappa, self.activation.groups) if kappa > 0 else None
        if v is None:
            raise ValueError(f"kappa={kappa} must exceed the Perron-Frobenius value of |A|.")
        arrays = {"A": row_scaled(self.A, 1 / v) * v, "B": row_scaled(self.B, 1 / v), "b": self.b / v}
        return replace(self, **arrays, C=self.C * v)

    def __matmul__(self, first):
        """Return ``self(first(u))``, the :func:`~skimplicit.composition.cascade` of ``first`` and this rule."""
        return ImplicitRule(**cascaded(first, self)) if isinstance(first, ImplicitRule) else NotImplemented

    def __add__(self, other):
        """Return ``self(u) + other(u)``, see :func:`~skimplicit.composition.parallel`."""
        return ImplicitRule(**added([self, other], [1.0, 1.0])) if isinstance(other, ImplicitRule) else NotImplemented

    @cached_property
    def _substitution(self):
        return Substitution(self)

    @cached_property
    def _methods(self):
        return {}

    def _prepared(self, method):
        """Return a method for the whole state; what it needs of A is made once and kept with the rule."""
        if method not in self._methods:
            self._methods[method] = prepare_method(self.A, self.activation, method)
        return self._methods[method]

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
        arrays = (same_values(getattr(self, name), getattr(other, name)) for name in "ABCDbc")
        return self.activation == other.activation and all(arrays)

    __hash__ = None

    def __repr__(self):
        """Show the shapes of the four matrices."""
        shapes = ", ".join(f"{name}={getattr(self, name).shape}" for name in "ABCD")
        return f"ImplicitRule({shapes}, activation={self.activation.name!r})"

    def __getstate__(self):
        """Leave out what can be computed again, and store sparse arrays as their parts."""
        return {entry.name: parts_of(getattr(self, entry.name)) for entry in fields(self)}

    def __setstate__(self, state):
        """Restore a stored rule, checked like a new one: a file may be damaged or written by somebody else."""
        for name, value in state.items():
            value = sparse.csr_array(value[:3], shape=value[3]) if type(value) is tuple else value
            object.__setattr__(self, name, value)
        self.__post_init__()


def _warn_unless_converged(status_code):
    if status_code.any():
        warnings.warn(describe(status_code), ConvergenceWarning, stacklevel=3)

"""The own solver of the curvature block: what is free is eliminated, the rows of A are solved by their active sets."""

import numpy as np

from skimplicit.linalg import CholeskyFactor
from skimplicit.subproblems.faces import FaceProgram, minimise_on_faces
from skimplicit.subproblems.quadratic_forms import LowRankForm, MatrixForm

__all__ = ["WorkingSetSolver", "polished"]

# How near to the minimiser, as a share of its size, a solution is that another solver has found: CVXPY's come to 1e-5.
_NEAR = 1e-3
# Columns of a root, for each of its rows, up to which the form is solved by the columns (229 rows with 102 and 200
# columns: half of the time, and 1.4 times, 150 .9; 120 with 60 and 60 with 20: .7 and .8).
_FEW_COLUMNS = 0.65


class WorkingSetSolver:
    """Solve curvature problems without custom constraints.

    Without a budget or a row set, B and b are free: they are eliminated by a Schur complement. What is left is a
    program in the moving entries of A, whose rows are in l1 balls. An active-set iteration finds which balls bind and
    which entries are zero; its end is the exact minimiser, for its optimality conditions have been verified. Where it
    cycles, and under a budget, alternating directions (ADMM) with one factorisation give a feasible point near the
    minimiser. Entries of A that do not move take their part of the balls; under a budget they have to be zero.

    Parameters
    ----------
    tol : float
        The splitting stops when no entry moves by more than ``tol`` times the bound.
    max_iter : int
        Most iterations of the splitting.
    """

    def __init__(self, tol=1e-9, max_iter=2000):
        self.tol = tol
        self.max_iter = max_iter

    def solve(self, problem):
        """Return the minimiser.

        Parameters
        ----------
        problem : CurvatureProblem
            The problem.

        Returns
        -------
        W : ndarray of shape (n, n + p)
            The minimiser, exactly inside the bounds.
        lift : ndarray of shape (n,)
            The lift of the mean pre-activations.

        Raises
        ------
        ValueError
            If the problem has custom constraints.
        """
        if problem.constraints is not None:
            raise ValueError("The working-set solver cannot take custom constraints; use solver='cvxpy'.")
        program = _BoundedProgram(problem)
        found = minimise_on_faces(program.faces, program.start) if problem.budget is None else None
        if found is None:
            found = self._split(program.faces, program.start, program.projection(), problem.kappa)
        return program.complete(found)

    def _split(self, program, start, project, kappa):
        """Minimise over the bounded entries by ADMM; return them, a feasible ndarray."""
        if start.size == 0:
            return start
        Q = program.form.matrix
        weight = float(np.trace(Q)) / start.size
        inverse = np.linalg.inv(Q + weight * np.eye(start.size))
        inside, dual = start, np.zeros_like(start)
        for _ in range(self.max_iter):
            free = inverse @ (weight * (inside - dual) - program.linear)
            before = inside
            inside = project(free + dual)
            dual = dual + free - inside
            largest = max(np.abs(free - inside).max(), np.abs(inside - before).max())
            if largest <= self.tol * max(np.abs(inside).max(), kappa):
                break
        return inside


class _BoundedProgram:
    """A curvature problem in the entries that are subject to bounds alone, what is free at its best.

    Parameters
    ----------
    problem : CurvatureProblem
        The problem.
    """

    def __init__(self, problem):
        self._problem = problem
        bounded = self._n_bounded(problem)
        self._eliminated = _eliminate(problem, bounded)
        self._rows, self._columns = (index[:bounded] for index in problem.entries)
        self.start = self.entries_of(problem.V)
        # In the entries themselves, not in their moves.
        linear = self._eliminated.linear - self._eliminated.form.times(self.start)
        self.faces = FaceProgram(self._eliminated.form, linear, *problem.balls(self._rows, self._columns))

    @staticmethod
    def _n_bounded(problem):
        """Return how many of the first variables are subject to bounds."""
        n = problem.n_hidden
        in_A = int(np.count_nonzero(problem.moving[:, :n]))
        only_A = problem.budget is None and problem.row_set is None
        return in_A if only_A else in_A + int(np.count_nonzero(problem.moving[:, n:]))

    def entries_of(self, W):
        """Return the bounded entries of W, an ndarray."""
        return W[self._rows, self._columns]

    def complete(self, entries):
        """Return W, exactly inside the bounds, and the lift, of the bounded entries."""
        W, lift = self._problem.at(self._eliminated.complete(entries - self.start))
        return self._problem.project(W), lift

    def projection(self):
        """Return the projection of the bounded entries on their set, a function."""
        if self._problem.budget is None:
            return self.faces.project

        def project(entries):
            W = self._problem.V.copy()
            W[self._rows, self._columns] = entries
            return self.entries_of(self._problem.project(W))

        return project


def polished(problem, W, lift):
    """Return the exact minimiser where it is what another solver has found up to its tolerance, else that solution.

    Parameters
    ----------
    problem : CurvatureProblem
        The problem, without custom constraints.
    W : ndarray of shape (n, n + p)
        A solution up to a solver's tolerance, inside the bounds.
    lift : ndarray of shape (n,)
        The lift that belongs to it.

    Returns
    -------
    W : ndarray of shape (n, n + p)
        The minimiser.
    lift : ndarray of shape (n,)
        The lift of the mean pre-activations.
    """
    if problem.budget is not None:
        return W, lift
    program = _BoundedProgram(problem)
    faces, near = program.faces, program.entries_of(W)
    # A step along the projected gradient drops entries that are zero but for the solver's rounding.
    metric = faces.form.scales()
    slope = faces.form.times(near) + faces.linear
    found = minimise_on_faces(faces, faces.project(near - slope / metric**2, metric=metric))
    if found is None:
        return W, lift
    apart, size = (np.linalg.norm(metric * entries) for entries in (found - near, near))
    return program.complete(found) if apart <= _NEAR * size else (W, lift)


def _eliminate(problem, kept):
    """Return the program in its first variables alone, by what is smaller: the others, or the rows of the root."""
    root = problem.root
    if root is not None and root.shape[1] < problem.gradient.size - kept:
        return _EliminatedByRows(root, *problem.terms(), kept)
    return _Eliminated(*problem.system(), kept)


class _Eliminated:
    """The quadratic program in its first variables alone, the others at their best (Schur complement).

    Parameters
    ----------
    Q : ndarray of shape (P, P)
        Positive definite matrix.
    linear : ndarray of shape (P,)
        Linear term.
    kept : int
        Number of variables that stay.
    """

    def __init__(self, Q, linear, kept):
        self._factor = CholeskyFactor(Q[kept:, kept:])
        self._half = self._factor.forward(np.column_stack([Q[kept:, :kept], linear[kept:]]))
        cross, constant = self._half[:, :-1], self._half[:, -1]
        self.form = MatrixForm(Q[:kept, :kept] - cross.T @ cross)
        self.linear = linear[:kept] - cross.T @ constant

    def complete(self, d):
        """Return all variables, shape (P,), for the first ones d."""
        return np.concatenate([d, -self._factor.backward(self._half[:, -1] + self._half[:, :-1] @ d)])


class _EliminatedByRows:
    """The same of ``Q = K K' + diag(added)``, by a matrix of the size of the rows of K (Woodbury's formula).

    Parameters
    ----------
    root : ndarray of shape (P, N)
        K.
    added : ndarray of shape (P,)
        Positive diagonal.
    linear : ndarray of shape (P,)
        Linear term.
    kept : int
        Number of variables that stay.
    """

    def __init__(self, root, added, linear, kept):
        self._kept, self._rest = root[:kept], root[kept:]
        self._added, self._linear = added[kept:], linear[kept:]
        scaled = self._rest / np.sqrt(self._added)[:, None]
        inner = scaled.T @ scaled
        inner[np.diag_indices_from(inner)] += 1.0
        self._factor = CholeskyFactor(inner)
        self._shift = (self._linear / self._added) @ self._rest
        form = LowRankForm(self._kept, inner, self._factor, added[:kept])
        self.form = form if root.shape[1] <= _FEW_COLUMNS * kept else MatrixForm(form.matrix)
        self.linear = linear[:kept] - self._kept @ self._factor.solve(self._shift)

    def complete(self, d):
        """Return all variables, shape (P,), for the first ones d."""
        moved = self._factor.solve(d @ self._kept - self._shift)
        return np.concatenate([d, -(self._linear + self._rest @ moved) / self._added])

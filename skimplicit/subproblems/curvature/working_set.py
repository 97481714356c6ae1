"""The own solver of the curvature block: what is free is eliminated, the rows of A are solved by their active sets."""

import numpy as np

from skimplicit.linalg import CholeskyFactor
from skimplicit.subproblems.faces import FaceProgram, minimise_on_faces
from skimplicit.subproblems.quadratic_forms import LowRankForm, MatrixForm

__all__ = ["WorkingSetSolver"]

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
        bounded = self._n_bounded(problem)
        eliminated = _eliminate(problem, bounded)
        rows, columns = (index[:bounded] for index in problem.entries)
        start = problem.V[rows, columns]
        # In the entries themselves, not in their moves.
        linear = eliminated.linear - eliminated.form.times(start)
        faces = FaceProgram(eliminated.form, linear, *problem.balls(rows, columns))
        found = minimise_on_faces(faces, start) if problem.budget is None else None
        if found is None:
            found = self._split(faces, start, self._projection(problem, faces, rows, columns), problem.kappa)
        W, lift = problem.at(eliminated.complete(found - start))
        return problem.project(W), lift

    @staticmethod
    def _n_bounded(problem):
        """Return how many of the first variables are subject to bounds."""
        n = problem.n_hidden
        in_A = int(np.count_nonzero(problem.moving[:, :n]))
        only_A = problem.budget is None and problem.row_set is None
        return in_A if only_A else in_A + int(np.count_nonzero(problem.moving[:, n:]))

    @staticmethod
    def _projection(problem, faces, rows, columns):
        """Return the projection of the bounded entries on their set, a function."""
        if problem.budget is None:
            return faces.project

        def project(entries):
            W = problem.V.copy()
            W[rows, columns] = entries
            return problem.project(W)[rows, columns]

        return project

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

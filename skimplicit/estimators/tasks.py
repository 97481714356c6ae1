"""From parameters and data to what is trained: the choices that parameters stand for, and the training task."""

from dataclasses import replace

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_random_state

from skimplicit.activations import get_activation
from skimplicit.estimators.budgets import check_budget
from skimplicit.estimators.choices import Choices, check_numbers
from skimplicit.estimators.custom_constraints import of_readout, of_states
from skimplicit.estimators.lipschitz import lipschitz_balls
from skimplicit.estimators.methods import get_method
from skimplicit.estimators.monotonic import check_monotonic_cst, monotone_signs
from skimplicit.estimators.structure import check_structure
from skimplicit.estimators.validation_split import validation_split
from skimplicit.rows import Samples, merge_duplicates
from skimplicit.subproblems import RowSet, make_curvature_solver, make_solver
from skimplicit.training import Constraints, TrainingTask

__all__ = ["TaskMixin"]


class TaskMixin:
    """What an :class:`~skimplicit.estimators.base.ImplicitEstimator` makes of its parameters for training."""

    def _check_choices(self):
        """Return the :class:`Choices`; check what parameter constraints cannot say, before any work."""
        activation, method = get_activation(self.activation), get_method(self.method)
        activation.check()
        method.check(activation)
        check_numbers(self)
        if self.monotonic_cst is not None and np.min(activation.min_slope) < 0:
            raise ValueError(f"monotonic_cst needs an activation that never falls, got activation={self.activation!r}.")
        mask = check_structure(self.structure, self.n_hidden)
        direct = self.column_budget is None if self.direct == "auto" else bool(self.direct)
        check_budget(self, direct)
        return Choices(activation, mask, direct, method, self._choose_solver(method))

    def _choose_solver(self, method):
        """Return the solver of the equilibrium block, None for a method without one."""
        if method.has_equilibrium_block:
            return make_solver(self.solver, self.constraints is not None)
        if self.constraints is not None:
            raise ValueError(
                f"constraints cannot be used with method={self.method!r}, which would have to solve a program after "
                "every step; use method='bcd'."
            )
        if self.solver != "auto":
            raise ValueError(
                f"solver={self.solver!r} solves the equilibrium block, which method={self.method!r} does not have; "
                "leave solver='auto'."
            )
        return None

    def _make_task(self, X, targets, groups=None, direct_ridge=1.0, random_state=None):
        """Return the :class:`TrainingTask` of inputs and :class:`EncodedTargets`, by the estimator's seed if None."""
        chosen = self._check_choices()
        random_state = self.random_state if random_state is None else random_state
        held_out = seed = None
        if chosen.method.holds_out:
            fraction = chosen.method.validation_fraction
            (U, Y, weights), held_out = validation_split(X, targets, fraction, random_state)
        else:
            U, Y, weights = merge_duplicates(X, targets.Y, targets.weights)
        samples = Samples(U, Y, weights, self.fit_intercept, targets.scale, groups)
        if chosen.method.takes_batches:
            seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        held_out = None if held_out is None else samples.like(*held_out)
        return replace(self._task_over(samples, direct_ridge), held_out=held_out, random_state=seed)

    def _task_over(self, samples, direct_ridge=1.0):
        """Return the :class:`TrainingTask` over scaled samples."""
        chosen = self._check_choices()
        row_set, readout_set = self._make_sets(chosen, samples)
        recurrent = self.kappa > 0
        return TrainingTask(
            objective=self._make_objective(
                samples, chosen.activation, chosen.direct, direct_ridge, readout_set, recurrent
            ),
            constraints=self._make_constraints(chosen, samples, row_set),
            solver=chosen.solver,
            curvature_solver=chosen.solver and make_curvature_solver(self.solver, self.constraints is not None),
        )

    def _make_sets(self, chosen, samples):
        """Return the :class:`RowSet` of ``[A B]`` and that of ``[C D]``, in the units of training, None for none."""
        signs, weights = self._signs(chosen, samples), self._balls(chosen, samples)
        row_set, readout_set = (
            None if own_signs is None and own_weights is None else RowSet(own_signs, own_weights)
            for own_signs, own_weights in zip(signs, weights, strict=True)
        )
        custom = self.constraints and of_readout(self.constraints, samples, chosen.direct, self.n_hidden)
        if custom is not None:
            from skimplicit.subproblems.readout.custom import CustomRowSet

            readout_set = CustomRowSet(signs[1], weights[1], custom=custom, n_states=self.n_hidden)
        return row_set, readout_set

    def _signs(self, chosen, samples):
        """Return the signs of ``[A B]`` and of ``[C D]`` that ``monotonic_cst`` asks for, each an ndarray or None."""
        directions = self._directions(samples.given.constant.size)
        if directions is None:
            return None, None
        if is_classifier(self) and samples.n_outputs > 1:
            raise ValueError(f"monotonic_cst needs a regressor or two classes, got {samples.n_outputs} classes.")
        return monotone_signs(samples.of_given(directions), self.n_hidden, samples.n_outputs, chosen.direct)

    def _balls(self, chosen, samples):
        """Return the weights of balls of rows of ``[A B]`` and ``[C D]`` by ``lipschitz``, None for no bound."""
        if self.lipschitz is None:
            return None, None
        phi = chosen.activation
        return lipschitz_balls(
            float(self.lipschitz), self._kappa(phi), phi.lipschitz, samples, self.n_hidden, chosen.direct
        )

    def _kappa(self, activation):
        """Return the bound on A that makes ``activation`` a contraction with kappa."""
        return float(self.kappa) / max(activation.lipschitz, 1.0)

    def _directions(self, n_inputs):
        """Return the directions of ``monotonic_cst``, an ndarray of shape (n_inputs,), or None."""
        return check_monotonic_cst(self.monotonic_cst, n_inputs, getattr(self, "feature_names_in_", None))

    def _make_constraints(self, chosen, samples, row_set):
        """Return the constraints in the units of training."""
        return Constraints(
            kappa=self._kappa(chosen.activation),
            structure=chosen.structure,
            custom=None if self.constraints is None else of_states(self.constraints, samples, chosen.direct),
            row_set=row_set,
        )

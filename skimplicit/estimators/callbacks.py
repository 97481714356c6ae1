"""From the iterations of training to scikit-learn's callbacks and to ``verbose``."""

from functools import partial
from threading import Lock

__all__ = ["CallbackBridge"]

# Every how many iterations ``verbose=1`` prints a line.
_LITTLE_VERBOSE = 10


class CallbackBridge:
    """Callback of a :class:`~skimplicit.training.TrainingMethod` that reports to scikit-learn's callbacks.

    Parameters
    ----------
    estimator : estimator
        The estimator that is being fitted.
    context : CallbackContext
        Its root context.
    X, y, sample_weight : array-like
        The training data, for callbacks that score.
    fitted_attributes : callable
        ``fitted_attributes(rules)`` returns what a copy of the estimator needs to predict with the mean of rules.
    verbose : int
        1 to print the first iteration of each stage and every tenth, 2 or more to print all; 0 for none.
    """

    def __init__(self, estimator, context, X, y, sample_weight, fitted_attributes, verbose):
        self.estimator = estimator
        self.context = context
        self.data = {"X": X, "y": y}
        if sample_weight is not None:
            self.data["metadata"] = {"sample_weight": sample_weight}
        self.fitted_attributes = fitted_attributes
        self.verbose, self.stage = int(verbose), None
        self._lock = Lock()  # members that are trained side by side report to one bridge
        self._interrupted = False
        self.context.call_on_fit_task_begin(estimator=estimator, **self.data)
        self._begin()

    def _begin(self):
        self.task = self.context.subcontext(task_name="iteration")
        self.task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def over(self, objective):
        """Return the callback of a run that minimises an :class:`~skimplicit.training.ImplicitObjective`."""
        return partial(self._report, objective)

    def interrupt(self, ends):
        """Raise KeyboardInterrupt in the iterations that are reported until some calls have ended.

        Parameters
        ----------
        ends : iterable of threading.Event
            Set when a call in another thread ends.
        """
        self._interrupted = True
        for end in ends:
            end.wait()
        self._interrupted = False

    def _report(self, objective, iteration):
        """Report an iteration; True when a callback asks to stop."""
        if self._interrupted:
            raise KeyboardInterrupt
        with self._lock:
            return self._end_task(objective, iteration)

    def _end_task(self, objective, iteration):
        evaluation = iteration.evaluation
        new_stage = iteration.stage != self.stage or iteration.number == 1  # another start counts from 1 again
        self.stage = iteration.stage
        if self.verbose > 1 or (self.verbose and (new_stage or iteration.number % _LITTLE_VERBOSE == 0)):
            print(
                f"[{type(self.estimator).__name__}] iteration {iteration.number}, stage {iteration.stage} "
                f"(alpha={evaluation.alpha:.3g}): objective {evaluation.objective:.6g}, loss {evaluation.loss:.6g}"
            )
        stop = self.task.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=lambda: self.fitted_attributes([objective.rule(evaluation.point)]),
            **self.data,
        )
        self._begin()
        return stop

    def close(self, rules):
        """End the open task, in which nothing ran, and the root task.

        Parameters
        ----------
        rules : sequence of ImplicitRule
            The members.

        Returns
        -------
        bool
            Whether a callback asks to stop the level above.
        """
        self.task.call_on_fit_task_end(estimator=self.estimator)
        return self.context.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=lambda: self.fitted_attributes(rules),
            **self.data,
        )

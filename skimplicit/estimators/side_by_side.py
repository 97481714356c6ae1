"""Fits of a meta-estimator, one or side by side, as tasks that scikit-learn's callbacks see and can stop."""

from contextlib import ExitStack, contextmanager

from joblib import delayed
from joblib.parallel import get_active_backend

from skimplicit.estimators.parallel import Parallel
from skimplicit.quiet import without_warnings
from skimplicit.training.threads import one_blas_thread

__all__ = ["data_of", "fit_as_task", "run_side_by_side", "take_over"]


def data_of(X, y, sample_weight):
    """Return training data as the hooks of callbacks take them.

    Parameters
    ----------
    X, y, sample_weight : array-like
        The data; the weights may be None.

    Returns
    -------
    dict
        The arguments.
    """
    return {"X": X, "y": y, "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}


def fit_as_task(model, arguments, params, *, owner, context, task_name, data):
    """Fit an estimator as a task of the meta-estimator's fit.

    Parameters
    ----------
    model : estimator
        The estimator.
    arguments, params : tuple, dict
        What its ``fit`` takes.
    owner : estimator
        The meta-estimator.
    context : CallbackContext
        Task of the owner's fit that this one is part of.
    task_name : str
        What callbacks read of it.
    data : dict
        What :func:`data_of` returns; empty where the owner's data are not those of the fit.

    Returns
    -------
    bool
        Whether a callback asks to stop.
    """
    task = context.subcontext(task_name=task_name)
    with task.propagate_callback_context(model):
        task.call_on_fit_task_begin(estimator=owner, **data)
        model.fit(*arguments, **params)
    return task.call_on_fit_task_end(estimator=owner, **data)


def take_over(owner, model):
    """Give a meta-estimator what an estimator has come to know in its fit.

    Parameters
    ----------
    owner : estimator
        The meta-estimator.
    model : estimator
        The fitted estimator.
    """
    parameters = model.get_params(deep=False)
    for name, value in vars(model).items():
        if name not in parameters:
            setattr(owner, name, value)


def run_side_by_side(function, calls, *, owner, context, task_name, n_jobs):
    """Run a function of an estimator and more, each call as a task of the meta-estimator's fit.

    Parameters
    ----------
    function : callable
        ``function(estimator, *arguments)`` returns a result, and whether a callback of the estimator asks to stop.
    calls : list of tuple
        Estimators, each a copy of its own, with the arguments.
    owner : estimator
        The meta-estimator.
    context : CallbackContext
        Task of the owner's fit that the calls are part of.
    task_name : str
        What callbacks read of a call.
    n_jobs : int or None
        Calls that run side by side.

    Returns
    -------
    list
        The results in the order of the calls, up to the first one after which a callback asked to stop.
    """
    tasks = [context.subcontext(task_name=task_name) for _ in calls]

    def begin():
        for task, call in zip(tasks, calls, strict=True):
            task.call_on_fit_task_begin(estimator=owner)
            yield delayed(function)(*call)

    results = []
    with ExitStack() as stack:
        for task, (estimator, *_) in zip(tasks, calls, strict=True):
            stack.enter_context(task.propagate_callback_context(estimator))
        stack.enter_context(one_blas_thread())  # until the last result, after which its call ends
        one_by_one = get_active_backend()[0].supports_return_generator  # that of multiprocessing does not
        parallel = Parallel(n_jobs=n_jobs, return_as="generator" if one_by_one else "list", pre_dispatch="all")
        for task, (result, stop) in zip(tasks, stack.enter_context(_cut_short(parallel(begin()))), strict=False):
            results.append(result)
            # Callbacks that reach the estimator hear of the end of its fit there; here, the owner's other ones do.
            if task.call_on_fit_task_end(estimator=owner) or stop:
                break
    return results


@contextmanager
def _cut_short(outputs):
    """Close results that are a generator at the end, without joblib's warning that some of them are not used."""
    try:
        yield outputs
    finally:
        with without_warnings():
            if not isinstance(outputs, list):
                outputs.close()

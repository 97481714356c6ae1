"""The parameters that all estimators of a rule share, each written here and nowhere else."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval

from skimplicit.activations import ACTIVATIONS, Activation
from skimplicit.estimators.methods import METHODS
from skimplicit.parameters import N_JOBS, Names, Parameter, nearest
from skimplicit.training import TrainingMethod

__all__ = ["RULE_PARAMETERS", "elsewhere"]


def _layers(value):
    """Return where layers go, for who gives their sizes as the number of states."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(size, Integral) for size in value):
        return f"For layers of these sizes give structure={list(value)} and n_hidden={sum(value)}."
    return None


def elsewhere(name, known):
    """Return a sentence on a parameter that no estimator of a rule has: where it is, or what could have been meant.

    Parameters
    ----------
    name : str
        What was given.
    known : iterable of str
        What it could have been.

    Returns
    -------
    str
        With a space before it; empty if there is nothing to say.

    Examples
    --------
    >>> from skimplicit.estimators.rule_parameters import elsewhere
    >>> elsewhere("batch_size", [])
    ' It is one of the options of a method: method=StochasticGradient(batch_size=...).'
    """
    if name in ("hidden_layer_sizes", "hidden_sizes"):
        return " Give n_hidden, the number of states; for layers also structure, the list of their sizes."
    for method in METHODS.values():
        if name in method.get_params():
            return f" It is one of the options of a method: method={type(method).__name__}({name}=...)."
    return nearest(name, known)


def _activation(value):
    """Return what to give for a function, or for a name that other packages use."""
    if callable(value):
        return "For a function of your own give an Activation, made of it and its derivative."
    return 'Give "silu".' if isinstance(value, str) and value.lower() == "swish" else None


def _method(value):
    """Return the method that is meant by a class, or by the name of an optimiser."""
    if isinstance(value, type) and issubclass(value, TrainingMethod):
        return f"Give an instance, {value.__name__}()."
    known = isinstance(value, str) and value.lower() in ("adam", "sgd")
    return 'Steps of Adam or SGD are those of "gradient".' if known else None


#: Name to :class:`~skimplicit.parameters.Parameter`, in the order of the signature. Estimators override what differs.
RULE_PARAMETERS = {
    "n_hidden": Parameter(
        20,
        'int or "auto"',
        'Number n of hidden states, the size of x. ``"auto"`` tries 5, 10, 20, 40 and 80, one fit each, and stops when '
        'doubling the number no longer lowers the held-out loss of ``alpha="auto"`` by a hundredth. The rules of the '
        "best number are averaged with those of every number whose loss is within 1.5 standard errors of the "
        "difference, unless one rule is wanted.",
        [Interval(Integral, 1, None, closed="left"), Names({"auto"})],
        advice=_layers,
    ),
    "activation": Parameter(
        "relu",
        "str or Activation",
        'phi: ``"relu"``, ``"leaky_relu"``, ``"tanh"``, ``"sigmoid"``, ``"identity"``, ``"elu"``, ``"softplus"``, '
        '``"silu"``, ``"gelu"``, or an :class:`~skimplicit.Activation`. If its slopes exceed 1, the bound on A is '
        "kappa divided by the largest.",
        [Names(ACTIVATIONS), Activation],
        advice=_activation,
    ),
    "kappa": Parameter(
        0.95,
        "float",
        "Bound on the infinity norm of A, in [0, 1). The stored A satisfies it exactly.",
        [Interval(Real, 0, 1, closed="left")],
    ),
    "column_budget": Parameter(
        None,
        'float, "auto" or None',
        "Bound k on ``sum_j max_i |B_ij|``, for inputs in the units they are given in. It drives whole columns of B to "
        "zero, so that inputs drop out. It acts together with alpha, essentially through ``alpha / k^2``. "
        '``"auto"`` requires ``alpha="auto"``: at the ridge chosen without a bound, the members go through ten '
        "decreasing budgets, and the smallest budget is taken whose held-out loss exceeds the least one by no more "
        "than one standard error of the difference. None for no bound.",
        [None, Interval(Real, 0, None, closed="neither"), Names({"auto"})],
    ),
    "alpha": Parameter(
        "auto",
        'float or "auto"',
        'Ridge on A, B, C and D, not on the intercepts. ``"auto"``: the members are trained along a rising schedule of '
        "ridges, and the loss on rows held out from them chooses one (for classes, the smallest ridge whose loss is "
        "within one standard error of the best). The held-out rows also choose a ridge for the direct term and, in the "
        "last training, whether each input gets a ridge of its own and whether some are left out (``relevance_``). A "
        "number: training starts at a small ridge and raises it to this one in warm-started stages.",
        [Interval(Real, 0, None, closed="left"), Names({"auto"})],
    ),
    "direct": Parameter(
        "auto",
        'bool or "auto"',
        'Whether there is a direct term D u. ``"auto"``: yes, unless there is a column budget.',
        ["boolean", Names({"auto"})],
    ),
    "fit_intercept": Parameter(True, "bool", "Whether there are intercepts b and c.", ["boolean"]),
    "clip": Parameter(
        "auto",
        'bool or "auto"',
        "Whether every input is clipped to its range in the training rows before a prediction, so that predictions "
        'stay constant beyond it, as those of trees do. False extrapolates. ``"auto"``: it is, but where a linear rule '
        "predicts the rows held out from its training clearly better without, the range is wider on either side, by "
        "ten times as many widths as any of these rows, but the farthest, was beyond that of the others "
        "(``clip_range_``). Where nothing is held out (with a number for ``alpha``), and where there is no direct term "
        "(as with a ``column_budget``), it ends with the training rows. After ``partial_fit``, inputs are clipped if "
        "``clip`` was not False in any call or in the fit before them.",
        ["boolean", Names({"auto"})],
    ),
    "structure": Parameter(
        None,
        "None, array-like of bool of shape (n_hidden, n_hidden), or list of int",
        "Entries of A that may be non-zero: a mask, or the sizes of the hidden layers of a feedforward network.",
        [None, "array-like"],
    ),
    "constraints": Parameter(
        None,
        "callable or None",
        "``constraints(A, B)`` returns a list of convex CVXPY constraints on the CVXPY expressions A (n, n) and B "
        "(n, p), in the units of the data; ``constraints(A, B, C, D)``, a function of four parameters, has some on C "
        "(q, n) and D (q, p) as well, each either on A and B or on C and D. Forces "
        '``solver="cvxpy"``. With several members, each rule in ``rules_`` satisfies them; in ``rule_``, their mean, C '
        "is divided by their number.",
        [None, callable],
    ),
    "monotonic_cst": Parameter(
        None,
        "None, array-like of int of shape (n_features,), or dict of str to int",
        "Directions of the inputs, as in scikit-learn's HistGradientBoosting: 1 if the prediction must not fall when "
        "the input rises, -1 if it must not rise, 0 for no constraint. A dict gives them by column name, a pandas "
        "Series for all columns by its index. They hold everywhere, not only on the data "
        "(:func:`skimplicit.robustness.is_monotone` proves it from ``rule_``), for all targets, or for the probability "
        "of the second of two classes. Half of the states rise and half fall with such an input, and the weights are "
        "given the signs that every path from it needs.",
        [None, "array-like", dict],
    ),
    "lipschitz": Parameter(
        None,
        "float or None",
        "Bound L on how far any output (for classes, any logit) moves when no input moves by more than 1, in the units "
        "of the data: ``lipschitz_bound(rule_) <= L`` (:func:`skimplicit.robustness.lipschitz_bound`). It is enforced "
        "by weighted l1 balls on the rows of [A B] and [C D]. Scale the inputs first, so that a change of 1 means the "
        "same in each. None for no bound.",
        [None, Interval(Real, 0, None, closed="neither")],
    ),
    "solver": Parameter(
        "auto",
        '{"auto", "cvxpy", "projected"}',
        "Solver of the block of A and B, for methods that have one: CVXPY, the reference, or accelerated projected "
        'gradient, which is faster. ``"auto"`` uses CVXPY only for custom constraints.',
        [Names({"auto", "cvxpy", "projected"})],
    ),
    "method": Parameter(
        "bcd",
        '{"bcd", "gradient", "lifted"} or TrainingMethod',
        'How to train, by name or as an object that holds the options of the method: ``"bcd"``, block coordinate '
        "descent with the states at equilibrium (:class:`~skimplicit.training.BlockCoordinateDescent`); "
        '``"gradient"``, projected implicit gradient over batches of samples, for hundreds of states and many rows '
        '(:class:`~skimplicit.training.StochasticGradient`); or ``"lifted"``, lifted (Fenchel) block coordinate '
        'descent (:class:`~skimplicit.lifted.Lifted`), which supports ``"relu"``, ``"leaky_relu"``, ``"identity"``, '
        '``"tanh"`` and ``"sigmoid"``.',
        [Names(METHODS), TrainingMethod],
        advice=_method,
    ),
    "n_members": Parameter(
        "auto",
        'int or "auto"',
        'Number of members: rules trained from different starts, whose mean is ``rule_``. ``"auto"``: one for each '
        'held-out fold, at most five, with ``alpha="auto"``; one with a number for alpha, a column budget or custom '
        "constraints.",
        [Interval(Integral, 1, None, closed="left"), Names({"auto"})],
    ),
    "cv": Parameter(
        None,
        "int, cross-validation splitter, iterable or None",
        'Folds held out from the members, for ``alpha="auto"``; not used with a number for alpha. None: five '
        "shuffled folds of the distinct rows, stratified for classes; with more than 2,500 rows (or where rows times "
        "outputs times states exceed 500,000) only two of the five are held out. Copies of a row stay in one fold, but "
        "rows that recur by chance, as in a table of counts, are spread over several (such inputs also come with other "
        "targets, or are one of at most 64 kinds of levels; such targets come with other inputs, or are levels, as "
        "classes are). For rows that depend on one another give a splitter that "
        "respects this: GroupKFold (groups reach it by metadata routing) or TimeSeriesSplit.",
        [None, "cv_object"],
    ),
    "max_iter": Parameter(
        200,
        "int",
        'Maximum number of outer iterations (epochs with ``method="gradient"``), over all stages of the schedule; with '
        '``alpha="auto"``, of each member at each ridge. With more than 40,000 rows and ``method="bcd"``, all but the '
        "last seven iterations (of fewer than 14 at a given ridge, the second half) run on 4,000 rows (10,000 for "
        "classes), but at least one runs on these and one on more.",
        [Interval(Integral, 1, None, closed="left")],
    ),
    "tol": Parameter(
        1e-5,
        "float",
        "Relative decrease of the objective that counts as progress; training ends after three iterations without it "
        '(``n_iter_no_change`` epochs with ``method="gradient"``). With ``alpha="auto"`` the stages have tolerances of '
        "their own, except those on more rows than the sample that a fit to more than 40,000 rows starts with.",
        [Interval(Real, 0, None, closed="left")],
    ),
    "warm_start": Parameter(
        False,
        "bool",
        "Whether ``fit`` starts from the rule of the last ``fit``, at the given alpha and budget. Where these are "
        '``"auto"``, the values that the last ``fit`` chose are kept: no rows are held out again, and an input that '
        'was left out (``relevance_``) stays out. With ``n_hidden="auto"`` it starts from the members of the best '
        "number of states alone. The columns must have the same names as before. Another ``n_hidden``, or number of "
        "columns, starts anew. Raise ``alpha`` from fit to fit: states that a large ridge has switched off hardly come "
        "back at a smaller one.",
        ["boolean"],
    ),
    "random_state": Parameter(
        None,
        "int, RandomState instance or None",
        "Source of the starting weights, of shuffled folds and of rows that are drawn or held out.",
        ["random_state"],
    ),
    "verbose": Parameter(
        0,
        "int",
        "How much to print: 1 for the first and every tenth iteration of each stage, 2 or more for every iteration.",
        ["verbose"],
    ),
    "n_init": Parameter(
        1,
        "int",
        "Number of random starts with a number for ``alpha``; the one with the best objective is kept. With "
        '``warm_start``, the last rule replaces the first start. With ``alpha="auto"`` every member starts once, '
        "whatever ``n_init`` is, since the mean of several counts.",
        [Interval(Integral, 1, None, closed="left")],
    ),
    "n_jobs": Parameter(
        None,
        "int or None",
        "Number of threads that train members side by side and, with more than 40,000 rows, work on blocks of rows. On "
        "a Dask cluster all members are always trained side by side, since the workers do most of the work. The result "
        "does not depend on it.",
        N_JOBS,
    ),
}

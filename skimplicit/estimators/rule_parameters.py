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
        return " Give n_hidden, the number of states, and for layers structure, their sizes."
    for method in METHODS.values():
        if name in method.get_params():
            return f" It is one of the options of a method: method={type(method).__name__}({name}=...)."
    return nearest(name, known)


def _activation(value):
    """Return what to give for a function, or for a name that other packages use."""
    if callable(value):
        return "For a function of your own give an Activation, made of it and its derivative."
    return 'Give "silu".' if value in ("swish", "Swish") else None


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
        'Number n of hidden features, the size of the state x. ``"auto"``: 5, 10, 20, 40, 80, as long as twice as many '
        'lower the held-out loss of ``alpha="auto"`` by a hundredth; each is a fit. The rules of the best number are '
        "averaged with those of all that the same rows do not tell from it, by 1.5 standard errors of the difference, "
        "unless one rule is wanted.",
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
        "Bound k on ``sum_j max_i |B_ij|``, for inputs as they are given; drives whole columns of B to zero, so that "
        "inputs drop out. It acts together with alpha, essentially through ``alpha / k^2``. Auto, with "
        '``alpha="auto"``: at the ridge that is chosen without a bound, members go through ten falling budgets, and '
        "rows that they have not seen choose: the smallest one that is not worse than the best by more than one "
        "standard error of the difference. None for no bound.",
        [None, Interval(Real, 0, None, closed="neither"), Names({"auto"})],
    ),
    "alpha": Parameter(
        "auto",
        'float or "auto"',
        "Ridge on A, B, C and D, not on the intercepts. Auto: chosen by the predictions of rows that the members were "
        "not trained on, along a rising schedule (of classes the least ridge whose loss is within a standard error of "
        "the best); the direct term has a ridge of its own there, and in the end so has each input, or some are left "
        "out, where these rows want it (``relevance_``). A number: training starts at a small value and raises it in "
        "warm-started stages.",
        [Interval(Real, 0, None, closed="left"), Names({"auto"})],
    ),
    "direct": Parameter(
        "auto",
        'bool or "auto"',
        'Whether there is a direct term D u. ``"auto"``: yes without a budget, no with one.',
        ["boolean", Names({"auto"})],
    ),
    "fit_intercept": Parameter(True, "bool", "Whether there are intercepts b and c.", ["boolean"]),
    "clip": Parameter(
        True,
        "bool",
        "Whether every input is cut at the range of the training rows before a prediction, as trees do by nature; "
        "False extrapolates. After ``partial_fit`` inputs are cut if it was True in all calls, and in the fit before.",
        ["boolean"],
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
        "(q, n) and D (q, p) as well, each on A and B or on C and D. Forces "
        '``solver="cvxpy"``. Of several members each has them, in ``rules_``; their mean has C divided by their '
        "number.",
        [None, callable],
    ),
    "monotonic_cst": Parameter(
        None,
        "None, array-like of int of shape (n_features,), or dict of str to int",
        "Directions of inputs, as for scikit-learn's HistGradientBoosting: 1 for an input with which the prediction "
        "must not fall, -1 for one with which it must not rise, 0 for others; a dict has them by the names of the "
        "columns, and a Series of pandas those of all columns, by its index. They hold everywhere, not only on the "
        "data (:func:`skimplicit.robustness.is_monotone` proves it from "
        "``rule_``), for all targets, or for the probability of the second of two classes. Half of the states rise and "
        "half fall, and weights have the signs that all paths of such an input need.",
        [None, "array-like", dict],
    ),
    "lipschitz": Parameter(
        None,
        "float or None",
        "Bound L on how far any output (of classes, any logit) moves when no input moves by more than 1, in the units "
        "of the data: ``lipschitz_bound(rule_) <= L`` (:func:`skimplicit.robustness.lipschitz_bound`). Weighted l1 "
        "balls of the rows of [A B] and [C D] imply it. Give inputs one scale, in which a change of 1 means as much in "
        "each. None for no bound.",
        [None, Interval(Real, 0, None, closed="neither")],
    ),
    "solver": Parameter(
        "auto",
        '{"auto", "cvxpy", "projected"}',
        "Solver of the block of A and B, for the methods that have one: CVXPY, the reference, or accelerated projected "
        'gradient, which is faster; ``"auto"`` takes CVXPY for custom constraints only.',
        [Names({"auto", "cvxpy", "projected"})],
    ),
    "method": Parameter(
        "bcd",
        '{"bcd", "gradient", "lifted"} or TrainingMethod',
        "How to train, by name or as an object that has the options of the method: block "
        "coordinate descent with the states at equilibrium, :class:`~skimplicit.training.BlockCoordinateDescent`; "
        "projected implicit gradient over batches of samples, for many rows and hundreds of states, "
        ":class:`~skimplicit.training.StochasticGradient`; or lifted (Fenchel) block coordinate descent, "
        ':class:`~skimplicit.lifted.Lifted`, which knows ``"relu"``, ``"leaky_relu"``, ``"identity"``, ``"tanh"`` '
        'and ``"sigmoid"``.',
        [Names(METHODS), TrainingMethod],
        advice=_method,
    ),
    "n_members": Parameter(
        "auto",
        'int or "auto"',
        'Number of rules from different starts whose mean is the rule. Auto: with ``alpha="auto"`` one for each fold '
        "that is held out, at most five, and one with a number for alpha, a column budget or custom constraints.",
        [Interval(Integral, 1, None, closed="left"), Names({"auto"})],
    ),
    "cv": Parameter(
        None,
        "int, cross-validation splitter, iterable or None",
        'Folds that the members are not trained on, for ``alpha="auto"``: None for shuffled folds of the distinct '
        "rows, stratified for classes: five, of which two are held out with more than 2,500 rows (or where rows times "
        "outputs times states exceed 500,000). Copies of a row are in one fold; what is drawn again and again, as in a "
        "table of counts, is in several (its inputs come with other targets, and its target with other inputs). For "
        "rows that depend on one another, a splitter that keeps them together: GroupKFold (groups reach it by metadata "
        "routing) or TimeSeriesSplit.",
        [None, "cv_object"],
    ),
    "max_iter": Parameter(
        200,
        "int",
        "Most outer iterations (epochs, for the gradient), all stages of the schedule together; with "
        '``alpha="auto"``, of each member at each ridge. With more than 40,000 '
        "rows, all but the last seven of them are on 4,000 rows, for classes 10,000 (``method='bcd'``), one at least "
        "on either.",
        [Interval(Integral, 1, None, closed="left")],
    ),
    "tol": Parameter(
        1e-5,
        "float",
        "Relative decrease of the objective that counts as progress; training ends after three iterations without "
        "(``n_iter_no_change`` epochs, for the gradient). With ``alpha='auto'`` stages end by tolerances of their own, "
        "but for those on more rows than a fit looks at first.",
        [Interval(Real, 0, None, closed="left")],
    ),
    "warm_start": Parameter(
        False,
        "bool",
        "Whether ``fit`` starts from the rule of the last ``fit``, at the wanted alpha and budget; where these "
        "are auto, at those that the last ``fit`` chose: no rows are held out again, and an input that was left out "
        '(``relevance_``) stays out. With ``n_hidden="auto"`` it '
        "starts from the members of the best number of states alone. Columns must have the names that they had.",
        ["boolean"],
    ),
    "random_state": Parameter(
        None, "int, RandomState instance or None", "Source of the starting weights.", ["random_state"]
    ),
    "verbose": Parameter(
        0,
        "int",
        "How much to print: 1 for the first iteration of each stage and every tenth, 2 or more for every iteration.",
        ["verbose"],
    ),
    "n_init": Parameter(
        1,
        "int",
        "Number of random starts at a number for ``alpha``; the one with the best objective is kept. With "
        "``warm_start``, the last rule takes the place of the first. With ``alpha='auto'`` every member starts once: "
        "it is the mean of several that counts.",
        [Interval(Integral, 1, None, closed="left")],
    ),
    "n_jobs": Parameter(
        None,
        "int or None",
        "Members that are trained side by side, in threads; with more than 40,000 rows also blocks of rows. On a Dask "
        "cluster all members are, for its workers do most of the work. The result does not depend on it.",
        N_JOBS,
    ),
}

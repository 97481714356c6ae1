"""The attributes that all fitted estimators of a rule share, each written here and nowhere else."""

from skimplicit.parameters import Attribute

__all__ = ["RULE_ATTRIBUTES"]

#: Name to :class:`~skimplicit.parameters.Attribute`. Estimators override what differs.
RULE_ATTRIBUTES = {
    "rule_": Attribute(
        "ImplicitRule",
        "The trained rule, in the units of the data: ``rule_.predict(X)`` equals ``predict(X)`` within the range of "
        "the training inputs; beyond it with ``clip=False``, or that of ``clipped_rule()``.",
    ),
    "rules_": Attribute(
        "list of ImplicitRule",
        'The members, whose mean is ``rule_``. With ``n_hidden="auto"``, first those of the best number of states, '
        "which ``alpha_``, ``alphas_`` and ``heldout_scores_`` belong to.",
    ),
    "alpha_": Attribute("float", "The ridge: the given one, or the one that was chosen."),
    "relevance_": Attribute(
        "ndarray of shape (n_features,) or None",
        "By what the inputs, divided by their deviations, were multiplied in the last training of the members, with a "
        "root mean square of 1 over those that vary and are not left out: the ridge on the weights of input j is "
        "``alpha_ / relevance_[j]**2``. An input with 0 is left out: its weights are zero. That can be where 17 inputs "
        "or more vary, of which half or more are then left out. Of members with different numbers of states, and where "
        "more inputs than rows have ridges, for which members stay as cross-fitting left them, each with its own, the "
        "root of the mean of the squares. None where all are alike: where rows that members "
        "have not seen are not better predicted with it, with a number for alpha, under a budget or constraints, and "
        "of more than 100,000 inputs.",
    ),
    "alphas_": Attribute(
        "ndarray of shape (n_alphas,) or None",
        "The ridges to choose from, increasing; where ``is_linear_``, ``alpha_`` is one of a grid of its own. None "
        "with a number for alpha and after a warm start, as all that held-out rows tell.",
    ),
    "heldout_scores_": Attribute(
        "ndarray of shape (n_alphas,) or None",
        "Share of the variance of the targets that is explained at each of them, on rows that members have not seen; "
        "None with a number for alpha. At a ridge that the readout alone shows to be far too large, states are those "
        "of the ridge before.",
    ),
    "heldout_score_": Attribute(
        "float or None",
        "What ``score`` may be on new rows, judged by those rows: R2. Higher than that of ``heldout_prediction_``, in "
        "which each row is predicted by one member: by the variance of the members, which their mean is spared. None "
        "with a number for alpha.",
    ),
    "heldout_prediction_": Attribute(
        "ndarray of shape (n_samples,) or (n_samples, n_outputs), or None",
        "Prediction of each row by members that have not seen it (of equal rows the mean of theirs), NaN where there "
        "are none, as for the rows beyond those that the ridge is chosen on where there are more than 40,000. None "
        "with a number for alpha, and for such a Dask collection.",
    ),
    "is_linear_": Attribute(
        "bool or None",
        "Whether a rule without states predicts as well, and was taken. None with a number for alpha.",
    ),
    "column_budget_": Attribute(
        "float or None",
        "The bound on the columns of B: the given one, or the one that was chosen; None without a bound, and where "
        "there are too few rows to hold any out for ``column_budget='auto'``.",
    ),
    "n_iter_": Attribute("int", "Outer iterations run."),
    "objective_history_": Attribute(
        "ndarray",
        "True objective after each accepted iteration, member by member: to 1e-3 on the way, and to 1e-6 in the last "
        "value of each, also if nothing was accepted, so that the last of all is that of ``rule_``, of several members "
        "that of ``rules_[-1]`` as trained (unless ``early_stopping`` keeps another rule; to 1e-5 with more "
        "than 40,000 rows, over which the last stage of each member is, those before over some of them; after each "
        "``partial_fit`` the mean over the members, to 1e-3). It never rises within a stage of a fit.",
    ),
    "objective_stages_": Attribute(
        "ndarray of int", "Stage of the schedule that each value belongs to, counted on from member to member."
    ),
    "validation_scores_": Attribute(
        "ndarray or None",
        "Share of the loss of a constant prediction (with ``fit_intercept=False`` of zero, or of equal probabilities) "
        "that the rule removes on the held-out samples, after every epoch of the last stage of the schedule; None "
        "without ``early_stopping``, and where no last training is: where ``is_linear_``, and where members stay as "
        "cross-fitting left them.",
    ),
    "best_validation_score_": Attribute("float or None", "The largest of them."),
    "column_norms_": Attribute("ndarray of shape (n_features,)", "``max_i |B_ij|`` of each input."),
    "feature_importances_": Attribute(
        "ndarray of shape (n_features,)",
        "Mean over the training rows, weighted, and over outputs i of ``|dy_i/du_j| sd(input j) / sd(target i)``, the "
        "derivative of ``rule_`` through its equilibrium; for classes of the logits, which are not divided. With "
        "``fit_intercept=False`` sd is the root mean square. Exactly "
        "zero when no path leads from the input to an output, or, with ``fit_intercept``, the input is constant. "
        "After ``partial_fit``, over the rows of the last call, with the deviations of the first in which it varies; "
        "with more than 40,000 rows, over the few looked at first.",
    ),
    "sensitivity_": Attribute(
        "ndarray of shape (n_outputs, n_features)",
        "The bound ``S = |C| (I - |A|)^-1 |B| + |D|`` (``|A|`` and ``|B|`` times the largest slope of phi) on these "
        "derivatives at any input, in the units of the data: ``|y(u) - y(v)| <= S |u - v|``. Zero exactly when no path "
        "leads from the input to the output.",
    ),
    "n_features_in_": Attribute("int", "Number of inputs."),
    "feature_names_in_": Attribute("ndarray of shape (n_features,)", "Names of the inputs, when they have names."),
}

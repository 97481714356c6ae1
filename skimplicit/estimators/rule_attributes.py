"""The attributes that all fitted estimators of a rule share, each written here and nowhere else."""

from skimplicit.parameters import Attribute

__all__ = ["RULE_ATTRIBUTES"]

#: Name to :class:`~skimplicit.parameters.Attribute`. Estimators override what differs.
RULE_ATTRIBUTES = {
    "rule_": Attribute(
        "ImplicitRule",
        "The trained rule, in the units of the data: ``rule_.predict(X)`` equals ``predict(X)`` within "
        "``clip_range_``, and ``clipped_rule().predict(X)`` does beyond it too.",
    ),
    "rules_": Attribute(
        "list of ImplicitRule",
        'The members, whose mean is ``rule_``. With ``n_hidden="auto"``, first those of the best number of states, '
        "which ``alpha_``, ``alphas_`` and ``heldout_scores_`` belong to.",
    ),
    "alpha_": Attribute("float", "The ridge: the given one, or the one that was chosen."),
    "relevance_": Attribute(
        "ndarray of shape (n_features,) or None",
        "Factors by which the standardised inputs were multiplied in the last training of the members, so that the "
        "ridge on the weights of input j is ``alpha_ / relevance_[j]**2``. Their root mean square is 1 over the inputs "
        "that vary and are not left out. An input with 0 is left out: its weights are zero. This happens only where "
        "17 inputs or more vary, and then half of them or more are left out. Where members have factors of their own "
        "(different numbers of states; or more inputs than rows with such ridges, where members stay as cross-fitting "
        "left them), this is the root mean square over the members. Where half of 17 inputs or more are the same in "
        "nine of ten rows, as words in texts are, the factors are the roots of how often each is not, if a linear rule "
        "then predicts held-out rows clearly better and none of the above is done. None where all inputs have the same "
        "ridge: where held-out rows are not predicted better otherwise, with a number for alpha, under a budget or "
        "constraints, and, unless they are rare, with more than 100,000 inputs.",
    ),
    "alphas_": Attribute(
        "ndarray of shape (n_alphas,) or None",
        "The ridges that were tried, increasing; where ``is_linear_``, ``alpha_`` comes from another grid. None, like "
        "everything that held-out rows tell, with a number for alpha and after a warm start.",
    ),
    "heldout_scores_": Attribute(
        "ndarray of shape (n_alphas,) or None",
        "Share of the variance of the targets explained on held-out rows at each ridge in ``alphas_``. None with a "
        "number for alpha. At a ridge that the readout alone shows to be far too large, the states are not trained "
        "again but those of the ridge before.",
    ),
    "heldout_score_": Attribute(
        "float or None",
        "Estimate of ``score`` (R2) on new rows, from the held-out rows. It is higher than the R2 of "
        "``heldout_prediction_``, in which one member predicts each row, because the mean of the members does not have "
        "their variance, and, trained on, misses clean targets less. None with a number for alpha.",
    ),
    "heldout_prediction_": Attribute(
        "ndarray of shape (n_samples,) or (n_samples, n_outputs), or None",
        "Prediction of each row by members that were not trained on it (for equal rows, the mean of their "
        "predictions). NaN where there is no such member; with more than 40,000 rows that includes the rows on which "
        "the ridge is not chosen. None with a number for alpha, and for a Dask collection of more than 40,000 rows.",
    ),
    "is_linear_": Attribute(
        "bool or None",
        "Whether a linear rule, without states, predicted held-out rows as well and was taken. None with a number for "
        "alpha.",
    ),
    "column_budget_": Attribute(
        "float or None",
        "The bound on the columns of B, given or chosen. None without a bound, and where there are too few rows to "
        'hold any out for ``column_budget="auto"``.',
    ),
    "n_iter_": Attribute("int", "Outer iterations run."),
    "objective_history_": Attribute(
        "ndarray",
        "True objective after each accepted iteration, member after member. It never rises within a stage of a fit. "
        "Values are accurate to 1e-3 on the way and to 1e-6 at the end of each member, also if no iteration was "
        "accepted. The last value is that of ``rule_``, or with several members that of ``rules_[-1]`` as trained, "
        "unless ``early_stopping`` keeps another rule, or a callback or Ctrl-C ended the fit before its last ridge or "
        "budget: then the value is that of the stage it came to. With more than 40,000 rows the last stage of each "
        "member is over all rows, to 1e-5, and earlier stages are over some of them. After each ``partial_fit`` it is "
        "the mean over the members, to 1e-3.",
    ),
    "objective_stages_": Attribute(
        "ndarray of int",
        "Stage of the schedule that each value of ``objective_history_`` belongs to; numbering continues from member "
        "to member.",
    ),
    "validation_scores_": Attribute(
        "ndarray or None",
        "Share of the loss of a constant prediction (with ``fit_intercept=False`` of zero, or of equal probabilities) "
        "that the rule removes on the held-out samples, after every epoch of the last stage of the schedule. Where "
        "these samples have equal targets, as one sample has, it is a share of that loss on the others. None "
        "without ``early_stopping``, and where there is no last training: where ``is_linear_``, and where members stay "
        "as cross-fitting left them.",
    ),
    "best_validation_score_": Attribute(
        "float or None", "The largest of ``validation_scores_``: of the rule that is kept (of ``rules_[0]``), to 1e-3."
    ),
    "clip_range_": Attribute(
        "ndarray of shape (2, n_features) or None",
        "Least and largest value that each input is clipped to before a prediction: those of the training rows, or "
        'beyond them with ``clip="auto"``. None with ``clip=False``.',
    ),
    "column_norms_": Attribute("ndarray of shape (n_features,)", "``max_i |B_ij|`` of each input."),
    "feature_importances_": Attribute(
        "ndarray of shape (n_features,)",
        "Mean of ``|dy_i/du_j| sd(input j) / sd(target i)`` over the training rows, weighted, and over the outputs i: "
        "how many standard deviations a prediction moves when the input moves by one of its own. The derivative is of "
        "``rule_``, through its equilibrium; for classes it is that of the logits, which are not divided by a "
        "deviation. With ``fit_intercept=False`` sd is the root mean square. It is exactly zero when no path leads "
        "from the input to an output or, with ``fit_intercept``, when the input is constant. After ``partial_fit`` it "
        "is over the rows of the last call, with the deviation from the first call in which the input varies; with "
        "more than 40,000 rows, over the sample that the fit starts with.",
    ),
    "sensitivity_": Attribute(
        "ndarray of shape (n_outputs, n_features)",
        "The bound ``S = |C| (I - |A|)^-1 |B| + |D|`` (``|A|`` and ``|B|`` times the largest slope of phi) on the "
        "derivatives ``|dy_i/du_j|`` at any input, in the units of the data: ``|y(u) - y(v)| <= S |u - v|``. Zero "
        "exactly when no path leads from the input to the output.",
    ),
    "n_features_in_": Attribute("int", "Number of inputs."),
    "feature_names_in_": Attribute("ndarray of shape (n_features,)", "Names of the inputs, when they have names."),
}

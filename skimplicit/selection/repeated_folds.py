"""Selection by folds, which are drawn again where few data leave it in doubt what is selected."""

from itertools import chain

import numpy as np

from skimplicit.selection.held_out_score import constant_score, make_judge
from skimplicit.selection.permutation_importance import above_noise, permutation_scores
from skimplicit.selection.selected import Selected
from skimplicit.selection.subset_size import choose_size, is_beyond_chance

__all__ = ["check_scoring_of", "most_rounds", "select_by_folds"]

# Folds are drawn at most so often, and for as many entries of the data, all rounds together, as cost seconds. What two
# seeds select of diabetes (442 x 10) has a mean Jaccard index of .75 with one round, .82 with four, .92 with six.
_MOST_ROUNDS, _MOST_ENTRIES = 6, 30_000
# Where there may be as many: the folds of one round can be of one mind by luck.
_FEWEST_ROUNDS = 3
# Inputs of noise that may be selected for their permutation scores in the mean, where all are asked for theirs, and
# where those in doubt are. With a bar of 2.9 standard errors for ten inputs, where .05 makes 3.3, what two seeds select
# of diabetes has a mean Jaccard index of .87 for .93.
_WRONG_OF_ALL, _WRONG_OF_DOUBTFUL = 0.2, 0.05
# An input is in doubt that so large a share of the folds selects, but not all.
_IN_DOUBT = 0.5


def most_rounds(n_rows, n_inputs, n_outputs):
    """Return how often folds may be drawn.

    Parameters
    ----------
    n_rows, n_inputs, n_outputs : int
        Numbers of rows, inputs and outputs.

    Returns
    -------
    int
        The number, at least 1.
    """
    return int(np.clip(_MOST_ENTRIES // (n_rows * n_inputs * n_outputs), 1, _MOST_ROUNDS))


def select_by_folds(search, rounds, path, size, chooses, scoring, rule, context):
    """Rank inputs by paths on folds and score sizes on what is held out, until no input is in doubt.

    Parameters
    ----------
    search : SubsetSearch
        What ranks and scores.
    rounds : list of list of tuple of ndarray
        Folds, drawn one time after the other.
    path : FollowedPath
        The path on all data.
    size : int
        Number of inputs (groups) to select, if it is given.
    chooses : bool
        Whether the number is chosen instead.
    scoring : str, callable or None
        What the scores are.
    rule : {"best", "one_standard_error", "all_relevant"}
        How the scores speak for a number, and whether inputs are added.
    context : CallbackContext
        Task of the fit. A callback that ends a part of a round makes it the last; what was whole counts.

    Returns
    -------
    Selected
        The selection.
    """
    adds, rule = rule == "all_relevant", "best" if rule == "all_relevant" else rule
    paths, rankings, tried, constants = [], [], None, []
    for number, folds in enumerate(rounds, 1):
        of_folds = search.scout_paths([train for train, _ in folds], context)
        paths, whole = paths + of_folds, len(of_folds) == len(folds)
        if chooses and (whole or tried is None):
            folds = folds[: len(of_folds)]
            judge = make_judge(scoring, search.estimator, search.data, folds)
            gaps = search.gaps(path, *paths)
            again = search.cross_validate(folds, of_folds, judge, gaps, rule, context, len(rounds) > 1, tried)
            if again is not None:
                tried = again
                judged = folds[: next(iter(tried.scores.values())).shape[1]]
                constants.append(_constant(scoring, search, judged))
            whole = whole and again is not None and len(judged) == len(folds)
            n_used = np.count_nonzero(search.unit_shares(paths))  # constants are not
            size = choose_size(tried.scores, rule, n_used)
        rankings = [search.rank(of_fold) for of_fold in paths]
        if not whole or (number >= _FEWEST_ROUNDS and not _any_in_doubt(search.votes(rankings, size) / len(rankings))):
            break
    scores = tried.scores if chooses else {}
    tells = chooses and is_beyond_chance(scores, float(np.mean(constants)))
    if chooses and not tells:
        size = 1
    ranking = search.agree(search.rank(path, *paths), rankings, size)
    if not tells or rule != "best":
        return Selected(ranking, rankings, size, size, scores)
    selected, importance = search.undisputed(rankings, size), None
    selected[ranking[0]] = True
    of_size = ranking[:size]
    asked, wrong = (ranking, _WRONG_OF_ALL) if adds else (of_size[~selected[of_size]], _WRONG_OF_DOUBTFUL)
    if asked.size:
        importance = permutation_scores(search, list(chain(*rounds))[: len(paths)], paths, asked)
        selected |= importance >= above_noise(ranking.size, wrong)
    ranking = ranking[np.argsort(~selected[ranking], kind="stable")]
    return Selected(ranking, rankings, int(selected.sum()), size, scores, importance)


def check_scoring_of(search, scoring, rounds):
    """Refuse a scorer that cannot judge so much as a constant, before the work.

    Parameters
    ----------
    search : SubsetSearch
        What ranks and scores.
    scoring : str, callable or None
        The scorer; None for the held-out loss.
    rounds : list of list of tuple of ndarray
        Folds.

    Raises
    ------
    ValueError
        If it fails on these targets.
    """
    if scoring is None:
        return
    try:
        _constant(scoring, search, rounds[0])
    except Exception as error:
        raise ValueError(f"scoring={scoring!r} cannot judge a rule of these targets: {error}") from error


def _constant(scoring, search, folds):
    """Return the score of a constant on some folds."""
    judge = make_judge(scoring, search.estimator, search.data, folds)
    return constant_score(judge, search.estimator, search.data, folds)


def _any_in_doubt(shares):
    return bool(np.any((shares >= _IN_DOUBT) & (shares < 1)))

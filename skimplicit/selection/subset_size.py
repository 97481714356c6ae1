"""How many inputs are enough: the sizes that are tried, and the choice among them by their held-out scores."""

import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np

__all__ = [
    "RULES",
    "Tried",
    "best_size",
    "choose_size",
    "cv_results",
    "given_size",
    "is_beyond_chance",
    "sizes_to_try",
    "standard_error",
]

#: How a size is chosen: the smallest one not worse than the best beyond one standard error, or the spread of refits; to
#: the latter others may be added.
RULES = ("one_standard_error", "best", "all_relevant")
# Factor between larger sizes, and the least step up: inputs that act by their product tell nothing one by one.
_GROWTH, _LEAST_STEP = 2, 3
# Refits from other starts end in other minima. Mean scores s and s + d in [0, 1] whose difference d is below this share
# of s (1 - s) are no evidence that inputs are missed.
_REFIT_SPREAD = 0.03
# Standard errors by which the best mean score has to be better than that of a constant. Rules of noise are worse than a
# constant on rows that they have not seen: of 145 sets of noise, 60 x 6 to 80 x 1,000 and permuted classes, two had a
# best score that was better by more than one standard error, by 1.7 and 2.5.
_BEYOND_CHANCE = 1.0
# Standard errors by which the score of all inputs has to be above that of fewer.
_CLEAR_FALL = 2.0
# Sizes nearer to the best one than by this factor are not told apart from it by its score.
_NEAR = 1.25


@dataclass(frozen=True)
class Tried:
    """Sizes that were tried.

    Parameters
    ----------
    tables : dict of int to tuple
        Of each size the ridges and the held-out scores, of shape (n_rounds, n_folds, n_ridges).
    """

    tables: dict

    def _best(self, size):
        """Return the position of the best ridge of a size."""
        return int(np.argmax(self.tables[size][1].mean(axis=(0, 1))))

    @property
    def scores(self):
        """Scores of each size at the best of its ridges, a dict of int to ndarray of shape (n_rounds, n_folds)."""
        return {size: table[:, :, self._best(size)] for size, (_, table) in self.tables.items()}

    @property
    def ridge(self):
        """The best ridge of the best size."""
        size = best_size(self.scores)
        return self.tables[size][0][self._best(size)]

    def and_on_others(self, others):
        """Return the same with what was tried on other folds, as many; None if that is not all of these sizes."""
        tables = {}
        for size, (alphas, table) in self.tables.items():
            other = others.tables.get(size, (alphas, table[:0]))[1]
            if other.shape != table[:1].shape:
                return None
            tables[size] = alphas, np.concatenate([table, other])
        return Tried(tables)


def given_size(wanted, n_units, rule):
    """Return how many inputs are to be selected.

    Parameters
    ----------
    wanted : int, float or None
        Their number, or share; None for all.
    n_units : int
        Number of inputs (of groups).
    rule : {"one_standard_error", "best", "all_relevant"}
        How their number is to be found where it is not given.

    Returns
    -------
    int
        The number, at least 1.

    Raises
    ------
    TypeError
        If it is a truth value.
    ValueError
        If it is more than there are, or the rule goes by no number.
    """
    if wanted is None:
        return n_units
    if rule == "all_relevant":
        raise ValueError("rule='all_relevant' finds the number of inputs: leave n_features_to_select=None.")
    if isinstance(wanted, bool):  # an Integral, which the interval of the parameter lets pass
        raise TypeError(f"n_features_to_select must be a number, got {wanted!r}; None lets held-out scores choose it.")
    if not isinstance(wanted, Integral):
        return max(1, round(wanted * n_units))
    if wanted > n_units:
        raise ValueError(f"n_features_to_select={wanted} is more than the {n_units} inputs (or groups) there are.")
    return int(wanted)


def choose_size(scores, rule="one_standard_error", n_units=None):
    """Return the size that the held-out scores speak for.

    Parameters
    ----------
    scores : dict of int to ndarray of shape (n_folds,) or (n_rounds, n_folds)
        Held-out scores for each size, larger for better.
    rule : {"one_standard_error", "best"}
        The smallest size whose mean score is as good as the best, up to the standard error of the difference or the
        spread between refits; or up to the latter alone.
    n_units : int or None
        How many inputs (groups) there are. To be the best the score of all of them, which folds cannot disagree about,
        has to fall by two standard errors with the next fewer ones. None where that is a size like the others.

    Returns
    -------
    int
        The size.

    Notes
    -----
    The one-standard-error rule, on differences: how hard a fold is, is the same for all sizes, so that the spread of
    the scores themselves would hide most of what inputs contribute. Where the standard error is less, or unknown
    because there is one fold, the spread is that between refits, of scores between 0 and 1.
    """
    best = scores[best_size(scores)]
    chosen = min(size for size, values in scores.items() if not _is_worse(values, best, rule))
    fewer = {size: values for size, values in scores.items() if size < chosen}
    if rule != "best" or chosen != n_units or not fewer:
        return chosen
    fall = scores[chosen] - fewer[max(fewer)]
    return chosen if np.mean(fall) > _CLEAR_FALL * standard_error(fall) else choose_size(fewer, rule)


def best_size(scores):
    """Return the size of the best mean score, of equal ones the smallest.

    Parameters
    ----------
    scores : dict of int to ndarray of shape (n_folds,) or (n_rounds, n_folds)
        Held-out scores for each size.

    Returns
    -------
    int
        The size.
    """
    return max(scores, key=lambda size: (np.mean(scores[size]), -size))


def is_beyond_chance(scores, constant):
    """Tell whether the scores speak for any size, with a warning where they do not.

    Parameters
    ----------
    scores : dict of int to ndarray of shape (n_folds,) or (n_rounds, n_folds)
        Held-out scores for each size.
    constant : float
        Mean score of a constant prediction.

    Returns
    -------
    bool
        Whether the best one is above the constant by more than its standard error.
    """
    best = scores[best_size(scores)]
    if np.mean(best) - _BEYOND_CHANCE * standard_error(best) > constant:
        return True
    warnings.warn(
        "No selection of inputs predicts better than a constant on held-out folds, beyond their spread: "
        "there may be nothing to find. The first input of the ranking is kept.",
        UserWarning,
        stacklevel=2,
    )
    return False


def cv_results(scores):
    """Return ``cv_results_`` of the sizes that were scored.

    Parameters
    ----------
    scores : dict of int to ndarray of shape (n_folds,) or (n_rounds, n_folds)
        Held-out scores for each size.

    Returns
    -------
    dict of str to ndarray
        Sizes, means, deviations, standard errors and scores of the folds, by increasing size; empty without scores.
    """
    if not scores:
        return {}
    sizes = sorted(scores)
    table = np.array([scores[size].ravel() for size in sizes])
    return {
        "n_features": np.array(sizes, dtype=int),
        "mean_test_score": table.mean(axis=1),
        "std_test_score": _deviations(table),
        "standard_error": np.array([standard_error(scores[size]) for size in sizes]),
        **{f"split{i}_test_score": table[:, i] for i in range(table.shape[1])},
    }


def standard_error(values):
    """Return the standard error of the mean of scores.

    Parameters
    ----------
    values : ndarray of shape (n_folds,) or (n_rounds, n_folds)
        The scores. Rounds of the same rows do not count as more rows would: the error is that of one round.

    Returns
    -------
    float
        The error; 0 for one fold, which does not tell.
    """
    n_folds = values.shape[-1]
    return float(np.mean(_deviations(values, ddof=1)) / np.sqrt(n_folds)) if n_folds > 1 else 0.0


def _deviations(values, ddof=0):
    """Return standard deviations along the last axis, in a unit whose square is a number: scores may have any."""
    exponent = np.frexp(np.abs(values).max())[1]
    return np.ldexp(np.std(np.ldexp(values, -exponent), axis=-1, ddof=ddof), exponent)


def _is_worse(values, best, rule="one_standard_error"):
    """Tell whether scores are worse than the best ones by more than a rule takes for chance."""
    share = np.clip(np.mean(best), 0.0, 1.0)
    spread = _REFIT_SPREAD * share * (1.0 - share)
    if rule == "one_standard_error":
        spread = max(standard_error(best - values), spread)
    return bool(np.mean(best) - np.mean(values) > spread)


def sizes_to_try(scores, n_units, gaps, rule):
    """Yield the sizes to score, judging by the scores so far.

    Parameters
    ----------
    scores : dict of int to ndarray of shape (n_folds,) or (n_rounds, n_folds)
        Filled in by the caller after every size.
    n_units : int
        Number of inputs (of groups).
    gaps : list of int
        Promising sizes, the most promising one in front.
    rule : {"one_standard_error", "best"}
        How a size will be chosen.

    Yields
    ------
    int
        The next size.
    """
    # From the widest gap upwards, until more inputs only do harm ...
    size = gaps[0] if gaps else 1
    yield size
    while size < n_units:
        size = min(max(_GROWTH * size, size + _LEAST_STEP), n_units)
        yield size
        if _is_worse(scores[size], scores[best_size(scores)]):
            break
    # ... then downwards, by growing factors, until fewer do harm ...
    factor = _NEAR
    while (size := best_size(scores)) == min(scores) and size > 1:
        yield max(min(round(size / factor), size - 1), 1)
        factor = min(factor**2, _GROWTH)
    # ... then around the best one, where the scores may have their top ...
    while (size := _beside_the_best(scores)) is not None:
        yield size
    # ... then close in on the smallest size that is good enough, from below.
    while rule != "best":
        size = choose_size(scores, rule)
        below = max((s for s in scores if s < size), default=0)
        if below == size - 1:
            return
        yield _between(below, size, scores, gaps)


def _beside_the_best(scores):
    """Return a size in the middle between the best one and a neighbour that is not near, None if there is none."""
    sizes, best = sorted(scores), best_size(scores)
    place = sizes.index(best)
    low, high = sizes[max(place - 1, 0)], sizes[min(place + 1, len(sizes) - 1)]
    for below, above in ((low, best), (best, high)):
        if above - below > 1 and above > _NEAR * below:
            return round(np.sqrt(below * above))
    return None


def _between(below, size, scores, gaps):
    """Return the size to try next between one that is too small and one that is good enough."""
    if size in gaps and size + 1 not in scores:
        return size - 1  # if that is too small, the gap was the right one and all is said
    return next((gap for gap in gaps if below < gap < size), (below + size) // 2)

"""Folds of a cross-validation: made from ``cv``, checked, and counted in weights; metadata on their way there."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    get_routing_for_object,
    process_routing,
)
from sklearn.utils.multiclass import type_of_target

from skimplicit.parameters import Parameter

__all__ = ["CV", "FoldsMixin", "SplitOnce", "row_counts"]

# Number of folds where ``cv`` is None.
_N_FOLDS = 5

#: The parameter ``cv`` of what cross-validates.
CV = Parameter(
    None,
    "int, cross-validation splitter, iterable or None",
    "Splitter or splits, as in scikit-learn; a number for that many shuffled folds, stratified for classes and seeded "
    "by ``random_state``, None for five of them.",
    ["cv_object"],
)


class FoldsMixin:
    """Folds of an estimator with a parameter ``cv``, and the routing of metadata to its splitter."""

    @property
    def _splits(self):
        """What makes the folds."""
        return self.cv

    def get_metadata_routing(self) -> MetadataRouter:
        """Return where metadata go: those of ``fit`` to the splitter.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
            The routing.
        """
        # Of an iterable of splits nothing is to be routed, and a generator must not be used up here.
        splitter = self._splits if hasattr(self._splits, "split") else check_cv(_N_FOLDS)
        mapping = MethodMapping().add(caller="fit", callee="split")
        return MetadataRouter(owner=self).add_self_request(self).add(splitter=splitter, method_mapping=mapping)

    def _routed(self, params):
        """Return the metadata of ``fit`` that go to the splitter, a dict; a TypeError names those that go nowhere."""
        return process_routing(self, "fit", **params).splitter.split if _routing_enabled() else {}

    def _make_folds(self, X, y, classifier, seed, params, weights=None):
        """Return the folds of validated data, a list of (training rows, held-out rows).

        ``params`` are the metadata of ``fit``. Where ``cv`` is only a number of folds, ``seed`` shuffles them. Rows
        with a weight of 0 are in none: that is the same as leaving them out. A splitter sees them, as its groups do.
        """
        routed, cv = self._routed(params), self._splits
        if cv is None or isinstance(cv, Integral):
            counted = np.arange(X.shape[0]) if weights is None else np.flatnonzero(weights > 0)
            in_parts = _make_splitter(cv, y[counted], classifier, seed).split(counted, y[counted])
            folds = [tuple(counted[part] for part in fold) for fold in in_parts]
        else:
            splitter = check_cv(cv if hasattr(cv, "split") else _pairs(cv))
            folds = [tuple(_row_numbers(part, X.shape[0]) for part in fold) for fold in _split(splitter, X, y, routed)]
        if not folds:
            raise ValueError(
                f"cv={cv!r} yields no splits. A generator can be used only once: give a list of its splits."
            )
        for number, fold in enumerate(folds):
            for part, rows in zip(("training", "held-out"), fold, strict=True):
                if rows.size == 0:
                    raise ValueError(f"Fold {number} of cv has no {part} sample.")
        if weights is None:
            return folds
        _check_fold_weights(weights, folds)
        return [tuple(part[weights[part] > 0] for part in fold) for fold in folds]


class SplitOnce:
    """A splitter that is asked once: one without a seed draws other folds in every call.

    Parameters
    ----------
    splitter : cross-validation splitter
        The splitter.
    """

    def __init__(self, splitter):
        self.splitter = splitter
        self._splits = None

    def __repr__(self):
        return repr(self.splitter)

    def split(self, X, y=None, **metadata):
        """Return the folds of the first call.

        Parameters
        ----------
        X, y : array-like
            The data, the same in every call.
        **metadata : dict
            For the splitter.

        Returns
        -------
        list of tuple
            Training rows and held-out rows of each fold.
        """
        if self._splits is None:
            self._splits = list(self.splitter.split(X, y, **metadata))
        return self._splits

    def get_n_splits(self, *data, **metadata):
        """Return the number of folds.

        Parameters
        ----------
        *data, **metadata : tuple, dict
            For the splitter.

        Returns
        -------
        int
            The number.
        """
        return self.splitter.get_n_splits(*data, **metadata)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return where metadata go: to the splitter.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRequest
            Its requests.
        """
        return get_routing_for_object(self.splitter)


def _split(splitter, X, y, metadata):
    """Return the folds of a splitter; of one that misses its groups, say how they get to it."""
    try:
        return list(splitter.split(X, y, **metadata))
    except ValueError as error:
        if "groups" in metadata or "groups" not in str(error):
            raise
        raise ValueError(
            f"cv={splitter!r} needs groups: call sklearn.set_config(enable_metadata_routing=True), and give them to "
            "fit(X, y, groups=groups)."
        ) from error


def _make_splitter(n_folds, y, classifier, seed):
    """Return the splitter into shuffled folds, stratified for classes; None for five, or as many as few rows allow."""
    kind, most = KFold, len(y)
    if classifier and type_of_target(y) in ("binary", "multiclass"):
        of_largest_class = np.unique(y, return_counts=True)[1].max()
        if n_folds is not None or of_largest_class > 1:
            kind, most = StratifiedKFold, of_largest_class
    n_folds = max(min(_N_FOLDS, most), 2) if n_folds is None else n_folds
    return kind(n_folds, shuffle=True, random_state=seed)


def _pairs(splits):
    """Return a list of splits that are pairs."""
    splits = list(splits)
    for fold in splits:
        if not hasattr(fold, "__len__") or len(fold) != 2:
            raise ValueError(f"cv as a list must have pairs (training rows, held-out rows), got {fold!r}.")
    return splits


def _row_numbers(rows, n_samples):
    """Return the numbers of rows that a splitter may give as a mask."""
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n_samples,):
        return np.flatnonzero(rows)
    if (
        rows.ndim != 1
        or rows.size
        and (rows.dtype.kind not in "iu" or rows.min() < -n_samples or rows.max() >= n_samples)
    ):
        raise ValueError(
            f"cv yields {np.array2string(rows, threshold=20)}, which are not rows of the {n_samples} samples."
        )
    return rows.astype(np.intp) % n_samples


def row_counts(rows, n_samples):
    """Return how often each sample is among some rows: a splitter may draw it twice.

    Parameters
    ----------
    rows : ndarray of int
        Rows.
    n_samples : int
        Number m of samples.

    Returns
    -------
    ndarray of shape (m,)
        The counts, as floats.
    """
    return np.bincount(rows, minlength=n_samples).astype(float)


def _check_fold_weights(weights, folds):
    """Refuse folds in which no sample counts, for weights of shape (m,)."""
    for number, fold in enumerate(folds):
        for part, rows in zip(("training", "held-out"), fold, strict=True):
            if not np.any(weights[rows] > 0):
                raise ValueError(f"sample_weight is zero for every {part} sample of fold {number} of cv.")

"""The folds of a selection, and those by which the refitted rule chooses its ridge: the same where rows depend."""

from functools import partial
from numbers import Integral

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing

from skimplicit.estimators.folds import FoldsMixin
from skimplicit.quiet import without_warnings
from skimplicit.selection.repeated_folds import most_rounds

__all__ = ["SelectionFoldsMixin"]


class SelectionFoldsMixin(FoldsMixin):
    """Splits of rows that depend on one another are told once, to the selector or to its estimator, and serve both."""

    @property
    def _splits(self):
        own = getattr(self.estimator, "cv", None)
        return own if self.cv is None and _keeps_together(own) else self.cv

    @property
    def _splits_of_refit(self):
        """What the refitted rule chooses its ridge by."""
        own = getattr(self.estimator, "cv", None)
        return self._splits if own is None and _keeps_together(self._splits) else own

    def get_metadata_routing(self) -> MetadataRouter:
        """Return where metadata go: those of ``fit`` to the splitter of the selection and to that of the refitted rule.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
            The routing.
        """
        router, splits = super().get_metadata_routing(), self._splits_of_refit
        if not hasattr(splits, "split"):
            return router
        return router.add(splitter_of_refit=splits, method_mapping=MethodMapping().add(caller="fit", callee="split"))

    def _with_splits(self, model, folds, params):
        """Return an unfitted rule that chooses its ridge by the right splits, and the metadata that these need.

        ``folds`` are those of the selection, which a generator yields only once; none of too few rows.
        """
        splits = self._splits_of_refit
        if folds and model.alpha == "auto" and model.cv is None and _keeps_together(splits):
            model.set_params(cv=splits if hasattr(splits, "split") else folds)
        asks = _routing_enabled() and hasattr(model.cv, "split")
        return model, process_routing(self, "fit", **params).splitter_of_refit.split if asks else {}

    def _rounds(self, estimator, data, seed, metadata, leaves_out):
        """Return the folds of the paths that rank the inputs, of every time that they may be drawn; none of two rows.

        Those of a splitter, or of a number of folds, are drawn once, and so are all where no input is left out.
        """
        weights = data.targets.weights
        n_rows = data.n_counted
        if n_rows <= 2:
            return [[]]
        make_folds = partial(
            self._make_folds, data.X, data.y, is_classifier(estimator), params=metadata, weights=weights
        )
        folds = make_folds(seed=seed)
        if self._splits is not None or not leaves_out:
            return [folds]
        n_more = most_rounds(n_rows, data.X.shape[1], data.targets.Y.shape[1]) - 1
        seeds = check_random_state(seed).randint(np.iinfo(np.int32).max, size=n_more)
        with without_warnings():  # of classes with fewer rows than folds: it has been said
            more = [make_folds(seed=each) for each in seeds]
        return [folds, *more]


def _keeps_together(splits):
    """Tell whether splits are more than a number of shuffled folds."""
    return splits is not None and not isinstance(splits, Integral)

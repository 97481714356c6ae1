"""What an estimator says of all inputs, for a rule of a few of them."""

import numpy as np
from scipy import sparse

from skimplicit.estimators.custom_constraints import takes_readout

__all__ = ["SelectedConstraints", "restrict"]


class SelectedConstraints:
    """``constraints(A, B E)`` for a rule of selected inputs: its B (n, k) with columns of zeros for the other inputs.

    Constraints on the readout as well are ``constraints(A, B E, C, D E)``.

    Parameters
    ----------
    constraints : callable
        ``constraints(A, B)`` for B of all inputs, shape (n, p), or ``constraints(A, B, C, D)``.
    support : ndarray of bool of shape (p,)
        The k selected inputs.
    """

    def __init__(self, constraints, support):
        self.constraints = constraints
        self.support = support

    @property
    def takes_readout(self):
        """Whether the constraints are on the readout as well."""
        return takes_readout(self.constraints)

    def __call__(self, A, B, *readout):
        """Return the constraints on A and the columns of the selected inputs, of D too where there is a readout."""
        columns = np.flatnonzero(self.support)
        E = sparse.csr_array(
            (np.ones(columns.size), (np.arange(columns.size), columns)), shape=(columns.size, self.support.size)
        )
        if not readout:
            return self.constraints(A, B @ E)
        C, D = readout
        return self.constraints(A, B @ E, C, D @ E)


def restrict(model, support):
    """Make what an estimator says of all inputs speak of some of them.

    Parameters
    ----------
    model : ImplicitRegressor or ImplicitClassifier
        The estimator, changed in place.
    support : ndarray of bool of shape (p,)
        The selected inputs. Of none it says nothing: it then sees a column of zeros.

    Returns
    -------
    ImplicitRegressor or ImplicitClassifier
        The same estimator.
    """
    if model.constraints is not None:
        model.set_params(constraints=SelectedConstraints(model.constraints, support))
    if model.monotonic_cst is not None:
        model.set_params(monotonic_cst=np.asarray(model.monotonic_cst)[support] if support.any() else None)
    return model

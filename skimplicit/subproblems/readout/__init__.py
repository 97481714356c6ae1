"""The readout problem (C, D and c, given the states): by ridge regression, or for classes."""

from skimplicit.subproblems.readout.constrained import constrained_logistic_readout, constrained_ridge_readout
from skimplicit.subproblems.readout.logistic import logistic_readout
from skimplicit.subproblems.readout.ridge import Readout, ridge_of_weights, ridge_readout

__all__ = [
    "Readout",
    "constrained_logistic_readout",
    "constrained_ridge_readout",
    "logistic_readout",
    "ridge_of_weights",
    "ridge_readout",
]

"""First-order optimisers: from a gradient to a step, and to the metric in which a constraint has to be met."""

import numpy as np

__all__ = ["OPTIMISERS", "Adam", "Momentum"]


class Adam:
    """``P <- P - rate m / (sqrt(v) + eps)`` with running means m of the gradient and v of its square, unbiased.

    Source: Kingma and Ba (2015). Their constants.

    Parameters
    ----------
    coupled : tuple of int
        Positions of the parameters whose entries share one v, for a constraint couples them all.
    """

    DECAY, SQUARE_DECAY, EPS = 0.9, 0.999, 1e-8

    def __init__(self, coupled=()):
        self.coupled = coupled
        self.n_steps = 0
        self.means, self.squares = [], []

    def step(self, gradients, rate):
        """Take one step.

        Parameters
        ----------
        gradients : list of ndarray
            Gradient with respect to each parameter.
        rate : float
            Learning rate.

        Returns
        -------
        steps : list of ndarray
            What to add to each parameter.
        metrics : list of ndarray or float
            Positive weights h, entry by entry: the step minimises ``<m, d> + 1/2 sum_j h_j d_j^2 / rate``. A projection
            that follows has to be in this metric, or training would come to rest away from a stationary point.
        """
        if self.n_steps == 0:
            self.means = [np.zeros_like(g) for g in gradients]
            self.squares = [np.zeros_like(g) for g in gradients]
        self.n_steps += 1
        steps, metrics = [], []
        for k, g in enumerate(gradients):
            square = np.full_like(g, np.mean(g**2)) if k in self.coupled else g**2
            self.means[k] += (1 - self.DECAY) * (g - self.means[k])
            self.squares[k] += (1 - self.SQUARE_DECAY) * (square - self.squares[k])
            metric = np.sqrt(self.squares[k] / (1 - self.SQUARE_DECAY**self.n_steps)) + self.EPS
            steps.append(-rate / (1 - self.DECAY**self.n_steps) * self.means[k] / metric)
            metrics.append(metric)
        return steps, metrics


class Momentum:
    """``v <- decay v - rate g``, ``P <- P + decay v - rate g``: gradient steps with Nesterov's momentum.

    Parameters
    ----------
    coupled : tuple of int
        Not needed: the metric is Euclid's.
    """

    DECAY = 0.9

    def __init__(self, coupled=()):
        self.velocities = []

    def step(self, gradients, rate):
        """Take one step; see :meth:`Adam.step`.

        Parameters
        ----------
        gradients : list of ndarray
            Gradient with respect to each parameter.
        rate : float
            Learning rate.

        Returns
        -------
        steps : list of ndarray
            What to add to each parameter.
        metrics : list of float
            Ones.
        """
        if not self.velocities:
            self.velocities = [np.zeros_like(g) for g in gradients]
        self.velocities = [self.DECAY * v - rate * g for v, g in zip(self.velocities, gradients, strict=True)]
        steps = [self.DECAY * v - rate * g for v, g in zip(self.velocities, gradients, strict=True)]
        return steps, [1.0] * len(gradients)


#: The optimisers, by the names that users give.
OPTIMISERS = {"adam": Adam, "sgd": Momentum}

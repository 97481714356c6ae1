r"""
Which rules are well posed
==========================

The equation :math:`x = \phi(A x + z)` of a rule with ReLU states has exactly one solution, whatever z, if and only if
:math:`I - A` is a P-matrix. The conditions that can be checked for many states are sufficient only, and each is wider
than the one before: the infinity norm, the Perron-Frobenius value, a weighted matrix measure, monotonicity. A wider
condition asks for another iteration, and :meth:`~skimplicit.ImplicitRule.well_posedness` says which.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from skimplicit.activations import get_activation
from skimplicit.equilibrium import solve_equilibrium
from skimplicit.inspection import STYLE
from skimplicit.wellposedness import Condition, well_posedness

plt.style.use(STYLE)

# %%
# A plane of matrices ``A = [[s, 0.6], [t, s]]``: s is the self-loop of both states, t closes the loop between them.

conditions = [
    Condition.EXPLICIT,
    Condition.INF_NORM,
    Condition.PERRON_FROBENIUS,
    Condition.MU_INF,
    Condition.MONOTONE,
    Condition.NONE,
]
labels = ["explicit", "infinity norm", "Perron-Frobenius", r"$\mu_\infty$", "monotone", "well posed, not certified"]
S, T = np.linspace(-2.5, 1.5, 60), np.linspace(-4, 2, 60)


def matrix(s, t):
    return np.array([[s, 0.6], [t, s]])


def is_p_matrix(A):
    M = np.eye(2) - A
    return M[0, 0] > 0 and M[1, 1] > 0 and np.linalg.det(M) > 0


regions = np.full((T.size, S.size), np.nan)
for i, t in enumerate(T):
    for j, s in enumerate(S):
        A = matrix(s, t)
        if is_p_matrix(A):
            # The diagonal metric of two states has one degree of freedom: no semidefinite program is needed.
            report = well_posedness(A, lmi=False)
            if not report and np.abs(t) > 0:
                balanced = np.array([[s, np.sqrt(abs(0.6 * t))], [np.sign(t) * np.sqrt(abs(0.6 * t)), s]])
                report = well_posedness(balanced, lmi=False)
            regions[i, j] = conditions.index(report.condition)

# %%
# The error of each iteration for one matrix of three of the regions, with tanh, which has the same conditions.

cases = [("picard", matrix(0.35, -0.6)), ("averaged", matrix(-2.0, 1.0)), ("peaceman_rachford", matrix(0.6, -3.5))]
methods = {"picard": "Picard", "averaged": "averaged", "peaceman_rachford": "Peaceman-Rachford"}
phi, z = get_activation("tanh"), np.array([[0.1, -0.04]])


def errors(A, method, n_iterations=60):
    exact = solve_equilibrium(A, z, phi, method="newton", rtol=1e-15).states
    runs = [solve_equilibrium(A, z, phi, method=method, rtol=1e-300, max_iter=k) for k in range(1, n_iterations)]
    return [np.abs(run.states - exact).max() for run in runs]


colors = [*plt.get_cmap("viridis")(np.linspace(0.15, 1, 5)), (0.85, 0.85, 0.85, 1)]
fig, (plane, *panels) = plt.subplots(1, 4, figsize=(13, 3.9), width_ratios=[1.7, 1, 1, 1], layout="constrained")
plane.pcolormesh(S, T, regions, cmap=ListedColormap(colors), vmin=-0.5, vmax=5.5, rasterized=True)
shown = [k for k in range(len(labels)) if np.any(regions == k)]
handles = [plt.Rectangle((0, 0), 1, 1, fc=colors[k]) for k in shown]
handles.append(plt.Rectangle((0, 0), 1, 1, fc="white", ec="0.7"))
fig.legend(
    handles, [labels[k] for k in shown] + ["ill posed"], fontsize=8, loc="outside lower left", ncols=len(handles)
)
plane.set(xlabel="self-loop $s$", ylabel="weight $t$", title=r"$A = [[s,\ 0.6],\ [t,\ s]]$")
for number, (panel, (advised, A)) in enumerate(zip(panels, cases, strict=True), start=1):
    plane.plot(A[0, 0], A[1, 0], "ko", ms=4)
    plane.annotate(str(number), (A[0, 0], A[1, 0]), textcoords="offset points", xytext=(5, 3))
    report = well_posedness(A, "tanh")
    assert report.method == advised
    for method, name in methods.items():
        panel.semilogy(errors(A, method), label=name, lw=2.5 if method == advised else 1)
    panel.set(title=f"{number}: {labels[conditions.index(report.condition)]}", ylim=(1e-15, 10), xlabel="iteration")
panels[0].set_ylabel("error of the states")
panels[-1].legend(fontsize=8)
plt.show()

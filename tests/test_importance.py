"""Importances: the sensitivities in deviations of inputs and targets."""

from dataclasses import replace

import numpy as np
import pytest

from skimplicit import ImplicitRule
from skimplicit.estimators.importance import input_importances
from skimplicit.projections import project_rows_l1
from skimplicit.wellposedness import sensitivity


@pytest.mark.parametrize("seed", range(3))
def test_importances_do_not_depend_on_units(seed):
    rng = np.random.default_rng(seed)
    A = project_rows_l1(2 * rng.normal(size=(6, 6)), 0.9)
    rule = ImplicitRule(A, *(rng.normal(size=shape) for shape in ((6, 4), (2, 6), (2, 4), (6,), (2,))))
    unit, target_unit = rng.uniform(0.01, 100, size=4), rng.uniform(0.01, 100, size=2)
    std, target_std = rng.uniform(1, 2, size=4), rng.uniform(1, 2, size=2)
    same = replace(rule, B=rule.B / unit, D=target_unit[:, None] * rule.D / unit, C=target_unit[:, None] * rule.C)
    expected = input_importances(rule, std, target_std)
    np.testing.assert_allclose(input_importances(same, std * unit, target_std * target_unit), expected)
    by_hand = [np.mean([sensitivity(rule)[i, j] * std[j] / target_std[i] for i in range(2)]) for j in range(4)]
    np.testing.assert_allclose(expected, by_hand)

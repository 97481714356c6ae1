"""What held-out rows are judged by, and how the loss of a mean of members is told from that of each."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import PredefinedSplit

from skimplicit import ImplicitClassifier, ImplicitRegressor
from skimplicit.estimators import cross_fit_choice
from skimplicit.estimators.cross_fit_choice import CrossFit
from skimplicit.estimators.fold_paths import Fold, FoldPath
from skimplicit.estimators.held_out_losses import (
    difference,
    error_left,
    held_out_predictions,
    mean_loss,
    mean_losses,
    spread_of,
)
from skimplicit.estimators.targets import EncodedTargets
from skimplicit.losses import CrossEntropyLoss, SquaredLoss

M = 12


class Judge:
    """A member that only judges."""

    def __init__(self, loss, Y, rows):
        self.sample_loss, self.Y = loss, Y
        self.fold = Fold(np.setdiff1d(np.arange(M), rows), rows, 0)
        self.fold_weight = len(rows)

    def loss(self, predictions, rows=slice(None)):
        return self.sample_loss.value(predictions, self.Y[rows]).mean()


def make(loss, q, seed):
    rng = np.random.default_rng(seed)
    if loss == "squared":
        Y = rng.normal(size=(M, q))
    else:
        Y = rng.integers(0, 2, (M, 1)).astype(float) if q == 1 else np.eye(q)[rng.integers(0, q, M)]
    sample_loss = SquaredLoss() if loss == "squared" else CrossEntropyLoss()
    judges = [Judge(sample_loss, Y, rows) for rows in np.split(rng.permutation(M), 3)]
    return judges, rng.normal(size=(3, M, q))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("q", [1, 3])
@pytest.mark.parametrize("loss", ["squared", "classes"])
def test_the_loss_of_a_mean_is_at_most_that_of_the_members(loss, q, seed):
    judges, kept = make(loss, q, seed)
    singles = np.mean([j.loss(z[j.fold.test], j.fold.test) for j, z in zip(judges, kept, strict=True)])
    assert mean_loss(judges, kept) < singles
    same = np.stack([kept[0]] * 3)
    assert mean_loss(judges, same) == pytest.approx(judges[0].loss(kept[0]), rel=1e-12)
    if loss == "squared":  # Krogh and Vedelsby
        assert mean_loss(judges, kept) == pytest.approx(singles - 0.5 * kept.var(axis=0).sum(axis=1).mean(), rel=1e-12)


def test_a_member_that_is_far_from_the_others_where_it_is_not_judged_does_not_lower_the_loss():
    judges, kept = make("squared", 1, 0)
    kept[:] = judges[0].Y
    kept[0, judges[0].fold.train] += 3.0
    assert mean_loss(judges, kept) >= 0.0  # it was -.67
    spread = kept.var(axis=0).mean(axis=0)
    choice = SimpleNamespace(members=judges, kept=kept, predictions=judges[0].Y, unit=np.ones(1))
    choice.errors = lambda error, seen, weights: (error, error - spread)
    every = np.ones(M)
    assert ImplicitRegressor()._held_out_score(choice, judges[0].Y, every > 0, every) <= 1.0


@pytest.mark.parametrize("seed", [1, 4, 8])
def test_a_target_far_from_all_others_counts_once(seed):
    random = np.random.default_rng(seed)
    X, y = random.normal(size=(90, 4)), random.normal(size=90)
    y[0] = 40.0
    model = ImplicitRegressor(n_hidden=3, cv=3, max_iter=12, random_state=0).fit(X, y)
    # In deviations of its own rows, which do not have that target, the loss of one member was hundreds of times those
    # of the others: the share of the variance explained was 2287, the held-out score -596, both of seed 4.
    assert model.heldout_scores_.max() <= 1.0
    assert model.heldout_score_ > -0.1


def test_rounding_of_a_constant_target_is_no_variance():
    # The mean of ninety times .1 is another number than .1.
    model = ImplicitRegressor(n_hidden=3, cv=3, max_iter=2, random_state=0)
    model.fit(np.random.default_rng(0).normal(size=(90, 4)), np.full(90, 0.1))
    assert model.heldout_score_ == 1.0 and np.all(model.heldout_scores_ == 1.0)


@pytest.mark.parametrize("unit", [2.0**-20, 2.0**20])
def test_a_constant_target_counts_alike_in_any_unit_without_intercepts(unit):
    # A rule without intercepts does not foresee it. In units of one its losses were all that counted, or nothing.
    random = np.random.default_rng(0)
    X, y = random.normal(0.5, size=(60, 2)), random.normal(size=60)
    model = ImplicitRegressor(n_hidden=3, cv=3, max_iter=8, fit_intercept=False, random_state=0)
    scaled = clone(model).fit(X, np.column_stack([y, np.full(60, unit)]))
    model.fit(X, np.column_stack([y, np.ones(60)]))
    assert scaled.alpha_ == model.alpha_
    np.testing.assert_allclose(scaled.heldout_scores_, model.heldout_scores_, rtol=1e-9)
    np.testing.assert_allclose(scaled.predict(X) / [1.0, unit], model.predict(X), rtol=1e-9)


def test_the_held_out_score_of_a_constant_that_is_not_foreseen_is_that_of_score():
    X = np.random.default_rng(0).normal(0.5, size=(60, 2))
    model = ImplicitRegressor(n_hidden=3, cv=3, max_iter=8, fit_intercept=False, random_state=0).fit(X, np.ones(60))
    assert model.heldout_score_ == model.score(X, np.ones(60)) == 0.0


def test_deviations_of_targets():
    Y = np.array([[1.0, 0.1, 3e200], [3.0, 0.1, -1e200], [100.0, 0.1, 0.0]])  # the mean of .1 is another number
    found = EncodedTargets(Y, np.array([1.0, 1.0, 0.0]), True, {}).deviations
    assert found == pytest.approx([1.0, 0.1, 2e200])
    assert EncodedTargets(np.zeros((3, 1)), None, True, {}).deviations.tolist() == [1.0]
    assert EncodedTargets((Y > 2).astype(float), None, False, {}).deviations.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("seed", range(3))
def test_what_the_labels_are_does_not_change_the_disagreement(seed):
    judges, kept = make("classes", 3, seed)
    others = [Judge(j.sample_loss, np.roll(j.Y, 1, axis=1), j.fold.test) for j in judges]
    gaps = []
    for group in (judges, others):
        singles = np.mean([j.loss(z[j.fold.test], j.fold.test) for j, z in zip(group, kept, strict=True)])
        gaps.append(singles - mean_loss(group, kept))
    assert gaps[0] == pytest.approx(gaps[1], rel=1e-9)


@pytest.mark.parametrize("q", [1, 2, 3, 7])
def test_one_more_row_is_of_another_class(q):
    rng = np.random.default_rng(q)
    Y = rng.integers(0, 2, (M, 1)).astype(float) if q == 1 else np.eye(q)[rng.integers(0, q, M)]
    targets = EncodedTargets(Y, None, scale=False, attributes={})
    judged = targets.judged(np.append(np.arange(M), 0))
    full = [np.hstack([1 - T, T]) if q == 1 else T for T in (Y, judged)]
    np.testing.assert_allclose(full[1].sum(axis=1), 1)
    # The share of wrong labels is one row of m + 1.
    np.testing.assert_allclose((full[1] * (1 - full[0])).sum(axis=1), 1 / (M + 1))
    # The best forecast of rows that are all right is as certain as that.
    certain = np.log(M) if q == 1 else np.log(M * (q - 1))
    logits = (2 * Y - 1 if q == 1 else Y) * certain
    loss = CrossEntropyLoss()
    best = loss.value(logits, judged).mean()
    assert all(loss.value(size * logits, judged).mean() > best for size in (0.5, 0.9, 1.1, 2.0))


@pytest.mark.slow_cases
@pytest.mark.parametrize("explicit", [False, True])
def test_rows_given_twice_judge_as_weights_do(explicit):
    rng = np.random.default_rng(0)
    X, y, weights = rng.normal(size=(M, 3)), np.arange(M) % 3, np.arange(M) % 4
    times = np.repeat(np.arange(M), weights)
    fold = np.arange(M) % 2
    cv = {name: list(PredefinedSplit(f).split()) if explicit else 2 for name, f in (("w", fold), ("r", fold[times]))}
    model = ImplicitClassifier(n_hidden=1, max_iter=2, random_state=0)
    weighted = clone(model).set_params(cv=cv["w"]).fit(X, y, 10.0 * weights)
    repeated = clone(model).set_params(cv=cv["r"]).fit(X[times], y[times])
    np.testing.assert_allclose(weighted.heldout_scores_, repeated.heldout_scores_, rtol=1e-9)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-7)


def test_numbers_are_judged_as_they_are():
    Y = np.random.default_rng(0).normal(size=(M, 2))
    assert EncodedTargets(Y, None, scale=True, attributes={}).judged(np.arange(M)) is Y


def judges_of_paths(losses, seed):
    """Return members whose losses are these in the mean of 200 rows, k above and below it at the k-th rung."""
    sides = np.random.default_rng(seed).permutation(np.repeat([-1.0, 1.0], 100))
    predictions = tuple((loss + k * sides)[:, None] for k, loss in enumerate(losses))
    path = FoldPath(tuple(range(len(losses))), (None,) * len(losses), predictions, 0)
    return [PathJudge(200, rows, path) for rows in np.array_split(np.arange(200), 4)]


class PathJudge:
    """A member whose predictions are the losses of its rows."""

    def __init__(self, m, rows, path):
        self.fold, self.path = Fold(np.setdiff1d(np.arange(m), rows), rows, 0), path
        self.fold_weight = len(rows)
        self.targets = EncodedTargets(np.zeros((m, 1)), None, scale=False, attributes={})

    def losses(self, predictions, rows=slice(None)):
        return predictions[:, 0]

    def loss(self, predictions, rows=slice(None)):
        return predictions[:, 0].mean()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("losses", "chosen"),
    [
        ((1.13, 1.06, 1.0, 1.3), 0),
        ((1.15, 1.06, 1.0, 1.3), 1),
        ((1.15, 1.08, 1.0, 1.3), 2),
        ((1.13, 1.08, 1.0, 1.0), 0),
    ],
)
def test_of_ridges_that_rows_do_not_tell_apart_the_least_is_taken(losses, chosen, seed):
    # Rows differ by 1 and 2 from the best of 200: standard errors of .0707 and .1414.
    members = judges_of_paths(losses, seed)
    rungs, means = mean_losses(members)
    np.testing.assert_allclose(means, losses)
    assert cross_fit_choice._least_alike(members, rungs, means, 2) == chosen


def test_the_standard_error_of_a_table_of_counts_is_that_of_its_rows():
    rng = np.random.default_rng(0)
    times, mine, its = rng.integers(1, 30, 12), rng.random((12, 1)), rng.random((12, 1))

    def judge(n_rows, **counts):
        targets = EncodedTargets(np.zeros((n_rows, 1)), counts.get("weights"), True, {}, repeats=counts.get("repeats"))
        return SimpleNamespace(targets=targets, losses=lambda predictions, rows: predictions[:, 0])

    of_table = difference(judge(12, weights=times.astype(float), repeats=times), mine, its)
    of_rows = difference(judge(times.sum()), np.repeat(mine, times, axis=0), np.repeat(its, times, axis=0))
    np.testing.assert_allclose(of_table, of_rows, rtol=1e-12)


def test_of_numbers_one_low_loss_between_high_ones_is_luck():
    losses = np.array([3.0, 1.0, 5.0, 1.3, 1.2, 1.4])
    assert cross_fit_choice._best(losses, smoothed=True) == 4
    assert cross_fit_choice._best(losses, smoothed=False) == 1
    assert cross_fit_choice._best(np.array([0.5, 0.1, 0.9, 0.2, 0.22, 0.21]), smoothed=True) == 4  # twice its weight
    assert cross_fit_choice._best(losses[3:-1], smoothed=True) == 1  # the last one stands for the next


def test_folds_count_by_their_weight():
    judges, predictions = make("squared", 2, 0)
    rows = np.split(np.random.default_rng(1).permutation(M), [1, 4])
    judges = [Judge(judge.sample_loss, judge.Y, own) for judge, own in zip(judges, rows, strict=True)]
    losses = [judge.loss(each[own], own) for judge, each, own in zip(judges, predictions, rows, strict=True)]
    apart = np.mean([judges[0].loss(each) for each in predictions]) - judges[0].loss(predictions.mean(axis=0))
    expected = np.average(losses, weights=[1, 3, 8]) - apart
    assert expected > 0
    np.testing.assert_allclose(mean_loss(judges, list(predictions)), expected)


def test_spread_of_members_counts_rows_by_their_weight():
    rng = np.random.default_rng(0)
    kept, weights = rng.normal(size=(3, M, 2)), rng.uniform(0.1, 5.0, size=M)
    targets = EncodedTargets(kept[0], weights, True, {})
    unit = np.array([2.0, 0.5])
    members = [
        SimpleNamespace(fold=Fold(np.setdiff1d(np.arange(M), own), own, 0), targets=targets, unit=unit)
        for own in np.split(np.arange(M), 3)
    ]
    expected = np.average(kept.var(axis=0), axis=0, weights=weights) / unit**2
    np.testing.assert_allclose(spread_of(members, list(kept)), expected)


def test_score_of_held_out_rows_is_weighted_r2():
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(M, 2)) + 3.0
    predictions, weights = Y + 0.5 * rng.normal(size=(M, 2)), rng.uniform(0.1, 5.0, size=M)
    choice = SimpleNamespace(
        unit=np.ones(2), predictions=predictions, kept=[predictions], errors=lambda error, *rows: (error, error)
    )
    score = ImplicitRegressor()._held_out_score(choice, Y, np.ones(M, dtype=bool), weights)
    np.testing.assert_allclose(score, r2_score(Y, predictions, sample_weight=weights))


def test_errors_of_a_member_and_of_the_mean_where_rows_are_held_out_once_or_twice():
    own = [[0, 1, 2, 3], [2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    members = [SimpleNamespace(fold=Fold(np.setdiff1d(np.arange(M), rows), np.array(rows), 0)) for rows in own]
    rows, weights = np.arange(M) < 6, np.where(np.arange(M) < 2, 2.0, 1.0)
    # Of these rows six in eight, by weight, are held out once, the others twice; members vary by 0.6 about no bias.
    variance, rest, share = 0.6, 1.0, 0.75 + 0.25 / 2
    for left in (1.0, np.array([0.5])):
        choice = SimpleNamespace(members=members, spread=np.array([variance * 2 / 3]), left=left)
        found = CrossFit.errors(choice, np.array([rest + share * variance]), rows, weights)
        np.testing.assert_allclose(np.ravel(found), [rest + variance, np.ravel(left)[0] ** 2 * (rest + variance / 3)])


@pytest.mark.parametrize(("missed", "told"), [(9.0, 1.0), (80.0 / 3.0, 0.5)])
def test_what_is_left_of_the_error_is_told_by_rows_that_members_are_trained_on(missed, told):
    # It tells less where others are missed far more than these.
    Y, folds = np.arange(8.0).reshape(4, 2), (([1, 2], [0, 3]), ([0, 1], [2, 3]))
    targets = EncodedTargets(Y, np.array([1.0, 2.0, 1.0, 5.0]), scale=True, attributes={})
    members = [
        SimpleNamespace(fold=SimpleNamespace(train=train, test=test), targets=targets, unit=np.array([4.0, 8.0]))
        for train, test in folds
    ]
    misses = np.full((2, 4, 2), missed)
    misses[0, 1:3], misses[1, :2] = [[2.0, -4.0], [4.0, 4.0]], [[6.0, 4.0], [4.0, 4.0]]
    # Means over the members that know a row: 6, 3, 4 and 4, 0, 4; no member knows the last row.
    predictions = Y + np.array([[1.0, -9.0], [-2.0, 9.0], [3.0, 9.0], [99.0, 0.0]])
    left = error_left(members, Y + misses, held_out_predictions(members, Y + misses), predictions)
    of_seen = (1.0 + 2 * 2.0 + 3.0) / (6.0 + 2 * 3.0 + 4.0)
    np.testing.assert_allclose(left, [1.0 - told * (1.0 - of_seen), 1.0])
    np.testing.assert_array_equal(error_left(members, np.array([Y, Y]), Y, Y), [1.0, 1.0])


class AtRidges(Judge):
    """A member that predicts the better the nearer the ridge of its direct term is to 0.03."""

    def evaluated(self, point, alpha):
        return point

    def with_direct_ridge(self, end, ratio):
        return ratio

    def predict(self, point):
        return self.Y + (point - 0.03)


def test_the_best_direct_ridge_brings_its_own_points_and_predictions():
    judges, _ = make("squared", 2, 0)
    members = [AtRidges(judge.sample_loss, judge.Y, judge.fold.test) for judge in judges]
    points = [SimpleNamespace(readout=SimpleNamespace(D=0.0))] * 3
    kept = [judge.Y + 1.0 for judge in judges]
    found = cross_fit_choice._choose_direct_ridge(members, points, kept, mean_loss(members, kept), 0.1)
    assert found[0] == 0.03 and found[1] == [0.03] * 3
    np.testing.assert_allclose(found[2], [judge.Y for judge in judges])
    assert found[3] == mean_loss(members, found[2])

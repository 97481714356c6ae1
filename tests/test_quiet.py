"""Filters of warnings are the process's: who ignores a warning in a thread leaves them to others as they were."""

import warnings
from threading import Event, Thread

import pytest

from skimplicit.quiet import without_warnings
from skimplicit.subproblems.attempts import status_of

LONG, SHORT = 10, 0.2


class SlowProblem:
    """A program whose solver is at work until the event, or for a moment where nothing comes."""

    status = "optimal"

    def __init__(self, begun, end):
        self.begun, self.end = begun, end

    def solve(self, **options):
        self.begun.set()
        self.end.wait(SHORT)


def ignore(begun, end):
    with without_warnings():
        begun.set()
        end.wait(SHORT)


def solve(begun, end):
    assert status_of(SlowProblem(begun, end), "solver", {}) == "optimal"


@pytest.mark.parametrize("first", [ignore, solve])
@pytest.mark.parametrize("second", [ignore, solve])
def test_two_threads_in_turn_leave_the_filters_as_they_were(first, second):
    # The first is inside until the second is, if it can be, and the second until the first has gone.
    before, begun, both, gone = list(warnings.filters), Event(), Event(), Event()
    others = [Thread(target=first, args=(begun, both)), Thread(target=second, args=(both, gone))]
    others[0].start()
    assert begun.wait(LONG)
    others[1].start()
    others[0].join(LONG)
    gone.set()
    others[1].join(LONG)
    assert not any(other.is_alive() for other in others)
    assert warnings.filters == before


def test_of_a_category_and_of_a_beginning():
    with pytest.warns() as seen:
        with without_warnings(message="known"):
            warnings.warn("known to all", stacklevel=1)
            warnings.warn("known, but of another kind", RuntimeWarning, stacklevel=1)
            warnings.warn("new", stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["known, but of another kind", "new"]

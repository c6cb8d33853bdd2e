"""The one place where this suite lets time pass."""

import time

PATIENCE = 60  # seconds: a machine busy with other builds is slow, not broken
POLL_EVERY = 0.1


def until(what, condition, within=PATIENCE):
    """Asks condition() until its answer is true, and gives that answer back.

    A condition may also be a function full of asserts that returns something true at its end.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            answer = condition()
            if answer:
                return answer
            reason = f"last answer: {answer!r}"
        except AssertionError as not_yet:
            reason = str(not_yet)
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}\n{reason}")
        time.sleep(POLL_EVERY)

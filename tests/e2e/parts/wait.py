"""Waiting for conditions. Nothing else in this suite waits for time to pass."""

import time

TIMEOUT = 60  # seconds: generous, because other builds may slow the machine down
POLL_INTERVAL = 0.1


def until(what, condition, within=TIMEOUT):
    """Calls condition() until it returns something true, and returns that.

    Instead of returning something false, condition() may raise an AssertionError.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            result = condition()
            if result:
                return result
            reason = f"last result: {result!r}"
        except AssertionError as failed:
            reason = str(failed)
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}\n{reason}")
        time.sleep(POLL_INTERVAL)

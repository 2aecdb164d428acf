import pytest


@pytest.fixture(autouse=True)
def workers_start_fast(forked_workers):
    """Workers are forked; tests/workers starts them as users do."""


@pytest.fixture(scope="package", autouse=True)
def the_probe_takes_no_second():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("attnbench.runner.eta.probe_speed", lambda: 0.01)
        yield

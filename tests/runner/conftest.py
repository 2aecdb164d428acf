import pytest


@pytest.fixture(scope="package", autouse=True)
def workers_start_fast(fork_server):
    """Sweeps fork their workers; tests/workers and the killed command line start them as users do."""
    with pytest.MonkeyPatch.context() as patched:
        fork_server.stand_in(patched)
        patched.setattr("attnbench.runner.eta.probe_speed", lambda: 0.01)  # instead of a second
        yield

"""A machine of temporary files."""

import pytest

from attnbench.doctor.host import Host


@pytest.fixture
def machine(tmp_path):
    """Return a Host whose /proc and /sys hold the given files: ``machine({"sys/a": "1"}, load=2)``."""

    def make(files=(), **options):
        for path, text in dict(files).items():
            place = tmp_path / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        return Host(**({"proc": tmp_path / "proc", "sys": tmp_path / "sys", "cores": 4} | options))

    return make
